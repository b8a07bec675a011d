"""Whether a file is as long as its own structure says.

Containers and pictures say in their boxes, chunks or segments how long these are. A copy that was cut off, or a
recorder that lost power, leaves a file that ends inside one of them. This is told from the sizes alone, so it is exact:
a whole file is never called cut off, however odd its times are.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

__all__ = ["shortfall"]

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", 0x18538067
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_MP4_FIRST = frozenset({b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
_MP4_LATER = _MP4_FIRST | {b"moof", b"mfra", b"sidx", b"ssix", b"meta", b"udta", b"uuid", b"prft", b"emsg", b"pdin"}
# Elements of Matroska that stand beside a segment, and right in one.
_OUTER = frozenset({0x1A45DFA3, _SEGMENT, 0xEC, 0xBF})
_INNER = frozenset({0x1F43B675, 0x1654AE6B, 0x1549A966, 0x114D9B74, 0x1C53BB6B, 0x1254C367, 0x1043A770, 0x1941A469})
_PACK = b"\x00\x00\x01\xba"
_PES = re.compile(rb"\x00\x00\x01[\xbd-\xbf\xc0-\xef](..)", re.DOTALL)
_MPEG_TS_PACKET = {188: 0, 192: 4, 204: 0}
_HEAD = 512
_TAIL = 65_536 + 512


def shortfall(path: Path) -> str | None:
    """Say where a file ends too early.

    Args:
        path: A regular file: a container or a picture of any format.
    Returns:
        Nothing (an empty text) if it is as long as its structure says; else a part of a sentence, such as "1,204 bytes
        are missing"; None if its format does not tell.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(_HEAD)
            check = _check_of(head)
            return None if check is None else check(file, head, size)
    except OSError:
        return None


def _check_of(head: bytes) -> Callable[[BinaryIO, bytes, int], str | None] | None:
    if head[4:8] in _MP4_FIRST:
        return _boxes
    if head.startswith(b"RIFF"):
        return _riff
    for start, check in (
        (_EBML, _matroska),
        (b"FLV\x01", _flv),
        (_ASF_HEADER, _asf),
        (b"\xff\xd8\xff", _jpeg),
        (b"\x89PNG\r\n\x1a\n", _png),
        (b"GIF8", _gif),
        (b"OggS", _ogg),
        (b"DKIF", _ivf),
        (_PACK, _program_stream),
    ):
        if head.startswith(start):
            return check
    return _transport_stream if _packet_length(head) else None


def _missing(end: int, size: int) -> str:
    return f"{end - size:,} bytes are missing" if end > size else ""


def _boxes(file: BinaryIO, _: bytes, size: int) -> str:
    """MP4, MOV, AVIF: boxes one after the other, each with its length."""
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if len(head) < 8:
            return "it ends inside the head of a box" if any(head) else ""
        if length == 0:  # up to the end of the file
            return ""
        if length < 8 or head[4:8] not in _MP4_LATER:
            return ""  # no box: something else was appended
        at += length
    return _missing(at, size)


def _riff(file: BinaryIO, _: bytes, size: int) -> str:
    """AVI, WebP; a long AVI is several of them."""
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or len(head) < 8:
            return ""
        if length == 0xFFFFFFFF:  # written to a pipe
            return ""
        if length == 0:  # never written: the recorder did not come to its end
            return "its length was never written"
        at += 8 + length
    return _missing(at, size)


def _matroska(file: BinaryIO, _: bytes, size: int) -> str | None:
    """MKV, WebM: one segment with its length, or without one and with clusters that have theirs."""
    at, end = 0, 0
    is_inside = False
    while at < size:
        element = _ebml_element(file, at)
        if element is None:
            file.seek(at)
            if end and not is_inside and not any(file.read(12)):  # padding
                return ""
            return "it ends inside an element, or is damaged there" if at + 12 > size or is_inside else None
        number, start, length = element
        if number not in _OUTER and not (is_inside and number in _INNER):
            return "" if end else None  # something else was appended
        if number == _SEGMENT and length is None:
            at, is_inside = start, True
        elif length is None:
            return None
        else:
            at = end = start + length
    return _missing(end, size)


def _ebml_element(file: BinaryIO, at: int) -> tuple[int, int, int | None] | None:
    """Number of the element there, where its content starts, and how long that is if it says so."""
    file.seek(at)
    head = file.read(12)
    if not head or not head[0] >> 4:
        return None
    width = 9 - head[0].bit_length()
    if len(head) <= width or not head[width]:
        return None
    length_width = 9 - head[width].bit_length()
    written = head[width : width + length_width]
    if len(written) < length_width:
        return None
    bits = 7 * length_width
    length = int.from_bytes(written, "big") & ((1 << bits) - 1)
    is_unknown = length == (1 << bits) - 1
    return int.from_bytes(head[:width], "big"), at + width + length_width, None if is_unknown else length


