"""Writing in a thread: order, bounds, errors and the end."""

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from ssa_stream.errors import ConfigError, SinkError
from ssa_stream.sinks import Background, FrameTimes, Sink
from ssa_stream.sinks.sink import SinkFrame
from ssa_stream.sources import Frame
from ssa_stream.streaming.results import MaskResult

DEADLINE_S = 10.0


class Slow(Sink):
    """Writes when it is allowed to; fails at a frame, or at the end, if told so."""

    def __init__(self, *, fail_at: int | None = None, fail_at_close: bool = False) -> None:
        self.allowed = threading.Semaphore(0)
        self.written: list[int] = []
        self.closed = 0
        self._fail_at = fail_at
        self._fail_at_close = fail_at_close

    def write(self, frame: SinkFrame, results: Sequence[MaskResult], times: FrameTimes | None = None) -> None:
        """Wait for leave, then keep the number."""
        assert self.allowed.acquire(timeout=DEADLINE_S)
        if frame.seq == self._fail_at:
            raise SinkError("the disk is full")
        self.written.append(frame.seq)

    def close(self) -> None:
        """Count."""
        self.closed += 1
        if self._fail_at_close:
            raise SinkError("the end cannot be written")


def _frame(seq: int) -> Frame:
    return Frame(np.zeros((2, 2, 3), np.uint8), seq, 0, seq / 10, 0)


def test_background_writes_everything_in_order_before_it_closes() -> None:
    """`close` waits for what was handed over; nothing is lost."""
    sink = Slow()
    background = Background(sink, depth=4)
    for seq in range(3):
        background.write(_frame(seq), [])
    assert sink.written == []  # handed over at once, though the sink is slow
    sink.allowed.release(3)
    background.close()
    background.close()
    assert (sink.written, sink.closed) == ([0, 1, 2], 1)


def test_background_waits_when_too_many_frames_wait() -> None:
    """The queue is bounded: a writer that is ahead by more than `depth` waits for the sink."""
    sink = Slow()
    background = Background(sink, depth=1)
    handed_over: list[int] = []

    def hand_over() -> None:
        for seq in range(6):
            background.write(_frame(seq), [])
            handed_over.append(seq)

    writer = threading.Thread(target=hand_over)
    writer.start()
    writer.join(timeout=0.2)
    assert writer.is_alive()
    assert len(handed_over) <= 2  # one in the sink's hands, one waiting
    sink.allowed.release(6)
    writer.join(timeout=DEADLINE_S)
    background.close()
    assert sink.written == list(range(6))


@pytest.mark.parametrize("later_writes", [0, 2])
def test_background_error_reaches_whoever_writes(later_writes: int) -> None:
    """The sink's error is raised once, by the next write or by close; the sink is closed all the same."""
    sink = Slow(fail_at=1)
    sink.allowed.release(10)
    background = Background(sink)
    with pytest.raises(SinkError, match="disk is full"):  # noqa: PT012  # when it is raised depends on the thread
        for seq in range(2 + later_writes):
            background.write(_frame(seq), [])
        background.close()
    background.close()
    assert (sink.written, sink.closed) == ([0], 1)


def test_background_error_at_the_end_is_raised_by_close() -> None:
    """A file that cannot be finished is told."""
    with pytest.raises(SinkError, match="end cannot"):
        Background(Slow(fail_at_close=True)).close()


def test_background_depth_below_one_is_refused() -> None:
    """A queue without room makes no sense."""
    with pytest.raises(ConfigError, match="at least 1"):
        Background(Slow(), depth=0)
