"""Cameras without a camera: what is said when there is none, and that a silent one does not block."""

from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from ssa_stream.errors import SourceError
from ssa_stream.sources import CameraSource, camera, list_cameras
from tests.support.video_files import write_video


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine with cameras 2 and 10, of which 2 says its name."""
    monkeypatch.setattr(camera, "_DEVICES", tmp_path)
    monkeypatch.setattr(camera, "_DESCRIPTIONS", tmp_path / "names")
    for device in ("video10", "video2"):
        (tmp_path / device).touch()
    (tmp_path / "names" / "video2").mkdir(parents=True)
    (tmp_path / "names" / "video2" / "name").write_text("Front Camera\n")
    return iter([tmp_path])


def test_missing_camera_lists_those_there_are(devices: Iterator[Path]) -> None:
    """By number, with the driver's name where it has one."""
    root = next(devices)
    assert list_cameras() == {f"{root}/video2": "Front Camera", f"{root}/video10": ""}
    with pytest.raises(SourceError, match=r"no camera /dev/video77; there are: .*video2 \(Front Camera\), .*video10"):
        CameraSource(77)


def test_machine_without_cameras_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container without the device is the usual cause."""
    monkeypatch.setattr(camera, "_DEVICES", tmp_path)
    with pytest.raises(SourceError, match=r"no /dev/video\* at all"):
        CameraSource(0)


def test_file_that_is_no_camera_raises_source_error(tmp_path: Path) -> None:
    """The driver's refusal is told as one error."""
    path = tmp_path / "video9"
    path.touch()
    with pytest.raises(SourceError, match=f"cannot open {path}"):
        CameraSource(str(path))


def test_silent_camera_is_lost_in_bounded_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that never has a frame ready ends in an error after the read timeout, not in a blocked read."""
    path = write_video(tmp_path / "a.mkv", 3)
    monkeypatch.setattr(camera, "open_container", lambda target, **_: _Reluctant(av.open(target)))
    with CameraSource(str(path), timeouts_s=(10.0, 1.0)) as source:
        frames = source.frames()
        assert [next(frames).seq for _ in range(3)] == [0, 1, 2]
        with pytest.raises(SourceError, match=r"was lost after 3 frames: stalled, no frame for 1 s"):
            next(frames)


class _Reluctant:
    """A container that is not ready before each packet, and never again after the last: a non-blocking device."""

    def __init__(self, container: av.container.InputContainer) -> None:
        self._container = container
        self._packets = container.demux(video=0)
        self._ready = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._container, name)

    def demux(self, _stream: object) -> Iterator[object]:
        """Alternate between not ready and a packet."""
        while True:
            self._ready = not self._ready
            packet = next(self._packets, None) if self._ready else None
            if packet is None:
                raise av.error.BlockingIOError(11, "Resource temporarily unavailable")
            yield packet