def _flv(file: BinaryIO, _: bytes, size: int) -> str | None:
    """Tags, each followed by its length."""
    file.seek(max(0, size - 4))
    length = int.from_bytes(file.read(4), "big")
    start = size - 4 - length
    if length < 11 or start < 13:
        return "it ends inside a tag"
    file.seek(start)
    tag = file.read(4)
    return "" if tag[0] & 0x1F in (8, 9, 18) and int.from_bytes(tag[1:], "big") + 11 == length else "it ends in a tag"


def _asf(_: BinaryIO, head: bytes, size: int) -> str | None:
    """The file's length is in the head, unless it was broadcast."""
    at = head.find(_ASF_FILE_PROPERTIES)
    properties = head[at : at + 104]
    if at < 0 or len(properties) < 104 or properties[88] & 1:
        return None
    return _missing(int.from_bytes(properties[40:48], "little"), size)


def _jpeg(file: BinaryIO, _: bytes, size: int) -> str:
    """Segments with their lengths up to the picture, which ends with a mark."""
    at = 2
    while at < size:
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            break
        if head[1] == 0xDA:
            return "" if _holds(file, b"\xff\xd9") else "the end of the picture is missing"
        at += 1 if head[1] == 0xFF else 2 + int.from_bytes(head[2:], "big")
    return _missing(at, size) or "the picture itself is missing"


def _holds(file: BinaryIO, mark: bytes) -> bool:
    before = b""
    while block := file.read(1 << 20):
        if mark in before + block:
            return True
        before = block[-1:]
    return False


def _png(file: BinaryIO, _: bytes, size: int) -> str:
    """Chunks with their lengths; the last one has a name of its own."""
    at = 8
    while at < size:
        file.seek(at)
        head = file.read(8)
        at += 12 + int.from_bytes(head[:4], "big")
        if head[4:] == b"IEND":
            return _missing(at, size)
    return _missing(at, size) or "the end of the picture is missing"


def _gif(file: BinaryIO, head: bytes, size: int) -> str:
    """Blocks made of parts with their lengths, and a mark at the end."""
    data = memoryview(head + file.read())
    missing = "the end of the animation is missing"
    at = 13 + _colours(data[10:11])
    while at < size and data[at] != 0x3B:
        if data[at] == 0x2C:
            at += 11 + _colours(data[at + 9 : at + 10])
        elif data[at] == 0x21:
            at += 2
        else:
            return missing
        while at < size and data[at]:
            at += 1 + data[at]
        at += 1
    return "" if at < size else missing


def _colours(flags: memoryview) -> int:
    """Bytes of the table of colours that the flags announce."""
    return 3 << (flags[0] & 7) + 1 if len(flags) and flags[0] & 0x80 else 0


def _ogg(file: BinaryIO, _: bytes, size: int) -> str | None:
    """Pages with the lengths of their parts; only the last page can be cut."""
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :] if b"OggS" in tail else b""
    if not page:
        return None
    if len(page) < 27 or len(page) < 27 + page[26]:
        return "it ends inside a page"
    return _missing(27 + page[26] + sum(page[27 : 27 + page[26]]), len(page))


def _ivf(file: BinaryIO, head: bytes, size: int) -> str:
    """Frames with their lengths behind a head."""
    at = int.from_bytes(head[6:8], "little")
    while at < size:
        file.seek(at)
        length = file.read(4)
        if len(length) < 4:
            return "it ends inside the head of a frame"
        at += 12 + int.from_bytes(length, "little")
    return _missing(at, size)


def _program_stream(file: BinaryIO, _: bytes, size: int) -> str:
    """Packets with their lengths; only the last one can be cut."""
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    last = max(_PES.finditer(tail), key=lambda match: match.start(), default=None)
    length = 0 if last is None else int.from_bytes(last[1], "big")
    return _missing(last.end() + length, len(tail)) if last is not None and length else ""


def _packet_length(head: bytes) -> int | None:
    """Length of the packets of an MPEG transport stream, None if it is none."""
    for length, sync in _MPEG_TS_PACKET.items():
        if all(head[at : at + 1] == b"\x47" for at in (sync, sync + length)) and len(head) > 2 * length:
            return length
    return None


def _transport_stream(file: BinaryIO, head: bytes, size: int) -> str:
    """Packets of one length, so the rest tells whether the last one is whole."""
    rest = size % (_packet_length(head) or 188)
    file.seek(size - rest)
    if not rest or file.read(8).find(b"\x47") not in (0, 4):  # something else was appended
        return ""
    return f"it ends inside a packet, {rest} bytes after its start"
