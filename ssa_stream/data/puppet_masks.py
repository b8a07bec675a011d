"""The masks of JHMDB: `part_mask` in the `puppet_mask.mat` of a video, from anywhere, within limits.

The format is version 5 of MATLAB's, which its versions 5 to 7 write. scipy reads it, too, but a false number in a file
makes it read outside its memory (1.17: the process dies), so that the few parts that are needed are read here.

Source: "MAT-File Format" of The MathWorks, version 5. Differs: arrays of one byte a number only.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ssa_stream.data.reading import expect_to_fit
from ssa_stream.errors import ConfigError
from ssa_stream.files import read_limited
from ssa_stream.picture_limits import USUAL_LIMITS
from ssa_stream.texts import brief

__all__ = ["puppet_mask_shape", "read_puppet_masks"]

_MOST_FILE_BYTES: Final = 64 * 2**20
_NAME: Final = b"part_mask"
_HEAD_BYTES: Final = 128
_ORDERS: Final = {b"IM": "<", b"MI": ">"}
_VERSION: Final = 0x0100
# Types of elements.
_BYTES, _INT32, _UINT32, _MATRIX, _COMPRESSED = (1, 2), 5, 6, 14, 15
_CLASSES: Final = (
    " cell struct object char sparse double single int8 uint8 int16 uint16 int32 uint32 int64 uint64".split(" ")
)
_BYTE_CLASSES: Final = ("int8", "uint8")
"""Logical arrays are of the second."""
_COMPLEX: Final = 0x0800
_MOST_OF_HEAD: Final = 4096
"""Of what is inflated to find out what a variable is."""


class _Variable(NamedTuple):
    """A variable, before its numbers are read.

    Attributes:
        flags: Class in the lowest byte, and flags.
        shape: Numbers along each axis.
        stored: Its element as it is in the file.
        is_compressed: Whether that is to be inflated.
        numbers_at: Where, in the element, the numbers begin.
        order: Byte order, for `struct`.
    """

    flags: int
    shape: tuple[int, ...]
    stored: memoryview
    is_compressed: bool
    numbers_at: int
    order: str


def puppet_mask_shape(path: Path) -> tuple[int, int, int]:
    """Height, width and number of masks, from the head of their array; see `read_puppet_masks`."""
    return _shape(_find(path), path)


def read_puppet_masks(path: Path) -> npt.NDArray[np.bool_]:
    """Read the masks of all frames.

    Returns:
        `(T, H, W)` bool.
    Raises:
        ConfigError: The file is missing, broken, too large or not of the format.
    """
    found = _find(path)
    height, width, length = _shape(found, path)
    count = height * width * length
    try:
        body = found.stored
        if found.is_compressed:
            body = memoryview(zlib.decompressobj().decompress(body, found.numbers_at + count + 16))
        kind, numbers, _ = _element(body, found.numbers_at, found.order)
    except (ValueError, zlib.error) as error:
        raise _broken(path, error) from error
    if kind not in _BYTES or len(numbers) != count:
        raise ConfigError(f"{path}: part_mask has {len(numbers):,} bytes of type {kind}; expected {count:,} of uint8")
    masks = np.frombuffer(numbers, np.uint8).reshape((height, width, length), order="F")
    return np.ascontiguousarray(np.moveaxis(masks, 2, 0) != 0)


def _shape(found: _Variable, path: Path) -> tuple[int, int, int]:
    """Check what is in a file before any of it is read; MATLAB leaves out a last axis of one."""
    shape, number = found.shape, found.flags & 0xFF
    name = _CLASSES[number] if number < len(_CLASSES) else f"of class {number}"
    if name not in _BYTE_CLASSES or found.flags & _COMPLEX or len(shape) not in (2, 3) or min(shape) < 1:
        raise ConfigError(f"{path}: part_mask is {name} {brief(shape)}; expected uint8 (H, W, T)")
    height, width, length = (*shape, 1)[:3]
    problem = USUAL_LIMITS.problem(width, height)
    if problem is not None:
        raise ConfigError(f"{path}: part_mask has {problem}")
    expect_to_fit((height, width, length), f"masks of {path}")
    return height, width, length


def _find(path: Path) -> _Variable:
    """The one variable that matters.

    Raises:
        ConfigError: There is none, or the file is missing, broken or of another format.
    """
    try:
        content = memoryview(read_limited(path, most_bytes=_MOST_FILE_BYTES))
        found = list(_variables(content, _order(content)))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; expected the masks of a video") from error
    except (OSError, ValueError, zlib.error) as error:
        raise _broken(path, error) from error
    if len(found) != 1:
        raise ConfigError(f"{path} has {len(found)} variables part_mask; expected one")
    return found[0]


def _broken(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{path} cannot be read as a MATLAB file: {error}")


def _order(content: memoryview) -> str:
    """The byte order of a file; ValueError if it is of another version, or none."""
    order = _ORDERS.get(bytes(content[_HEAD_BYTES - 2 : _HEAD_BYTES]))
    if bytes(content[:10]) == b"MATLAB 7.3":
        raise ValueError("it is of MATLAB 7.3; save it again with -v7, as the published files are")
    if order is None or struct.unpack_from(f"{order}H", content, _HEAD_BYTES - 4)[0] != _VERSION:
        raise ValueError("it does not begin as one of versions 5 to 7")
    return order


def _variables(content: memoryview, order: str) -> Iterator[_Variable]:
    """The variables with the name of the masks; ValueError or zlib.error where the file is broken."""
    at = _HEAD_BYTES
    while at < len(content):
        kind, stored, at = _element(content, at, order)
        if kind == _COMPRESSED:
            inflated = memoryview(zlib.decompressobj().decompress(stored, _MOST_OF_HEAD))
            if len(inflated) < 8:
                raise ValueError("a compressed variable is cut off")
            if struct.unpack_from(f"{order}I", inflated)[0] == _MATRIX:
                yield from _named(inflated, 8, stored, True, order)
        elif kind == _MATRIX:
            yield from _named(stored, 0, stored, False, order)


def _named(body: memoryview, at: int, stored: memoryview, is_compressed: bool, order: str) -> Iterator[_Variable]:
    """What a variable's head says, if it has the name of the masks; objects have other heads and names."""
    kind, flags, at = _element(body, at, order)
    dimensions_kind, dimensions, at = _element(body, at, order)
    if kind != _UINT32 or len(flags) != 8 or dimensions_kind != _INT32 or len(dimensions) % 4:
        return
    _, name, at = _element(body, at, order)
    if bytes(name) == _NAME:
        shape = struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions)
        yield _Variable(struct.unpack_from(f"{order}I", flags)[0], shape, stored, is_compressed, at, order)


def _element(data: memoryview, at: int, order: str) -> tuple[int, memoryview, int]:
    """An element's type, its content, and where the next one begins; ValueError if it ends too early."""
    if at + 8 > len(data):
        raise ValueError("it is cut off")
    kind, size = struct.unpack_from(f"{order}II", data, at)
    start = at + 8
    after = start + (size if kind == _COMPRESSED else 8 * math.ceil(size / 8))
    if kind >> 16:  # a short one: its size, its type and its content are in these eight bytes
        kind, size, start, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
    if start + size > len(data) or (after == at + 8 and start == at + 4 and size > 4):
        raise ValueError("it is cut off")
    return kind, data[start : start + size], after
