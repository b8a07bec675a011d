"""Counts of frames with a target."""

from ssa_stream.found_frames import FoundFrames, PromptFrames


def test_prompts_are_counted_by_id_and_sentence_in_the_order_of_their_first_masks() -> None:
    """An id that gets another sentence counts anew."""
    found = FoundFrames()
    for prompt_id, text, has_target in (("p1", "a", True), ("p2", "b", False), ("p1", "a", False), ("p1", "c", True)):
        found.count(prompt_id, text, has_target=has_target)
    assert list(found) == [PromptFrames("p1", "a", 2, 1), PromptFrames("p2", "b", 1, 0), PromptFrames("p1", "c", 1, 1)]
    assert found.to_list()[0] == {"id": "p1", "text": "a", "frames": 2, "found_frames": 1}


def test_oldest_prompts_are_forgotten() -> None:
    """A graph that runs for months is asked for many."""
    found = FoundFrames()
    for number in range(1500):
        found.count("p1", f"sentence {number}", has_target=False)
    texts = [one.text for one in found]
    assert (len(texts), texts[0], texts[-1]) == (1000, "sentence 500", "sentence 1499")
