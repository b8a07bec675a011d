"""Pictures out of the pieces that FFmpeg hands out when it does not parse what it receives."""

from typing import NamedTuple, cast

from av.packet import Packet
from av.video.stream import VideoStream

from ssa_stream.sources.nal_units import START_CODE, NalCodec

__all__ = ["GAP_SIGN", "MARKER_SIGN", "AccessUnit", "AccessUnits", "Gap"]

MARKER_SIGN, GAP_SIGN = b"m", b"g"
"""What the relay puts behind its secret: a marker was here; packets are missing here."""
_LONGEST = 1 << 25


class AccessUnit(NamedTuple):
    """A picture, or, of a camera that marks parts of pictures, the units up to a marker.

    Attributes:
        packet: For the decoder.
        is_marked: Whether it was complete at a marker, and not only when another picture began.
    """

    packet: "Packet[VideoStream]"
    is_marked: bool


class Gap:
    """Packets are missing: what was handed out last may be incomplete, and what comes is built on it."""


class AccessUnits:
    """Puts the packets of a stream together to packets that each hold one picture.

    A picture is complete at its mark, see `RtspRelay`, or when another one begins: with another time, or with a first
    slice. A mark before the first slice tells nothing: there are cameras that mark parameters. Behind a gap, behind
    what is longer than 32 MiB, and at the beginning, all is passed over up to the first slice of a picture.

    Args:
        stream: Whose packets come.
        codec: How it writes them.
        secret: What the units hold that the relay puts in, before their sign.
        believes_marks: Whether marks count.
    """

    def __init__(self, stream: VideoStream, codec: NalCodec, secret: bytes, *, believes_marks: bool = True) -> None:
        self._stream, self._codec, self._believes_marks = stream, codec, believes_marks
        self._mark, self._gap = (START_CODE + codec.mark_head + secret + sign for sign in (MARKER_SIGN, GAP_SIGN))
        self._parts = bytearray()  # one object, however small what comes is
        self._holds_picture = False
        self._first: Packet[VideoStream] | None = None
        self._is_in_the_middle = True

    def take(self, packet: "Packet[VideoStream]") -> list[AccessUnit | Gap]:
        """Take the next packet; returns what is complete now. An empty packet is the end, and completes nothing."""
        data = bytes(packet)
        if data == self._mark:
            return self._complete(is_marked=True) if self._believes_marks and self._holds_picture else []
        if data == self._gap:
            return [self._lost()]
        if not data:
            self._forget()
            return [AccessUnit(packet, is_marked=False)]
        if self._is_in_the_middle and not self._begins(data):
            return []
        ready: list[AccessUnit | Gap] = []
        first = self._first
        if first is not None and self._holds_picture and (packet.pts != first.pts or self._begins_another(data)):
            ready = self._complete()
        if self._first is None or not self._holds_picture:
            self._first = packet  # what goes before a picture has its time
        self._parts += data
        self._holds_picture = self._holds_picture or bool(self._pictures(data))
        if len(self._parts) > _LONGEST:
            ready.append(self._lost())
        return ready

    def _lost(self) -> Gap:
        self._forget()
        self._is_in_the_middle = True
        return Gap()

    def _complete(self, *, is_marked: bool = False) -> list[AccessUnit | Gap]:
        first, parts = self._first, self._parts
        self._forget()
        if first is None:
            return []
        whole = cast("Packet[VideoStream]", Packet(bytes(parts)))
        whole.stream = self._stream
        whole.pts, whole.dts = first.pts, first.dts
        whole.is_keyframe = self._codec.holds_key_picture(parts)
        if first.time_base is not None:
            whole.time_base = first.time_base
        return [AccessUnit(whole, is_marked)]

    def _forget(self) -> None:
        self._first, self._parts, self._holds_picture = None, bytearray(), False

    def _begins(self, data: bytes) -> bool:
        """Whether the next picture begins, or what goes before one; a part of another one is passed over with that."""
        if not data.startswith(START_CODE):
            return bool(self._parts)  # goes on with the unit before, if that was not passed over
        pictures = self._pictures(data)
        if not pictures:
            return True
        if not self._codec.begins_picture(data, pictures[0]):
            self._forget()
            return False
        self._is_in_the_middle = False
        return True

    def _pictures(self, data: bytes) -> list[int]:
        """Where the parts of pictures are that begin in a packet."""
        return [at for at in self._codec.units(data) if self._codec.type_of(data[at]) in self._codec.pictures]

    def _begins_another(self, data: bytes) -> bool:
        """Whether another picture begins with the first unit of a packet that belongs to one."""
        pictures = self._pictures(data)
        return bool(pictures) and self._codec.begins_picture(data, pictures[0])
