"""Parts of H.264 and HEVC pictures: in RTP packets, and as FFmpeg hands them out."""

from dataclasses import dataclass

__all__ = ["NAL_CODECS", "START_CODE", "NalCodec"]

START_CODE = b"\0\0\0\1"
_RECOVERY_POINT = 6
_LONGEST_INFORMATION = 1 << 12


@dataclass(frozen=True)
class NalCodec:
    """How a codec writes its NAL units.

    Attributes:
        ffmpeg_name: FFmpeg's name of the codec.
        head_bytes: Size of the head of a unit.
        mark_head: Head of a unit of a type that the codec does not use.
        aggregate: Type of an RTP packet that holds several units.
        fragment: Type of an RTP packet that holds a part of one.
        pictures: Types that hold a part of a picture.
        key_pictures: Those of a picture that decoding can begin with.
        information: Type that holds messages about the pictures around it (SEI).
        proves_ends: Whether FFmpeg's decoder takes a picture in parts and tells when it has all of it.
    """

    ffmpeg_name: str
    head_bytes: int
    mark_head: bytes
    aggregate: int
    fragment: int
    pictures: range
    key_pictures: range
    information: int
    proves_ends: bool

    def type_of(self, first: int) -> int:
        """Type of a unit by its first byte."""
        return first & 0x1F if self.head_bytes == 1 else (first >> 1) & 0x3F

    def holds_picture(self, payload: bytes) -> bool:
        """Whether an RTP packet holds a part of a picture, and not only what goes before or behind one."""
        if len(payload) <= self.head_bytes:
            return False
        kind = self.type_of(payload[0])
        if kind == self.aggregate:
            return any(self.type_of(payload[at]) in self.pictures for at in self._aggregated(payload))
        if kind == self.fragment:
            head = payload[self.head_bytes]
            return (head & (0x1F if self.head_bytes == 1 else 0x3F)) in self.pictures
        return kind in self.pictures

    def ends_unit(self, payload: bytes) -> bool:
        """Whether an RTP packet holds the last byte of a unit: all do, but fragments without their end bit."""
        if not payload:
            return False
        if self.type_of(payload[0]) != self.fragment:
            return True
        return len(payload) > self.head_bytes and bool(payload[self.head_bytes] & 0x40)

    def _aggregated(self, payload: bytes) -> list[int]:
        """Where the units of an aggregate begin."""
        found, at = [], self.head_bytes
        while at + 2 < len(payload):
            found.append(at + 2)
            at += 2 + int.from_bytes(payload[at : at + 2], "big")
        return found

    def units(self, data: bytes | bytearray) -> list[int]:
        """Where the units have their heads that begin in data with start codes."""
        found, at = [], data.find(START_CODE)
        while at >= 0 and at + len(START_CODE) < len(data):
            found.append(at + len(START_CODE))
            at = data.find(START_CODE, at + len(START_CODE))
        return found

    def holds_key_picture(self, data: bytes | bytearray) -> bool:
        """Whether an access unit holds a picture that decoding can begin with."""
        return any(self.type_of(data[at]) in self.key_pictures for at in self.units(data))

    def tells_recovery(self, data: bytes) -> bool:
        """Whether decoding may begin with an access unit though it holds no key picture: a message in it says so."""
        return any(
            self.type_of(data[at]) == self.information and _RECOVERY_POINT in _message_types(data, at + self.head_bytes)
            for at in self.units(data)
        )

    def begins_picture(self, data: bytes, at: int) -> bool:
        """Whether the unit there is the first part of a picture: its first slice begins with the first block."""
        behind = at + self.head_bytes
        return self.type_of(data[at]) in self.pictures and behind < len(data) and bool(data[behind] & 0x80)


NAL_CODECS = {
    "H264": NalCodec("h264", 1, b"\x17", aggregate=24, fragment=28, pictures=range(1, 6),
                     key_pictures=range(5, 6), information=6, proves_ends=True),
    "H265": NalCodec("hevc", 2, b"\x5e\x01", aggregate=48, fragment=49, pictures=range(32),
                     key_pictures=range(16, 22), information=39, proves_ends=False),
}  # fmt: skip
"""By the name that session descriptions have for them."""


def _message_types(data: bytes, at: int) -> list[int]:
    """Types of the messages of a unit, whose first one begins there."""
    end = data.find(START_CODE, at, at + _LONGEST_INFORMATION)
    unit = data[at : end if end >= 0 else at + _LONGEST_INFORMATION].replace(b"\0\0\3", b"\0\0")
    found, at = [], 0
    while at + 2 < len(unit):  # the last byte only ends the unit
        kind, at = _count(unit, at)
        size, at = _count(unit, at)
        found.append(kind)
        at += size
    return found


def _count(unit: bytes, at: int) -> tuple[int, int]:
    """A number that is written as bytes of 255 and the rest, and where it ends."""
    total = 0
    while at < len(unit) and unit[at] == 0xFF:
        total, at = total + 0xFF, at + 1
    return total + (unit[at] if at < len(unit) else 0), at + 1
