"""When a picture was taken: the camera's own times beside the packets, and from its clock to the host's.

FFmpeg attaches producer reference times (`prft`) to the packets of RTP, made from the sender reports of RTCP, and to
those of containers that hold them, such as fragmented MP4. A reference counts for the pictures around it, so frames
that come out in another order than their packets (B-frames), or between two references, have their time as well.
"""

import struct
from fractions import Fraction
from typing import NamedTuple

from av.packet import Packet
from av.video.stream import VideoStream

__all__ = ["CameraClock", "ProducerTimes"]

_FORMAT = struct.Struct("=qi")  # AVProducerReferenceTime: microseconds since 1970, flags
# What the time may be of: the encoder's input, or the capture. Others are of later steps, or of no real clock.
_MEANINGS = frozenset({0, 24})
_REACH_S = 60
_WINDOW_NS = 10_000_000_000


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


class CameraClock:
    """Map times of a camera's clock to the host's monotonic clock, and notice when that would be wrong.

    A picture is received after it was taken, so its age, the host's wall clock minus the camera's, is the way it took
    plus what the clocks differ by. The least age of the last seconds tells: if it is a plausible delay the clocks agree
    and ages count; if it is negative or long they do not, and the camera's time is good for nothing but its own order.
    One late picture does not change the verdict, one clock that was set does.
    """

    def __init__(self, *, tolerance_s: float = 0.1, longest_delay_s: float = 2.0) -> None:
        """Start without an opinion.

        Args:
            tolerance_s: By how much the camera's clock may be ahead.
            longest_delay_s: Least age from which on the camera's clock counts as slow.
        """
        self._tolerance_ns = round(tolerance_s * 1e9)
        self._longest_delay_ns = round(longest_delay_s * 1e9)
        self._window_began_ns = 0
        self._least_ns: int | None = None
        self._least_before_ns: int | None = None

    @property
    def least_age_s(self) -> float | None:
        """Least age of the last 10 to 20 seconds: shortest delay plus difference of the clocks. None at the start."""
        known = [age for age in (self._least_ns, self._least_before_ns) if age is not None]
        return min(known) / 1e9 if known else None

    @property
    def agrees(self) -> bool:
        """Whether the camera's clock agrees with the host's."""
        least_s = self.least_age_s
        return least_s is not None and -self._tolerance_ns <= least_s * 1e9 <= self._longest_delay_ns

    def to_monotonic_ns(self, camera_ns: int, *, received_ns: int, received_utc_ns: int) -> int | None:
        """Return when a picture was taken, on the host's monotonic clock; None when the clocks do not agree.

        Args:
            camera_ns: When it was taken by the camera's clock, in nanoseconds since 1970.
            received_ns: When it was received, monotonic.
            received_utc_ns: The same moment on the host's wall clock.
        """
        age_ns = received_utc_ns - camera_ns
        self._note(age_ns, received_ns)
        # Within the tolerance a camera may seem to see the future; nothing is older than it was received.
        return received_ns - max(0, age_ns) if self.agrees else None

    def _note(self, age_ns: int, now_ns: int) -> None:
        if self._least_ns is None or now_ns - self._window_began_ns >= _WINDOW_NS:
            self._least_before_ns, self._least_ns, self._window_began_ns = self._least_ns, age_ns, now_ns
        self._least_ns = min(self._least_ns, age_ns)
