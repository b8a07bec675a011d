"""A jitter buffer that gives a frame out at its marker bit, not when the next frame begins."""

from collections.abc import Iterator

from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

from ssa_stream.sources.rtp_markers import MarkerRule

__all__ = ["MarkerBuffer", "WholeFrame"]

_WRAP = 1 << 16


class WholeFrame(JitterFrame):
    """An encoded frame.

    Attributes:
        is_after_loss: Whether packets before it, or its first ones, may be missing: what it is built on is not there.
    """

    def __init__(self, data: bytes, timestamp: int, *, is_after_loss: bool) -> None:
        super().__init__(data, timestamp)
        self.is_after_loss = is_after_loss


class MarkerBuffer(JitterBuffer):
    """In place of the jitter buffer of a video receiver.

    aiortc gives a frame out with the first packet of the next one, and one frame for each packet that comes. Here a
    frame is out at its last packet if none before it is missing and the sender's markers are to be trusted, and
    `rest` gives those that a late packet has completed together with it.

    Args:
        capacity: Packets that may wait for one that is missing; a power of 2.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity, is_video=True)
        self._rule = MarkerRule()
        self._is_after_loss = True  # it is not known what came before the first packet
        self._left_at: int | None = None  # where the buffer began when it was left last
        self._followed: int | None = None  # the next packet that the rule has not seen
        self._complete_timestamp: int | None = None
        self._given_timestamp: int | None = None  # of a frame that was given out at its marker

    @property
    def tells_ends(self) -> bool:
        """Whether frames are given out at their markers, as far as is known."""
        return self._rule.is_trusted

    def rest(self) -> WholeFrame | None:
        """The next complete frame, without another packet; None if there is none."""
        return self._next() if self._origin is not None else None

    def _remove_frame(self, sequence_number: int) -> WholeFrame | None:
        return self._next()

    def _next(self) -> WholeFrame | None:
        assert self._origin is not None, "a packet came"
        if self._origin != self._left_at:  # packets were given up, or this is the first one
            self._rule.gap()
            self._is_after_loss, self._followed = True, self._origin
        self._follow()
        frame = self._first_frame()
        self._left_at = self._origin
        return frame

    def _follow(self) -> None:
        """Show the rule what came in order since."""
        assert self._followed is not None, "set with the first packet"
        packet = self._packets[self._followed % self.capacity]
        while packet is not None and packet.sequence_number == self._followed:
            if _data(packet):
                is_complete = self._rule.take(packet.timestamp, is_marked=bool(packet.marker))
                self._complete_timestamp = packet.timestamp if is_complete else None
            self._followed = (self._followed + 1) % _WRAP
            packet = self._packets[self._followed % self.capacity]

    def _first_frame(self) -> WholeFrame | None:
        """Take the first frame out, if it is complete."""
        while True:
            packets = list(self._waiting())
            held = [packet for packet in packets if _data(packet)]  # the others are padding, which is of no frame
            if not held:
                self.remove(len(packets))
                return None
            timestamp = held[0].timestamp
            length = next((at for at, one in enumerate(packets) if _data(one) and one.timestamp != timestamp), None)
            if length is None and timestamp != self._complete_timestamp:
                return None
            self.remove(len(packets) if length is None else length)
            if timestamp != self._given_timestamp:
                break
            # What goes on behind a marker that did not mean the end: the decoder has only half of that frame.
            self._is_after_loss = True
        if length is None:
            self._given_timestamp = timestamp
        data = b"".join(_data(packet) for packet in held if packet.timestamp == timestamp)
        is_after_loss, self._is_after_loss = self._is_after_loss, False
        return WholeFrame(data, timestamp, is_after_loss=is_after_loss)

    def _waiting(self) -> Iterator[RtpPacket]:
        """Packets in order, up to the first that is missing."""
        assert self._origin is not None, "a packet came"
        assert self._followed is not None, "it was followed"
        for count in range((self._followed - self._origin) % _WRAP):
            packet = self._packets[(self._origin + count) % self.capacity]
            assert packet is not None, "it was followed"
            yield packet


def _data(packet: RtpPacket) -> bytes:
    """What the packet holds of an encoded frame, as the receiver left it there."""
    data: bytes = packet._data  # type: ignore[attr-defined]  # set by aiortc's receiver
    return data
