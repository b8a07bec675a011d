"""A recording played at its own pace, on a clock that the test turns."""

import pytest

from ssa_stream.errors import ConfigError
from ssa_stream.sources import Realtime
from tests.support.scripted_source import ScriptedSource, numbered_frame


class Clock:
    """Time passes only by waiting, or when told."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s

    def wait(self, seconds: float) -> bool:
        """Let it pass."""
        self.waits.append(seconds)
        self.now_s += seconds
        return False


def test_frames_come_at_their_times() -> None:
    """The first at once, each other when its time has come, with the due time as capture time."""
    clock = Clock()
    script = [numbered_frame(seq, t=t) for seq, t in enumerate([5.0, 5.1, 5.5])]
    with Realtime(ScriptedSource(script), clock=clock, wait=clock.wait) as source:
        came = [(frame.seq, clock.now_s, frame.t_capture_ns) for frame in source.frames()]
    assert [seq for seq, _, _ in came] == [0, 1, 2]
    assert [now_s for _, now_s, _ in came] == pytest.approx([100.0, 100.1, 100.5])
    assert [captured for _, _, captured in came] == pytest.approx([100.0e9, 100.1e9, 100.5e9])


def test_speed_shortens_the_waits() -> None:
    """Twice as fast."""
    clock = Clock()
    with Realtime(ScriptedSource([0, 1, 2]), speed=2.0, clock=clock, wait=clock.wait) as source:
        list(source.frames())
    assert clock.waits == pytest.approx([0.05, 0.05])


def test_late_reader_catches_up_without_waiting() -> None:
    """Frames whose time has passed come at once; the pace does not shift."""
    clock = Clock()
    with Realtime(ScriptedSource([0, 1, 2, 3, 4]), clock=clock, wait=clock.wait) as source:
        frames = source.frames()
        next(frames)
        clock.now_s += 0.35
        list(frames)
    assert clock.waits == pytest.approx([0.05])


def test_epoch_that_starts_again_is_played_on() -> None:
    """Stream time that went back to zero does not make every frame late."""
    clock = Clock()
    script = [numbered_frame(0, t=0.0), numbered_frame(1, t=50.0), numbered_frame(0, t=0.0, epoch=1)]
    script.append(numbered_frame(1, t=0.1, epoch=1))
    with Realtime(ScriptedSource(script), clock=clock, wait=clock.wait) as source:
        list(source.frames())
    assert clock.waits == pytest.approx([50.0, 0.1])


def test_close_ends_a_wait() -> None:
    """The default wait is on the closing itself."""
    script = [numbered_frame(0, t=0.0), numbered_frame(1, t=3600.0)]
    inner = ScriptedSource(script)
    source = Realtime(inner)
    frames = source.frames()
    next(frames)
    source.close()
    assert list(frames) == []
    assert inner.closed.is_set()


def test_speed_zero_is_refused() -> None:
    """It would never deliver a second frame."""
    with pytest.raises(ConfigError, match="above 0"):
        Realtime(ScriptedSource([]), speed=0)
