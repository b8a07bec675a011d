"""Colours that stay, and can be told apart."""

from itertools import combinations

from ssa_stream.viz import prompt_colours, track_colour


def test_track_colour_is_stable_and_neighbours_differ() -> None:
    """Ids close to each other, which are on screen together, look different."""
    colours = [track_colour(track_id) for track_id in range(1, 9)]
    assert colours == [track_colour(track_id) for track_id in range(1, 9)]
    for first, second in combinations(colours, 2):
        assert sum(abs(a - b) for a, b in zip(first, second, strict=True)) > 40


def test_prompt_colours_differ_and_survive_a_removal() -> None:
    """Up to ten prompts have ten colours; an id keeps its own when no other wants it."""
    ids = [f"prompt-{number}" for number in range(10)]
    colours = prompt_colours(ids)
    assert len(set(colours.values())) == 10
    alone = {prompt_id: prompt_colours([prompt_id])[prompt_id] for prompt_id in ids}
    kept = [prompt_id for prompt_id in ids if colours[prompt_id] == alone[prompt_id]]
    assert kept[0] == ids[0]
    assert len(prompt_colours([*ids, "one more"])) == 11
