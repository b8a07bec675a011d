"""Exceptions that nobody foresaw end a frame or a connection, and nothing else."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from ssa_stream.errors import ConfigError, SourceError, SourceErrorCode
from ssa_stream.sources import Frame, Freshest, Prefetch, Realtime, Recovering, RecoveryPolicy, SourceStatus
from ssa_stream.sources.container import open_container
from ssa_stream.sources.conversion import FrameConverter
from ssa_stream.sources.live import LiveSource
from ssa_stream.sources.unexpected import describe, foreseen
from tests.support.scripted_source import ScriptedSource, numbered_frame
from tests.support.video_files import write_video
from tests.support.waiting import wait_until

_QUICK = RecoveryPolicy(retry_s=0.001, retry_max_s=0.001)


class _FailsToClose(ScriptedSource):
    """A plug-in with a mistake where it ends."""

    def close(self) -> None:
        """Fail, though it is closed."""
        super().close()
        raise RuntimeError("already gone")


def test_texts_have_the_type_and_no_password() -> None:
    """Errors of ours are left as they are."""
    assert describe(KeyError()) == "KeyError"
    told = foreseen("cam", ValueError("cannot parse rtsp://me:hidden@host/1"))
    assert isinstance(told, SourceError)
    assert told.code is SourceErrorCode.OTHER
    assert "hidden" not in str(told)
    assert str(told).startswith("cam failed: ValueError: cannot parse")
    ours = ConfigError("no")
    assert foreseen("cam", ours) is ours


def test_live_source_recovers_from_an_exception_that_nobody_foresaw() -> None:
    """As from any loss; the state says what it was."""
    states: list[SourceStatus] = []
    connections = iter(
        [ScriptedSource([0, ValueError("31 is not a valid Type")]), ScriptedSource([0], block_at_end=True)]
    )
    with Recovering("cam", lambda: next(connections), _QUICK, on_state=states.append) as source:
        epochs = {frame.epoch for frame in islice(source.frames(), 1)}
        assert epochs <= {0, 1}
        wait_until(lambda: any(state.code is not None for state in states), "it tells what it was")
    lost = next(state for state in states if state.code is not None)
    assert lost.code is SourceErrorCode.OTHER
    assert "ValueError: 31 is not a valid Type" in lost.text


def test_connection_that_fails_to_close_is_over_all_the_same() -> None:
    """Its frames came; the next connection is made."""
    connections = iter([_FailsToClose([0, SourceError("gone")]), ScriptedSource([0], block_at_end=True)])
    with Recovering("cam", lambda: next(connections), _QUICK) as source:
        frames = source.frames()
        while next(frames).epoch == 0:
            pass


def test_plug_in_that_fails_to_close_is_a_warning() -> None:
    """All of its frames were delivered."""
    source = Prefetch(_FailsToClose([0, 1]))
    with source:
        assert len(list(source.frames())) == 2
    assert source.warnings == ("it could not be closed: RuntimeError: already gone",)


def test_exception_of_a_plug_in_is_an_error_of_its_source() -> None:
    """With its type, and with itself as the cause."""
    with (
        Prefetch(ScriptedSource([0, KeyError("bug")])) as source,
        pytest.raises(SourceError, match="KeyError") as caught,
    ):
        list(source.frames())
    assert isinstance(caught.value.__cause__, KeyError)


class _Stubborn(FrameConverter):
    """Cannot convert some pictures."""

    def __init__(self, bad: frozenset[int]) -> None:
        super().__init__(10.0)
        self._bad, self._count = bad, -1

    def finish(self, *args: object, **options: object) -> Frame:
        """Fail where told to."""
        self._count += 1
        if self._count in self._bad:
            raise ValueError(f"picture {self._count}")
        return super().finish(*args, **options)  # type: ignore[arg-type]  # handed on as they came


def _live(folder: Path, bad: frozenset[int], count: int = 40) -> LiveSource:
    path = write_video(folder / "a.ts", count)
    container = open_container(str(path), name="a", timeouts_s=(5, 5), options={})
    source = LiveSource(container, "a", read_timeout_s=5, no_frame_limit_s=5)
    source._converter = _Stubborn(bad)
    return source


def test_picture_that_cannot_be_converted_is_skipped_and_counted(tmp_path: Path) -> None:
    """It ends that picture only."""
    source = _live(tmp_path, frozenset({3, 4, 20}))
    assert len(list(source.frames())) == 37
    assert source.losses.failed_frames == 3


def test_source_none_of_whose_pictures_can_be_converted_is_lost(tmp_path: Path) -> None:
    """After a limit in a row, with the exception in the text."""
    source = _live(tmp_path, frozenset(range(40)))
    with pytest.raises(SourceError, match="no picture can be used: ValueError: picture 29"):
        list(source.frames())


class _Silent(ScriptedSource):
    """A recording with a pause that the test ends."""

    def __init__(self) -> None:
        super().__init__([])

    def frames(self) -> Iterator[Frame]:
        """Two frames, a tenth of a second apart."""
        yield numbered_frame(0, t=0.0)
        yield numbered_frame(1, t=0.3)


def test_pause_of_a_paced_recording_is_no_stall() -> None:
    """However short the limit of who reads it is."""
    with Freshest(Realtime(_Silent()), stall_timeout_s=0.05) as source:
        assert source.longest_wait_s is None
        assert [frame.seq for frame in source.frames()] == [0, 1]


def test_silence_of_a_source_that_is_live_itself_stays_a_stall() -> None:
    """A plug-in's too."""
    with (
        Freshest(ScriptedSource([0], block_at_end=True), stall_timeout_s=0.05) as source,
        pytest.raises(SourceError, match="stalled"),
    ):
        list(source.frames())
