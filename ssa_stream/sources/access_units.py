"""Pictures out of the pieces that FFmpeg hands out when it does not parse what it receives."""

from typing import cast

from av.packet import Packet
from av.video.stream import VideoStream

from ssa_stream.sources.nal_units import START_CODE, NalCodec

__all__ = ["AccessUnits"]

_LONGEST = 1 << 25


class AccessUnits:
    """Puts the packets of a stream together to packets that each hold one picture.

    A picture is complete at its mark, see `RtspRelay`, or when another one begins: with another time, or with a first
    slice. What is longer than 32 MiB is handed out as it is.

    Args:
        stream: Whose packets come.
        codec: How it writes them.
        mark: What the unit behind a complete picture holds.
    """

    def __init__(self, stream: VideoStream, codec: NalCodec, mark: bytes) -> None:
        self._stream, self._codec = stream, codec
        self._mark = START_CODE + codec.mark_head + mark
        self._parts: list[bytes] = []
        self._size = 0
        self._holds_picture = False
        self._first: Packet[VideoStream] | None = None

    def take(self, packet: "Packet[VideoStream]") -> "list[Packet[VideoStream]]":
        """Take the next packet; returns the pictures that are complete now. An empty packet, the end, completes all."""
        data = bytes(packet)
        if data == self._mark:
            return self._complete()
        if not data:
            return [*self._complete(), packet]
        ready = []
        first = self._first
        if first is not None and self._holds_picture and (packet.pts != first.pts or self._begins_another(data)):
            ready = self._complete()
        if self._first is None:
            self._first = packet
        elif not self._holds_picture:
            self._first = packet  # what goes before a picture has its time
        self._parts.append(data)
        self._size += len(data)
        self._holds_picture = self._holds_picture or self._has_picture(data)
        if self._size > _LONGEST:
            ready += self._complete()
        return ready

    def _complete(self) -> "list[Packet[VideoStream]]":
        first, parts = self._first, self._parts
        self._first, self._parts, self._size, self._holds_picture = None, [], 0, False
        if first is None:
            return []
        whole = cast("Packet[VideoStream]", Packet(b"".join(parts)))
        whole.stream = self._stream
        whole.pts, whole.dts = first.pts, first.dts
        if first.time_base is not None:
            whole.time_base = first.time_base
        return [whole]

    def _units(self, data: bytes) -> list[int]:
        """Where the units that begin in a packet have their heads."""
        found, at = [], data.find(START_CODE)
        while at >= 0 and at + len(START_CODE) < len(data):
            found.append(at + len(START_CODE))
            at = data.find(START_CODE, at + len(START_CODE))
        return found

    def _has_picture(self, data: bytes) -> bool:
        return any(self._codec.type_of(data[at]) in self._codec.pictures for at in self._units(data))

    def _begins_another(self, data: bytes) -> bool:
        """Whether another picture begins with the first unit of a packet that belongs to one."""
        units = [at for at in self._units(data) if self._codec.type_of(data[at]) in self._codec.pictures]
        return bool(units) and self._codec.begins_picture(data, units[0])
