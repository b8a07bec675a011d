"""Grey PNG files decoded fast: most of the time of scoring goes into inflating masks.

What is not an ordinary grey picture of 8 bits, or broken in any way, is left to OpenCV, as the published scorers do.
"""

import contextlib
import importlib
import struct
import zlib
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

inflater: Any = zlib
with contextlib.suppress(ImportError):
    # Of the extra `data`: inflates masks in a small part of the time, to the same bytes.
    inflater = importlib.import_module("zlib_ng.zlib_ng")

__all__ = ["decode_grey_png"]

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_ORDINARY: Final = bytes([8, 0, 0, 0, 0])  # 8 bits, grey, deflate, the five filters, not interlaced
_LEFT, _ABOVE, _MEAN, _PAETH = 1, 2, 3, 4


def decode_grey_png(content: bytes) -> npt.NDArray[np.uint8] | None:
    """Decode a picture whose size was found small enough.

    Args:
        content: The whole file.
    Returns:
        `(H, W)` uint8; None for what OpenCV should decode, or refuse.
    """
    if content[:8] != _SIGNATURE or content[12:16] != b"IHDR" or content[24:29] != _ORDINARY:
        return None
    width, height = struct.unpack_from(">II", content, 16)
    packed = _packed_pixels(content)
    if packed is None:
        return None
    size = height * (width + 1)
    try:
        unpacking = inflater.decompressobj()
        unpacked = unpacking.decompress(packed, size + 1)
    except inflater.error:
        return None
    if len(unpacked) != size or not unpacking.eof:
        return None
    rows = np.frombuffer(unpacked, np.uint8).reshape(height, width + 1)
    return _unfiltered(rows[:, 0], rows[:, 1:].copy())


def _packed_pixels(content: bytes) -> bytes | None:
    """The content of all IDAT chunks; None if a chunk is broken or changes what pixels mean."""
    parts: list[bytes] = []
    place = 8
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        end = place + 12 + length
        kind = content[place + 4 : place + 8]
        if end > len(content):
            return None
        if kind == b"IEND":
            return b"".join(parts) if parts else None
        if kind == b"eXIf":  # OpenCV turns the picture as it says
            return None
        if kind[:1].isupper():  # a chunk that decoders must understand
            (checksum,) = struct.unpack_from(">I", content, end - 4)
            if kind not in (b"IHDR", b"IDAT") or zlib.crc32(content[place + 4 : end - 4]) != checksum:
                return None
        if kind == b"IDAT":
            parts.append(content[place + 8 : end - 4])
        place = end
    return None


def _unfiltered(filters: npt.NDArray[np.uint8], pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | None:
    """Add what filters took away, in place; None if there is no such filter."""
    if not len(filters) or filters.max() > _PAETH:
        return None
    changes = pixels.max(axis=1) > 0
    is_copy = (filters == _ABOVE) & ~changes  # of the row above; most rows of a mask, in long stretches
    edges = np.flatnonzero(np.diff(is_copy.view(np.int8), prepend=0, append=0)).tolist()
    copies = dict(zip(edges[::2], edges[1::2], strict=True))
    lefts = np.flatnonzero((filters == _LEFT) & changes)
    pixels[lefts] = np.add.accumulate(pixels[lefts], axis=1, dtype=np.uint8)
    others = np.flatnonzero((filters != 0) & (filters != _LEFT) & ~is_copy).tolist()
    kinds = filters.tolist()
    nothing = np.zeros(pixels.shape[1], np.uint8)
    for row in sorted([*copies, *others]):
        above = pixels[row - 1] if row else nothing
        if row in copies:
            pixels[row : copies[row]] = above
        elif kinds[row] == _ABOVE:
            np.add(pixels[row], above, out=pixels[row])
        else:
            _add_predicted(pixels[row], above, mean=kinds[row] == _MEAN)
    return pixels


def _add_predicted(line: npt.NDArray[np.uint8], above: npt.NDArray[np.uint8], *, mean: bool) -> None:
    """The filters `average` and `Paeth`, which go pixel by pixel: masks are the same over long stretches.

    Where nothing was taken away, and what is above does not change and (for `average`) is what is at the left, the
    value at the left goes on.
    """
    width = len(line)
    is_event = line != 0
    is_event[1:] |= above[1:] != above[:-1]
    is_event[0] = True
    events = [*np.flatnonzero(is_event).tolist(), width]
    left, above_left = 0, 0
    for event, following in pairwise(events):
        place = event
        while place < following:
            over = int(above[place])
            predicted = (left + over) // 2 if mean else _paeth(left, over, above_left)
            left, above_left = (int(line[place]) + predicted) & 255, over
            line[place] = left
            place += 1
            if not mean or left == over:
                line[place:following] = left
                place = following
                above_left = int(above[following - 1])


def _paeth(left: int, above: int, above_left: int) -> int:
    """The one of three neighbours that is nearest to left + above - above_left."""
    to_left, to_above = abs(above - above_left), abs(left - above_left)
    to_corner = abs(left + above - 2 * above_left)
    if to_left <= to_above and to_left <= to_corner:
        return left
    return above if to_above <= to_corner else above_left
