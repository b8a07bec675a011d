"""What a camera's driver says, played by a driver that answers as Linux documents it."""

import errno
import struct
from pathlib import Path

import pytest

from ssa_stream.errors import SourceError
from ssa_stream.sources.camera_formats import CameraFormat, camera_formats

# As the C compiler gives them for linux/videodev2.h.
ENUM_FORMAT, ENUM_SIZE, ENUM_INTERVAL = 0xC0405602, 0xC02C564A, 0xC034564B
DISCRETE, STEPWISE = 1, 3


class _Driver:
    """Two sizes of MJPG, and YUYV that scales freely."""

    def __call__(self, _descriptor: int, request: int, memory: bytearray) -> int:
        (index,) = struct.unpack_from("=I", memory)
        if request == ENUM_FORMAT:
            codes = [b"MJPG", b"YUYV"]
            self._check(index, len(codes))
            memory[44:48] = codes[index]
        elif request == ENUM_SIZE and memory[4:8] == b"MJPG":
            self._check(index, 2)
            struct.pack_into("=III", memory, 8, DISCRETE, *[(1280, 720), (640, 480)][index])
        elif request == ENUM_SIZE:
            self._check(index, 1)
            struct.pack_into("=7I", memory, 8, STEPWISE, 32, 1920, 2, 16, 1080, 2)
        elif request == ENUM_INTERVAL and memory[4:8] == b"MJPG":
            self._check(index, 2)
            struct.pack_into("=III", memory, 16, DISCRETE, 1, [15, 30][index])
        else:
            assert request == ENUM_INTERVAL
            self._check(index, 0)
        return 0

    def _check(self, index: int, count: int) -> None:
        if index >= count:
            raise OSError(errno.EINVAL, "no more")


def test_formats_sizes_and_rates_are_read(tmp_path: Path) -> None:
    """Highest rates first; of free sizes the largest; a driver that tells no rates has none."""
    device = tmp_path / "video0"
    device.touch()
    assert camera_formats(str(device), _Driver()) == (
        CameraFormat("MJPG", 1280, 720, (30.0, 15.0)),
        CameraFormat("MJPG", 640, 480, (30.0, 15.0)),
        CameraFormat("YUYV", 1920, 1080, ()),
    )


def test_device_that_is_no_camera_has_no_formats(tmp_path: Path) -> None:
    """The real driver is asked, of a plain file."""
    device = tmp_path / "video1"
    device.touch()
    assert camera_formats(str(device)) == ()


def test_missing_device_is_told() -> None:
    """By its path."""
    with pytest.raises(SourceError, match=r"/dev/video99 cannot be opened \(No such file"):
        camera_formats("/dev/video99")
