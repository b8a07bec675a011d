"""Grey PNG files decoded fast: most of the time of scoring goes into inflating masks.

What is not an ordinary grey picture of 8 bits, or broken in any way, is left to OpenCV, as the published scorers do.
"""

import contextlib
import importlib
import struct
import zlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

inflater: Any = zlib
with contextlib.suppress(ImportError):
    # Of the extra `data`: inflates masks in a small part of the time, to the same bytes.
    inflater = importlib.import_module("zlib_ng.zlib_ng")

__all__ = ["decode_grey_png", "load_fast_decoding"]

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_ORDINARY: Final = bytes([8, 0, 0, 0, 0])  # 8 bits, grey, deflate, the five filters, not interlaced
_undo_filters: Callable[[npt.NDArray[np.uint8], npt.NDArray[np.uint8]], bool] | None = None


def load_fast_decoding() -> None:
    """Load numba, of the extra `fast`, which is worth its half second for many pictures; without it OpenCV decodes."""
    global _undo_filters
    with contextlib.suppress(ImportError):
        from ssa_stream.evaluation.score.png_filters import undo_filters

        _undo_filters = undo_filters


def decode_grey_png(content: bytes) -> npt.NDArray[np.uint8] | None:
    """Decode a picture whose size was found small enough.

    Args:
        content: The whole file.
    Returns:
        `(H, W)` uint8; None for what OpenCV should decode, or refuse, and before `load_fast_decoding`.
    """
    if _undo_filters is None or content[:8] != _SIGNATURE or content[12:16] != b"IHDR" or content[24:29] != _ORDINARY:
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
    pixels = np.empty((height, width), np.uint8)
    return pixels if _undo_filters(rows, pixels) else None


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
