"""Rows of a frame that come in parts."""

from ssa_stream.nodes.decoder.stream import RowAssembler
from tests.support.frame_works import frame, work


def test_frame_is_whole_when_all_rows_are_there() -> None:
    """In order of rows, however they came; another frame does not disturb."""
    parts: RowAssembler[str] = RowAssembler()
    one, other = work(0, "a", "b", frames=2), work(1, "a")
    assert parts.add(one, 2, 2, "second") is None
    assert parts.add(other, 0, 1, "other") == ["other"]
    assert parts.add(one, 0, 2, "first") == ["first", "second"]
    assert len(parts) == 0


def test_part_that_comes_again_counts_once() -> None:
    """The later one is taken."""
    parts: RowAssembler[str] = RowAssembler()
    one = work(0, "a", "b")
    assert parts.add(one, 0, 1, "old") is None
    assert parts.add(one, 0, 1, "new") is None
    assert parts.add(one, 1, 1, "rest") == ["new", "rest"]


def test_frame_without_prompts_is_whole_at_once() -> None:
    """It has no rows."""
    parts: RowAssembler[str] = RowAssembler()
    assert parts.add(work(0), 0, 0, "nothing") == ["nothing"]


def test_forgotten_frames_leave_nothing() -> None:
    """Those up to a frame, by epoch and number."""
    parts: RowAssembler[str] = RowAssembler()
    for seq, epoch in ((0, 0), (9, 0), (0, 1), (1, 1)):
        parts.add(work(seq, "a", "b", epoch=epoch), 0, 1, "half")
    parts.forget(frame(0, epoch=1))
    assert len(parts) == 1
    assert parts.add(work(1, "a", "b", epoch=1), 1, 1, "rest") == ["half", "rest"]
