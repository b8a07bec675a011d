"""What an RTSP server sends over one connection, with signs put in where pictures end and where packets are missing."""

import re
from collections.abc import Callable

from ssa_stream.sources.access_units import GAP_SIGN, MARKER_SIGN
from ssa_stream.sources.nal_units import NAL_CODECS, NalCodec
from ssa_stream.sources.rtp_markers import MarkerRule

__all__ = ["FRAME_HEAD", "InterleavedStream", "message_size"]

FRAME_HEAD = 4
"""Bytes before a packet: `$`, channel, size."""
_LONGEST_LINE = 1 << 12
_LONGEST_HEAD = 1 << 16
_LONGEST_BODY = 1 << 20
_RTP_HEAD = 12
_WRAP = 1 << 16
_CONTROL_TYPES = range(64, 96)
"""RTCP packets that share a channel with RTP packets seem to have these payload types."""
_LENGTH = re.compile(rb"(?im)^content-length[ \t]*:[ \t]*([0-9]{1,18})[ \t]*\r?$")
_REDIRECT = re.compile(rb"(?is)\ARTSP/[^\n]{0,20} 3[0-9][0-9][ \r\n].*?^location:[ \t]*([^\r\n]*)", re.MULTILINE)
_RTPMAP = re.compile(rb"(?im)^a=rtpmap:([0-9]{1,3})[ \t]+([A-Za-z0-9.-]+)/")


def message_size(data: bytearray) -> tuple[int, int] | None:
    """Sizes of the head and of the whole of the message in text that data begins with; None if not all of it is there.

    Raises:
        ValueError: It makes no sense as one.
    """
    first = data.find(b"\n", 0, _LONGEST_LINE)
    is_line = b"RTSP/" in data[:first] if first >= 0 else len(data) < _LONGEST_LINE
    end = data.find(b"\r\n\r\n", 0, _LONGEST_HEAD)
    if not (is_line and data[:1].isalpha()) or (end < 0 and len(data) >= _LONGEST_HEAD):
        raise ValueError("this is no message of RTSP")
    if end < 0:
        return None
    head = end + 4
    found = _LENGTH.search(data, 0, head)
    body = int(found[1]) if found else 0
    if body > _LONGEST_BODY:
        raise ValueError("the message is too long")
    return (head, head + body) if len(data) >= head + body else None


class InterleavedStream:
    """Answers in text and, between them, packets with a head of four bytes.

    Behind a packet with the marker, and before a packet that does not follow the one before, comes one more packet: a
    NAL unit of a type that codecs do not use, with the secret and a sign. Packets of video are numbered anew.

    Args:
        secret: See `RtspRelay`.
        trusts_markers: Whether the marker counts for a codec that cannot prove it, see `NalCodec.proves_ends`.

    Attributes:
        is_understood: Whether all that came was.
        redirect: Where the server says that the stream is instead; that answer and all behind it are not passed on.
    """

    def __init__(self, secret: bytes, *, trusts_markers: bool = False) -> None:
        self._secret = secret
        self._trusts_markers = trusts_markers
        self._data = bytearray()
        self.is_understood = True
        self.redirect: str | None = None
        self._codecs: dict[int, NalCodec] = {}
        self._tracks: dict[int, _Track] = {}

    def passed(self, data: bytes) -> bytes:
        """What is to be passed on of what came; what is not understood is passed on as it is."""
        self._data += data
        out = bytearray()
        while self.is_understood and self._data:
            try:
                size = self._size()
            except ValueError:
                self.is_understood = False
                break
            if size is None or self.redirect is not None:
                return bytes(out)
            unit = bytes(self._data[:size])
            del self._data[:size]
            out += self._with_signs(unit) if unit[:1] == b"$" else unit
        out += self._data
        self._data.clear()
        return bytes(out)

    def _size(self) -> int | None:
        """Size of the packet or the answer that the data begins with; None if not all of it is there."""
        data = self._data
        if data[:1] == b"$":
            size = FRAME_HEAD + int.from_bytes(data[2:4], "big")
            return size if FRAME_HEAD <= len(data) >= size else None
        sizes = message_size(data)
        if sizes is None:
            return None
        head, whole = sizes
        redirect = _REDIRECT.match(data[:head])
        if redirect is not None:
            self.redirect = redirect[1].decode("latin-1").strip()
        if b"m=video" in data[head:whole]:
            self._codecs = _video_codecs(bytes(data[head:whole]))
        return whole

    def _with_signs(self, unit: bytes) -> bytes:
        channel, packet = unit[1], unit[FRAME_HEAD:]
        if len(packet) < _RTP_HEAD or packet[0] >> 6 != 2 or packet[1] & 0x7F in _CONTROL_TYPES:
            return unit
        codec = self._codecs.get(packet[1] & 0x7F)
        track = self._tracks.get(channel)
        if track is None:
            if codec is None:
                return unit
            track = self._tracks[channel] = _Track(codec, self._trusts_markers, self._sign)
        packets = track.passed(packet, is_of_codec=codec is track.codec)
        return b"".join(b"$" + unit[1:2] + len(one).to_bytes(2, "big") + one for one in packets)

    def _sign(self, codec: NalCodec, sign: bytes) -> bytes:
        return codec.mark_head + self._secret + sign


