"""One failing sink costs the others nothing."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from ssa_stream.errors import SinkError
from ssa_stream.sinks import FrameTimes, JsonLinesSink, Sink, SinkFrame, SinkGroup, read_json_lines
from ssa_stream.sinks.group import OutputReport
from ssa_stream.streaming.results import MaskResult
from tests.support.scripted_source import numbered_frame

RESULTS = [MaskResult("p", "x", 1, 0, 0.0, (2, 2), (), 0.0)]


class Recorder(Sink):
    """Remembers what happened, and fails from a given frame on or at the close."""

    def __init__(self, *, fails_at: int | None = None, fails_at_close: bool = False) -> None:
        self.seen: list[int] = []
        self.closed = 0
        self._fails_at = fails_at
        self._fails_at_close = fails_at_close

    def write(self, frame: SinkFrame, results: Sequence[MaskResult], times: FrameTimes | None = None) -> None:
        """Remember the frame, or fail."""
        if self._fails_at is not None and frame.seq >= self._fails_at:
            raise SinkError("the disk is full")
        self.seen.append(frame.seq)

    def close(self) -> None:
        """Count, or fail."""
        self.closed += 1
        if self._fails_at_close:
            raise SinkError("cannot finish")


def test_the_others_go_on_and_the_failure_is_raised_at_close(tmp_path: Path) -> None:
    """Frame by frame, past the failure, in a real file too."""
    good, bad = Recorder(), Recorder(fails_at=2)
    group = SinkGroup([bad, good, JsonLinesSink(tmp_path / "a.jsonl")])
    for seq in range(4):
        group.write(numbered_frame(seq), RESULTS)
    assert (good.seen, bad.seen, bad.closed) == ([0, 1, 2, 3], [0, 1], 1)
    with pytest.raises(SinkError, match="disk is full"):
        group.close()
    group.close()
    assert (good.closed, bad.closed) == (1, 1)
    assert [record.seq for record in read_json_lines(tmp_path / "a.jsonl")] == [0, 1, 2, 3]


def test_write_raises_when_the_last_one_has_failed() -> None:
    """There is nothing left to write to."""
    group = SinkGroup([Recorder(fails_at=0), Recorder(fails_at=1)])
    group.write(numbered_frame(0), RESULTS)
    with pytest.raises(SinkError, match="disk is full; the disk is full"):
        group.write(numbered_frame(1), RESULTS)
    group.close()


def test_close_reaches_every_sink() -> None:
    """A close that fails does not keep the others open."""
    sinks = [Recorder(fails_at_close=True), Recorder(), Recorder(fails_at_close=True)]
    with pytest.raises(SinkError, match="cannot finish; cannot finish"):
        SinkGroup(sinks).close()
    assert [sink.closed for sink in sinks] == [1, 1, 1]


def test_empty_group_takes_anything() -> None:
    """A run without outputs is fine."""
    with SinkGroup([]) as group:
        group.write(numbered_frame(0), RESULTS)


def test_each_failure_is_told_at_once_and_reported(tmp_path: Path) -> None:
    """By the output's name; of files of ours also how many frames are in them."""
    told: list[OutputReport] = []
    lines = JsonLinesSink(tmp_path / "a.jsonl")
    group = SinkGroup([Recorder(fails_at=1), lines], ["robot:", "a.jsonl"], told.append)
    group.write(numbered_frame(0), RESULTS)
    assert told == []
    group.write(numbered_frame(1), RESULTS)
    assert [(one.name, one.frames, one.failure) for one in told] == [("robot:", 1, "the disk is full")]
    (tmp_path / "a.partial.jsonl").rename(tmp_path / "elsewhere")
    with pytest.raises(SinkError, match=r"moved or replaced.*; 2 frames are in it"):
        group.close()
    assert [one.name for one in told] == ["robot:", "a.jsonl"]
    assert [one.frames for one in group.reports] == [1, 2]
