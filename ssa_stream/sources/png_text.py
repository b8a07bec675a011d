"""Compressed text and colour profiles in a PNG, which a decoder unpacks however long they become."""

import zlib
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from ssa_stream.errors import SourceError, SourceErrorCode

__all__ = ["require_small_text", "require_small_text_of"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Of all of them together, unpacked. Profiles for printing have one to two megabytes.
_MOST_BYTES = 16_000_000
# Of a picture within the limits, or of an animation of some thousand pictures.
_MOST_CHUNKS = 200_000


def require_small_text(path: Path) -> None:
    """Refuse a PNG file whose text takes more memory than a picture; every other file is fine.

    Raises:
        SourceError: It is one.
    """
    try:
        with path.open("rb") as file:
            problem = _problem(file)
    except OSError:
        return
    _raise(problem, str(path))


def require_small_text_of(picture: bytes, name: str) -> None:
    """The same for a picture in memory.

    Raises:
        SourceError: It is one.
    """
    _raise(_problem(BytesIO(picture)), name)


def _raise(problem: str | None, name: str) -> None:
    if problem is not None:
        raise SourceError(
            f"{name} holds {problem}: expected a picture; save it again without its text and colour profile",
            SourceErrorCode.TOO_LARGE,
        )


def _problem(file: BinaryIO) -> str | None:
    if file.read(len(_SIGNATURE)) != _SIGNATURE:
        return None
    left = _MOST_BYTES
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if len(head) < 8 or kind == b"IEND":
            return None
        if kind not in (b"zTXt", b"iTXt", b"iCCP"):
            file.seek(length + 4, 1)
            continue
        left -= _unpacked(_packed(kind, file.read(length)), left + 1)
        if left < 0:
            return f"more than {_MOST_BYTES:,} bytes of packed text"
        file.seek(4, 1)
    return f"more than {_MOST_CHUNKS:,} parts"


def _packed(kind: bytes, data: bytes) -> bytes:
    """The packed part of a chunk; empty if it is not packed."""
    _, _, rest = data.partition(b"\0")  # a keyword
    if kind != b"iTXt":
        return rest[1:]
    is_packed = rest[:1] == b"\1"
    return rest[2:].split(b"\0", 2)[-1] if is_packed else b""  # behind a language and a translated keyword


def _unpacked(data: bytes, most: int) -> int:
    """Bytes that it unpacks to, counted up to `most`."""
    try:
        return len(zlib.decompressobj().decompress(data, most))
    except zlib.error:
        return 0