class _Track:
    """The packets of one video, in the order in which they come.

    Args:
        codec: Of the video.
        trusts_markers: See `InterleavedStream`.
        sign: Makes the unit that is put in.
    """

    def __init__(self, codec: NalCodec, trusts_markers: bool, sign: Callable[[NalCodec, bytes], bytes]) -> None:
        self.codec = codec
        self._marker, self._gap = sign(codec, MARKER_SIGN), sign(codec, GAP_SIGN)
        self._rule = MarkerRule()
        self._trusts = trusts_markers and not codec.proves_ends
        self._next_in: int | None = None
        self._next_out = 0

    def passed(self, packet: bytes, *, is_of_codec: bool) -> list[bytes]:
        """A packet with its new number, between signs if there are any to put in."""
        is_damaged, is_end = self._follows_gap(packet), False
        payload = _payload(packet)
        if is_of_codec:
            was_trusted = self._rule.is_trusted
            is_end = self._completes(packet, payload)
            # The picture before a marker that was none was handed out without its rest.
            is_damaged = is_damaged or (self._trusts and was_trusted and not self._rule.is_trusted)
        out = [self._put_in(packet, self._gap)] if is_damaged else []
        out.append(packet[:2] + self._number() + packet[4:])
        return [*out, self._put_in(packet, self._marker)] if is_end else out

    def _follows_gap(self, packet: bytes) -> bool:
        number = int.from_bytes(packet[2:4], "big")
        if self._next_in is None:
            self._next_out = self._next_in = number
        is_gap = number != self._next_in
        self._next_in = (number + 1) % _WRAP
        if is_gap:
            self._rule.gap()
        return is_gap

    def _completes(self, packet: bytes, payload: bytes) -> bool:
        is_marked, ends_unit = bool(packet[1] & 0x80), self.codec.ends_unit(payload)
        if self.codec.proves_ends:  # also behind what goes behind a picture: filler, end of a sequence
            return is_marked and ends_unit
        if not self.codec.holds_picture(payload):
            return False
        if is_marked and not ends_unit:
            self._rule.refute()
        return self._rule.take(int.from_bytes(packet[4:8], "big"), is_marked=is_marked) and self._trusts

    def _put_in(self, packet: bytes, unit: bytes) -> bytes:
        """One more packet, with the time of another."""
        return b"\x80" + bytes([packet[1] & 0x7F]) + self._number() + packet[4:_RTP_HEAD] + unit

    def _number(self) -> bytes:
        number, self._next_out = self._next_out, (self._next_out + 1) % _WRAP
        return number.to_bytes(2, "big")


def _payload(packet: bytes) -> bytes:
    """What an RTP packet holds; empty if its head makes no sense."""
    begin = _RTP_HEAD + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        begin += 4 + 4 * int.from_bytes(packet[begin + 2 : begin + 4], "big")
    end = len(packet) - (packet[-1] if packet[0] & 0x20 else 0)
    return packet[begin:end]


def _video_codecs(description: bytes) -> dict[int, NalCodec]:
    """Codecs of a session description by their payload types, as far as they are known here."""
    found: dict[int, NalCodec] = {}
    for section in re.split(rb"(?m)^m=", description)[1:]:
        if section.startswith(b"video"):
            for payload_type, name in _RTPMAP.findall(section):
                codec = NAL_CODECS.get(name.decode("ascii").upper())
                if codec is not None:
                    found[int(payload_type)] = codec
    return found
