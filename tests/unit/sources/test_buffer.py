"""Frames wait in one place, and each is counted once."""

import threading
from collections.abc import Iterator

import pytest

from ssa_stream.errors import SourceError
from ssa_stream.sources import Frame, Prefetch, Source, SourceInfo
from ssa_stream.sources.buffer import FrameBuffer
from tests.support.scripted_source import DEADLINE_S, numbered_frame


def _seq(buffer: FrameBuffer) -> int | None:
    frame = buffer.take(DEADLINE_S)
    return None if frame is None else frame.seq


def test_newest_frame_takes_the_place_of_the_oldest() -> None:
    """Every frame was taken, was overtaken or waits."""
    buffer = FrameBuffer(2)
    for seq in range(5):
        assert buffer.put(numbered_frame(seq))
    assert (_seq(buffer), buffer.received, buffer.overtaken, buffer.taken) == (3, 5, 3, 1)
    assert (_seq(buffer), buffer.is_ready) == (4, False)


def test_frames_that_no_number_tells_of_are_counted_apart() -> None:
    """Those at the end of an epoch; a gap before one that waits still shows."""
    buffer = FrameBuffer(2)
    for epoch, seq in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1)):
        buffer.put(numbered_frame(seq, epoch=epoch))
    assert (buffer.overtaken, buffer.overtaken_last) == (3, 3)
    assert (_seq(buffer), _seq(buffer)) == (0, 1)
    for epoch, seq in ((1, 2), (1, 3), (1, 4)):
        buffer.put(numbered_frame(seq, epoch=epoch))
    assert (buffer.overtaken, buffer.overtaken_last) == (4, 3)


def test_full_buffer_that_loses_nothing_makes_its_reader_wait() -> None:
    """Until there is room, or nobody takes anything any more."""
    buffer = FrameBuffer(waits_for_room=True)
    buffer.put(numbered_frame(0))
    wanted: list[bool] = []
    reading = threading.Thread(target=lambda: wanted.extend(buffer.put(numbered_frame(seq)) for seq in (1, 2)))
    reading.start()
    assert (_seq(buffer), _seq(buffer), _seq(buffer), buffer.overtaken) == (0, 1, 2, 0)
    reading.join(DEADLINE_S)
    assert wanted == [True, True]
    buffer.put(numbered_frame(3))
    waiting = threading.Thread(target=lambda: wanted.append(buffer.put(numbered_frame(4))))
    waiting.start()
    buffer.close()
    waiting.join(DEADLINE_S)
    assert wanted[2:] == [False]


def test_end_and_error_come_after_the_frames() -> None:
    """Nothing that was read is lost to them."""
    buffer = FrameBuffer()
    buffer.put(numbered_frame(0))
    buffer.end(SourceError("broke"))
    assert _seq(buffer) == 0
    with pytest.raises(SourceError, match="broke"):
        buffer.take(DEADLINE_S)
    ended = FrameBuffer()
    ended.end()
    assert ended.is_ready
    assert _seq(ended) is None


def test_wait_is_bounded_and_ends_when_the_buffer_is_closed() -> None:
    """From another thread as well."""
    buffer = FrameBuffer()
    with pytest.raises(TimeoutError):
        buffer.take(0.001)
    threading.Timer(0.001, buffer.close).start()
    assert _seq(buffer) is None
    assert not buffer.put(numbered_frame(0))
    assert buffer.received == 0


def test_changes_are_told_to_whoever_cannot_wait() -> None:
    """An event loop, for one."""
    told: list[bool] = []
    buffer = FrameBuffer()
    buffer.on_change = lambda: told.append(buffer.is_ready)
    buffer.put(numbered_frame(0))
    buffer.take()
    buffer.end()
    assert told == [True, False, True]


class _Leaving(Source):
    """Gives a frame and asks the program to end, as a careless plug-in does."""

    @property
    def info(self) -> SourceInfo:
        """It has an end."""
        return SourceInfo("leaving", live=False)

    def frames(self) -> Iterator[Frame]:
        """One, and no more."""
        yield numbered_frame(0)
        raise SystemExit(0)

    def close(self) -> None:
        """Nothing is open."""


def test_plugin_that_ends_the_program_ends_its_source_only() -> None:
    """The frames that came are handed out, then the error says what it was."""
    frames = Prefetch(_Leaving()).frames()
    assert next(frames).seq == 0
    with pytest.raises(SourceError, match="leaving failed: SystemExit: 0"):
        next(frames)
