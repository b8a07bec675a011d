"""Decoding ahead keeps order, loses nothing and stays within its depth."""

import threading

import pytest

from ssa_stream.errors import ConfigError, SourceError
from ssa_stream.sources import Prefetch
from tests.support.scripted_source import DEADLINE_S, ScriptedSource


def test_every_frame_comes_in_order() -> None:
    """However small the queue."""
    for depth in (1, 3, 100):
        with Prefetch(ScriptedSource(range(50)), depth=depth) as prefetch:
            assert [frame.seq for frame in prefetch.frames()] == list(range(50))


def test_reading_ahead_is_bounded() -> None:
    """With nobody asking, the thread holds one frame more than the queue and waits."""
    reached = threading.Event()
    source = ScriptedSource([0, 1, 2, 3, reached, *range(4, 50)])
    with Prefetch(source, depth=3) as prefetch:
        frames = prefetch.frames()
        assert next(frames).seq == 0
        assert reached.wait(DEADLINE_S)
        assert source.asked <= 5
        assert [frame.seq for frame in frames] == list(range(1, 50))


def test_error_comes_after_the_frames_before_it() -> None:
    """Nothing that was decoded is lost to the error."""
    with Prefetch(ScriptedSource([0, 1, 2, SourceError("scripted broke")]), depth=8) as prefetch:
        frames = prefetch.frames()
        assert [next(frames).seq for _ in range(3)] == [0, 1, 2]
        with pytest.raises(SourceError, match="broke"):
            next(frames)


def test_leaving_early_joins_a_thread_that_waits_for_room() -> None:
    """A full queue does not keep the thread alive."""
    source = ScriptedSource(range(1000))
    with Prefetch(source, depth=2) as prefetch:
        for frame in prefetch.frames():
            if frame.seq == 3:
                break
    assert source.closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read ")]


def test_depth_zero_is_refused() -> None:
    """It would never deliver anything."""
    with pytest.raises(ConfigError, match="at least 1"):
        Prefetch(ScriptedSource([]), depth=0)
