"""Whether a picture is complete at the marker bit of its last RTP packet."""

__all__ = ["MarkerRule"]

_AGREEING = 5


class MarkerRule:
    """Judges the marker bits of one sender, of packets in order.

    RTP sets the marker in the last packet of a picture. Some senders never do, some do in every packet. So it counts
    only after pictures in a row that had it in their last packet and nowhere else, and never again after a picture
    that went on behind it.
    """

    def __init__(self, agreeing: int = _AGREEING) -> None:
        """Begin.

        Args:
            agreeing: How many pictures in a row must have the marker where it belongs.
        """
        self._needed = agreeing
        self._agreeing = 0
        self._is_refuted = False
        self._timestamp: int | None = None
        self._is_marked = False
        self._is_whole = False
        self._is_after_gap = True  # it is not known what came before the first packet

    @property
    def is_trusted(self) -> bool:
        """Whether markers tell where pictures end, as far as is known."""
        return self._agreeing >= self._needed and not self._is_refuted

    def refute(self) -> None:
        """A marker was where a picture cannot end."""
        self._is_refuted = True

    def gap(self) -> None:
        """Packets are missing before the next one."""
        self._is_after_gap = True

    def take(self, timestamp: int, *, is_marked: bool) -> bool:
        """Take the next packet that holds a part of a picture; returns whether that picture is complete with it.

        Args:
            timestamp: Its RTP time; all packets of a picture have the same, and no other picture near it has.
            is_marked: Its marker bit.
        """
        is_after_gap, self._is_after_gap = self._is_after_gap, False
        if timestamp != self._timestamp:
            if self._is_whole and not is_after_gap:
                self._agreeing = self._agreeing + 1 if self._is_marked else 0
            self._timestamp, self._is_marked, self._is_whole = timestamp, False, not is_after_gap
        else:
            self._is_refuted = self._is_refuted or self._is_marked
            self._is_whole = self._is_whole and not is_after_gap
        self._is_marked = is_marked
        return is_marked and self._is_whole and self.is_trusted
