"""When the camera says it took a picture: producer reference times that travel beside the packets.

FFmpeg attaches them (`prft`) to the packets of RTP, made from the sender reports of RTCP, and to those of containers
that hold producer reference times, such as fragmented MP4. A reference counts for the pictures around it, so frames
that come out in another order than their packets (B-frames), or between two references, have their time as well.
"""

import struct
from fractions import Fraction
from typing import NamedTuple

from av.packet import Packet
from av.video.stream import VideoStream

__all__ = ["ProducerTimes"]

_FORMAT = struct.Struct("=qi")  # AVProducerReferenceTime: microseconds since 1970, flags
# What the time may be of: the encoder's input, or the capture. Others are of later steps, or of no real clock.
_MEANINGS = frozenset({0, 24})
_REACH_S = 60


class _Reference(NamedTuple):
    at_s: Fraction
    utc_us: int


class ProducerTimes:
    """The newest reference of a stream, and the times of pictures near it."""

    def __init__(self) -> None:
        self._newest: _Reference | None = None
        self._noted = 0

    def observe(self, packet: "Packet[VideoStream]") -> None:
        """Take the reference that comes with a packet, if one does."""
        if packet.pts is None or not packet.has_sidedata("prft"):
            return
        utc_us, meaning = _FORMAT.unpack_from(bytes(packet.get_sidedata("prft")))
        self.note(packet.pts * packet.time_base, utc_us, meaning)

    def note(self, at_s: Fraction, utc_us: int, meaning: int = 24) -> None:
        """Take a reference.

        Args:
            at_s: Written time of the picture in seconds.
            utc_us: When it was taken, in microseconds since 1970. A camera that was never told the time counts from
                its start or from 1900, which is 0 or less here; it says nothing.
            meaning: Flags of the reference.
        """
        if utc_us > 0 and meaning in _MEANINGS:
            self._noted += 1
            # FFmpeg's parser hands the first one to the picture before the one that it is of.
            self._newest = _Reference(at_s, utc_us) if self._noted > 1 else None

    def utc_ns(self, pts: int | None, time_base: Fraction | None) -> int | None:
        """Return when the picture with that written time was taken, None when that is not known."""
        if self._newest is None or pts is None or time_base is None:
            return None
        beside_s = pts * time_base - self._newest.at_s
        if abs(beside_s) > _REACH_S:
            return None
        return self._newest.utc_us * 1000 + round(beside_s * 1_000_000_000)
