"""The newest picture of a slow stream, put where a killed process leaves it readable.

FFmpeg's muxers write a fragment when the picture after it comes. At one frame an hour the newest picture would be in
memory for an hour. So what the muxer will write there, it alone in a fragment, is put behind what it has written; the
muxer then writes its own over it, which is never shorter. PyAV offers no way to make a muxer write what it holds.
"""

import re
import struct

__all__ = ["matroska_cluster", "mp4_fragment"]

_START_CODE = re.compile(rb"\x00*\x00\x00\x01")
# ISO/IEC 14496-12: offsets count from the fragment; of each sample duration, size and flags are told.
_FROM_MOOF, _TOLD = 0x020000, 0x000701
_IS_KEY, _IS_NO_KEY = 0x02000000, 0x01010000


def mp4_fragment(data: bytes, time: int, duration: int, *, is_key: bool) -> bytes:
    """A fragment of track 1 with one picture, for MP4 and its relatives.

    Args:
        data: The picture as its encoder gave it.
        time: When it is shown, in the track's units.
        duration: For how long, in these units.
        is_key: Whether decoding can begin with it.
    """
    sample = _with_lengths(data)

    def moof(data_offset: int) -> bytes:
        run = struct.pack(">5I", 1, data_offset, duration, len(sample), _IS_KEY if is_key else _IS_NO_KEY)
        track = _box(b"tfhd", struct.pack(">2I", _FROM_MOOF, 1)) + _box(b"tfdt", struct.pack(">IQ", 1 << 24, time))
        header = _box(b"mfhd", struct.pack(">2I", 0, 0))
        return _box(b"moof", header + _box(b"traf", track + _box(b"trun", struct.pack(">I", _TOLD) + run)))

    return moof(len(moof(0)) + 8) + _box(b"mdat", sample)


def matroska_cluster(data: bytes, time_ms: int, *, is_key: bool) -> bytes:
    """A cluster with one picture of track 1, for Matroska with times in milliseconds; arguments as above."""
    block = b"\x81\x00\x00" + (b"\x80" if is_key else b"\x00") + _with_lengths(data)
    time = time_ms.to_bytes(max(1, (time_ms.bit_length() + 7) // 8), "big")
    return _element(b"\x1f\x43\xb6\x75", _element(b"\xe7", time) + _element(b"\xa3", block))


def _with_lengths(data: bytes) -> bytes:
    """H.264 with the length before each unit, as files have it, in place of start codes; other formats as they are."""
    if not _START_CODE.match(data):
        return data
    return b"".join(struct.pack(">I", len(unit)) + unit for unit in _START_CODE.split(data)[1:])


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _element(name: bytes, content: bytes) -> bytes:
    """An element of EBML with the shortest form of its length."""
    size = next(size for size in range(1, 9) if len(content) < (1 << (7 * size)) - 1)
    return name + (len(content) | 1 << (7 * size)).to_bytes(size, "big") + content
