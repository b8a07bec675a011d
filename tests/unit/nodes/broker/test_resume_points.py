"""Where streams begin and go on."""

import pytest

from ssa_stream.nodes.broker.resume_points import ResumePoints, first_prompts
from ssa_stream.protocols import AppliesFrom, Prompt, PromptState
from ssa_stream.streaming.prompts import PromptBook
from tests.support.scripted_nodes import source_state


@pytest.mark.parametrize(
    "texts",
    [(), ("the  dog", "a cat "), {"p7": "the dog", "left": " a cat"}, {"p1": "a", "p02": "b"}],
    ids=["none", "list", "named", "numbered"],
)
def test_first_prompts_are_those_of_a_session(texts: tuple[str, ...] | dict[str, str]) -> None:
    """Ids, versions and numbering of the first change."""
    book = PromptBook().set(texts, max_prompts=64) if texts else PromptBook()
    prompts, number = first_prompts(texts)
    assert [(item.id, item.text, item.version) for item in prompts] == [
        (item.prompt_id, item.text, item.version) for item in book.prompts
    ]
    start = ResumePoints("cam0", texts).next_start()
    assert (start.version, start.next_prompt_number, number) == (book.version, book.next_number, book.next_number)


def test_restart_before_any_state_begins_in_another_epoch() -> None:
    """Frames of the first start may be under way."""
    points = ResumePoints("cam0", ("the dog",))
    assert [points.next_start().epoch for _ in range(3)] == [0, 1, 2]


def test_restart_of_a_file_goes_on_after_what_is_finished() -> None:
    """Frames that were under way come again, under the indices that they had."""
    points = ResumePoints("cam0", ())
    points.saw_source(source_state(epoch=3, memory=2, next_index=10, frames_done=10))
    start = points.next_start()
    assert (start.epoch, start.memory, start.next_index, start.frames_done) == (4, 2, 10, 10)


def test_restart_of_a_file_that_was_played_before_gives_no_index_twice() -> None:
    """Indices count for ever; what is finished counts from the beginning of the file."""
    points = ResumePoints("cam0", ())
    points.saw_source(source_state(epoch=1, memory=1, next_index=43, frames_done=3))
    start = points.next_start()
    assert (start.next_index, start.frames_done) == (43, 3)


def test_restart_of_a_live_source_begins_a_new_memory() -> None:
    """It is connected again: its times begin anew, and frames that were under way are gone."""
    points = ResumePoints("cam0", ())
    points.saw_source(source_state(epoch=3, memory=2, next_index=12, frames_done=40, live=True, flow="freshest"))
    start = points.next_start()
    assert (start.epoch, start.memory, start.next_index) == (4, 3, 12)


def test_restart_after_recovery_that_was_not_confirmed_skips_its_epoch() -> None:
    """Whether it was begun is not known."""
    points = ResumePoints("cam0", ())
    points.saw_source(source_state(epoch=3))
    points.asked_to_recover()
    points.saw_source(source_state(epoch=3))
    assert points.next_start().epoch == 5


def test_prompts_of_an_older_version_change_nothing() -> None:
    """States may overtake each other."""
    points = ResumePoints("cam0", ("the dog",))
    for version, text in ((4, "the cat"), (3, "the cow")):
        prompts = (Prompt(id="p1", text=text, version=version),)
        place = AppliesFrom(epoch=0, seq=0)
        points.saw_prompts(PromptState(stream="cam0", prompts=prompts, version=version, applies_from=place))
    start = points.next_start()
    assert (start.version, start.prompts[0].text) == (4, "the cat")


@pytest.mark.parametrize(("status", "shown"), [("running", "starting"), ("lost", "starting"), ("ended", None)])
def test_state_while_the_node_is_away(status: str, shown: str | None) -> None:
    """What is at an end stays so."""
    points = ResumePoints("cam0", ())
    assert points.while_away(1, "monotonic:x") is None
    points.saw_source(source_state(status=status, epoch=2, code="refused", attempt=3, retry_in_s=4.0))
    away = points.while_away(5, "monotonic:x")
    assert (None if away is None else (away.status, away.epoch, away.at_ns)) == (shown and (shown, 2, 5))
    assert away is None or (away.code, away.attempt, away.retry_in_s) == (None, 0, None)  # nobody tries at the moment
