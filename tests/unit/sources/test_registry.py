"""From what a user types to the right reader."""

from pathlib import Path

import pytest

from ssa_stream.errors import ConfigError, SourceError, SourceErrorCode
from ssa_stream.sources import (
    FileSource,
    Realtime,
    Recovering,
    RecoveryPolicy,
    SourceStage,
    SourceStatus,
    SyntheticSource,
    known_schemes,
    open_source,
)
from tests.support.video_files import write_video


def test_file_by_name_path_and_address(tmp_path: Path) -> None:
    """Three ways to say the same file."""
    path = write_video(tmp_path / "a.mp4", 2)
    for spec in (path, str(path), f"file:{path}", f"file://{path}"):
        with open_source(spec) as source:
            assert isinstance(source, FileSource)
            assert len(list(source.frames())) == 2


def test_existing_file_with_a_colon_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that looks like a scheme is opened if it exists."""
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "cam.mkv", 1).rename(tmp_path / "cam:one.mkv")
    with open_source(Path("cam:one.mkv")) as source:
        assert not source.info.live
    with open_source("cam:one.mkv") as source:
        assert not source.info.live


def test_live_file_is_played_at_its_pace(tmp_path: Path) -> None:
    """`live=True` makes a recording behave as a camera."""
    with open_source(write_video(tmp_path / "a.mp4", 2), live=True) as source:
        assert isinstance(source, Realtime)
        assert source.info.live


@pytest.mark.parametrize(
    ("spec", "live", "expected"),
    [
        ("synthetic", None, True),
        ("synthetic@10frames", None, False),
        ("synthetic:3@10frames", True, True),
        ("synthetic", False, False),
    ],
)
def test_synthetic_is_live_when_endless(spec: str, live: bool | None, expected: bool) -> None:
    """Unless told otherwise."""
    with open_source(spec, live=live) as source:
        assert isinstance(source, SyntheticSource)
        assert source.info.live is expected


def test_camera_by_number_and_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that is no text is a camera, never a file; in a text the name of a file that exists comes first."""
    for spec in (77, "77", "camera:77", "/dev/video77"):
        with pytest.raises(SourceError, match="no camera /dev/video77"):
            open_source(spec)
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", 2).rename("77")
    with open_source("77") as source:
        assert len(list(source.frames())) == 2
    with pytest.raises(SourceError, match="no camera /dev/video77"):
        open_source(77)


def test_unknown_scheme_lists_the_known_ones() -> None:
    """And the message does not hold the password."""
    with pytest.raises(SourceError, match=r"'gopher' is unknown.*camera.*rtsp.*synthetic") as caught:
        open_source("gopher://me:hidden@host/x")
    assert "hidden" not in str(caught.value)
    assert {"camera", "file", "http", "rtsp", "synthetic", "udp"} <= set(known_schemes())


def test_camera_cannot_be_read_as_a_recording() -> None:
    """`live=False` on a live source is a mistake of the caller."""
    for spec in (0, "rtsp://host/x"):
        with pytest.raises(ConfigError, match="live by nature"):
            open_source(spec, live=False)


def test_refused_connection_says_so_without_the_password() -> None:
    """Not in the text, nor in any error behind it."""
    states: list[SourceStatus] = []
    with pytest.raises(SourceError, match="nothing listens there") as caught:
        open_source("rtsp://cam:s3cret@127.0.0.1:9/x", on_state=states.append)
    assert caught.value.code is SourceErrorCode.REFUSED
    assert [status.stage for status in states] == [SourceStage.CONNECTING, SourceStage.FAILED]
    assert "s3cret" not in str(caught.value) + repr(states)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_unknown_host_is_told_from_other_problems() -> None:
    """FFmpeg calls it an input/output error; for a secure address it is not one of TLS."""
    for scheme in ("rtsp", "rtsps"):
        with pytest.raises(SourceError, match="host name is not known") as caught:
            open_source(f"{scheme}://nowhere.invalid/x", recovery=None)
        assert caught.value.code is SourceErrorCode.UNREACHABLE


def test_live_source_that_is_not_there_yet_is_waited_for_if_wanted() -> None:
    """It is live from the start, whatever it will be."""
    policy = RecoveryPolicy(patient_start=True)
    with open_source("rtsp://127.0.0.1:9/x", recovery=policy) as source:
        assert isinstance(source, Recovering)
        assert source.info.live
        assert source.info.recovers


def test_timeout_that_is_none_is_refused() -> None:
    """Before anything is opened."""
    with pytest.raises(ConfigError, match="connect_s is 0"):
        open_source("rtsp://127.0.0.1:9/x", open_timeout_s=0)
