"""The newest frame wins; what it overtakes is counted; nothing waits for ever."""

import threading
from collections.abc import Iterator, Sequence

import pytest

from ssa_stream.errors import SourceError
from ssa_stream.sources import Frame, Freshest, Realtime
from tests.support.scripted_source import DEADLINE_S, ScriptedSource, numbered_frame


class StepSource(ScriptedSource):
    """Delivers as many frames as it is let; being asked for one more means the last one was taken in."""

    def __init__(self, script: Sequence[int | Frame] = range(1000)) -> None:
        super().__init__(script)
        self._permits = threading.Semaphore(0)
        self._asked = threading.Semaphore(0)

    def frames(self) -> Iterator[Frame]:
        """Wait for a permit before each frame."""
        for number, frame in enumerate(super().frames()):
            if number:
                self._asked.release()
            assert self._permits.acquire(timeout=DEADLINE_S)
            if self.closed.is_set():
                return
            yield frame

    def let(self, count: int) -> None:
        """Allow that many frames."""
        self._permits.release(count)

    def wait_until_asked(self, count: int) -> None:
        """Wait until that many frames were taken in."""
        for _ in range(count):
            assert self._asked.acquire(timeout=DEADLINE_S)

    def close(self) -> None:
        """End, also while waiting for a permit."""
        super().close()
        self._permits.release(1000)


def _reading_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("read ")]


def test_newest_frame_wins_and_drops_are_counted() -> None:
    """Frames that came while nobody asked are gone, but for the last."""
    five_came = threading.Event()
    source = ScriptedSource([0, 1, 2, 3, 4, five_came], block_at_end=True)
    with Freshest(source) as freshest:
        frames = freshest.frames()
        first = next(frames).seq
        assert five_came.wait(DEADLINE_S)
        rest = [] if first == 4 else [next(frames).seq]
        assert [first, *rest][-1] == 4
        assert freshest.dropped == 5 - len([first, *rest])
        assert freshest.received == 5
        frames.close()  # type: ignore[attr-defined]  # a generator, typed as an iterator
    assert source.closed.is_set()
    assert not _reading_threads()


def test_exactly_the_overtaken_frames_are_dropped() -> None:
    """With the consumer away for frames 1 to 7, it gets 0 and 7, and six are dropped."""
    script = StepSource()
    with Freshest(script) as freshest:
        frames = freshest.frames()
        script.let(1)
        assert next(frames).seq == 0
        script.let(7)
        script.wait_until_asked(8)
        assert next(frames).seq == 7
        assert freshest.dropped == 6


def test_frames_overtaken_at_the_end_of_their_epoch_are_told_apart() -> None:
    """No gap in the numbers shows them: of the first epoch 2 to 4, and all of the second one, 0 and 1."""
    numbers = (0, 1), (0, 2), (0, 4), (1, 1), (2, 3), (2, 4)
    script = StepSource([numbered_frame(seq, epoch=epoch) for epoch, seq in numbers])
    with Freshest(script) as freshest:
        frames = freshest.frames()
        script.let(1)
        assert (next(frames).seq, freshest.dropped_last) == (1, 0)
        script.let(4)
        script.wait_until_asked(5)
        assert (next(frames).seq, freshest.received) == (3, 5)
        assert (freshest.dropped, freshest.dropped_last) == (3, 5)


def test_last_frame_of_a_finite_source_is_delivered() -> None:
    """The end does not swallow what came just before it."""
    ended = threading.Event()
    with Freshest(ScriptedSource([0, 1, 2, ended])) as freshest:
        numbers = [frame.seq for frame in freshest.frames()]
    assert numbers[-1] == 2
    assert len(numbers) + freshest.dropped == freshest.received == 3


def test_error_of_the_source_is_raised_after_the_last_frame() -> None:
    """The asking thread learns what happened in the reading thread."""
    numbers: list[int] = []
    with (
        Freshest(ScriptedSource([0, 1, SourceError("scripted was lost")])) as freshest,
        pytest.raises(SourceError, match="was lost"),
    ):
        numbers.extend(frame.seq for frame in freshest.frames())
    assert numbers[-1] == 1
    assert not _reading_threads()


def test_silent_source_raises_stalled_and_is_closed() -> None:
    """The wait is bounded, and the blocked read is ended."""
    source = ScriptedSource([0], block_at_end=True)
    with Freshest(source, stall_timeout_s=0.5) as freshest:
        frames = freshest.frames()
        assert next(frames).seq == 0
        with pytest.raises(SourceError, match=r"scripted stalled: no frame for 0\.5 s"):
            next(frames)
    assert source.closed.is_set()
    assert not _reading_threads()


def test_close_from_another_thread_ends_a_blocked_wait() -> None:
    """The consumer's iteration ends without an error, the thread is joined."""
    blocked = threading.Event()
    freshest = Freshest(ScriptedSource([0, blocked], block_at_end=True), stall_timeout_s=DEADLINE_S)
    numbers: list[int] = []
    consumer = threading.Thread(target=lambda: numbers.extend(frame.seq for frame in freshest.frames()))
    consumer.start()
    assert blocked.wait(DEADLINE_S)
    freshest.close()
    freshest.close()
    consumer.join(DEADLINE_S)
    assert not consumer.is_alive()
    assert numbers in ([], [0])
    assert not _reading_threads()


def test_closed_before_reading_delivers_nothing() -> None:
    """A source that was closed early starts nothing that lasts."""
    freshest = Freshest(ScriptedSource([0, 1]))
    freshest.close()
    assert list(freshest.frames()) == []
    assert not _reading_threads()


def test_info_says_live_around_realtime() -> None:
    """A file, played at its pace, looks like a camera."""
    assert Freshest(Realtime(ScriptedSource([]))).info.live
