"""What a camera can deliver, asked of its driver (Video4Linux)."""

import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ssa_stream.errors import SourceError, SourceErrorCode

__all__ = ["CameraFormat", "camera_formats"]

Ioctl = Callable[[int, int, bytearray], object]

_CAPTURE = 1
_DISCRETE = 1
_MOST = 256  # of anything; a driver that never ends is none


def _request(number: int, size: int) -> int:
    """A read-and-write request of Video4Linux."""
    return 3 << 30 | size << 16 | ord("V") << 8 | number


# Layouts of linux/videodev2.h: what is asked for, what comes, and padding up to the size of the structure.
_FORMAT = struct.Struct("=III32s4s16x")
_SIZE = struct.Struct("=I4sIIIIIII8x")
_INTERVAL = struct.Struct("=I4sIIIIIIIII8x")
_ENUM_FORMAT = _request(2, _FORMAT.size)
_ENUM_SIZE = _request(74, _SIZE.size)
_ENUM_INTERVAL = _request(75, _INTERVAL.size)


@dataclass(frozen=True, slots=True)
class CameraFormat:
    """One way in which a camera delivers pictures.

    Attributes:
        code: Four letters, such as `MJPG` or `YUYV`.
        width: Pixels; the largest one where the camera scales freely.
        height: Likewise.
        rates_hz: Pictures per second, highest first; empty if the driver does not say.
    """

    code: str
    width: int
    height: int
    rates_hz: tuple[float, ...]


def camera_formats(device: str, ioctl: Ioctl = fcntl.ioctl) -> tuple[CameraFormat, ...]:
    """What a camera can deliver; empty for a device that delivers no pictures, as many cameras have beside the first.

    Args:
        device: Path, such as `/dev/video0`.
        ioctl: Asks the driver.
    Raises:
        SourceError: It cannot be opened; says what to do.
    """
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError as error:
        raise SourceError(
            f"{device} may not be opened by this user; add it to the group video: sudo usermod -aG video $USER, "
            f"then log in again",
            SourceErrorCode.AUTH_FAILED,
        ) from error
    except OSError as error:
        raise SourceError(f"{device} cannot be opened ({error.strerror})", SourceErrorCode.NOT_FOUND) from error
    try:
        return tuple(_formats(descriptor, ioctl))
    finally:
        os.close(descriptor)


def _formats(descriptor: int, ioctl: Ioctl) -> Iterator[CameraFormat]:
    for answer in _enumerate(descriptor, ioctl, _ENUM_FORMAT, _FORMAT, _CAPTURE, 0, b"", b""):
        code = answer[4]
        for size in _enumerate(descriptor, ioctl, _ENUM_SIZE, _SIZE, code, *[0] * 7):
            # A camera that scales freely tells ranges: least, most and step of each side.
            width, height = (size[3], size[4]) if size[2] == _DISCRETE else (size[4], size[7])
            yield CameraFormat(
                code=code.decode("ascii", "replace").strip(),
                width=width,
                height=height,
                rates_hz=tuple(sorted(_rates(descriptor, ioctl, code, width, height), reverse=True)),
            )


def _rates(descriptor: int, ioctl: Ioctl, code: bytes, width: int, height: int) -> Iterator[float]:
    asked = (code, width, height, *[0] * 7)
    for answer in _enumerate(descriptor, ioctl, _ENUM_INTERVAL, _INTERVAL, *asked):
        seconds, parts = answer[5], answer[6]
        if seconds > 0:
            yield parts / seconds
        if answer[4] != _DISCRETE:
            return


def _enumerate(descriptor: int, ioctl: Ioctl, request: int, layout: struct.Struct, *asked: object) -> Iterator[tuple]:  # type: ignore[type-arg]
    """Answers to one request, index by index, until the driver has no more."""
    for index in range(_MOST):
        packed = bytearray(layout.pack(index, *asked))
        try:
            ioctl(descriptor, request, packed)
        except OSError:
            return
        yield layout.unpack(packed)
