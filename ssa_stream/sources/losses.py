"""What a live stream lost on its way, as far as the receiver can tell."""

import statistics
from collections import deque
from typing import NamedTuple

__all__ = ["HoleCounter", "SourceLosses"]

_INTERVALS = 31
_ENOUGH = 8
_HOLE = 1.6


class SourceLosses(NamedTuple):
    """Counts since the source was opened.

    Attributes:
        missing_frames: Frames that never came, by the holes in the written times. An estimate: it takes a steady rate
            for granted.
        corrupt_packets: Packets that could not be decoded.
        damaged_frames: Frames that were decoded with parts missing; they are delivered all the same.
    """

    missing_frames: int = 0
    corrupt_packets: int = 0
    damaged_frames: int = 0

    def plus(self, other: "SourceLosses") -> "SourceLosses":
        """Return the sum."""
        return SourceLosses(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class HoleCounter:
    """Count the frames that are missing between those that came, from the usual distance of two.

    Attributes:
        missing: Frames that never came.
    """

    def __init__(self) -> None:
        self.missing = 0
        self._last_t: float | None = None
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)

    def note(self, t: float) -> None:
        """Take the stream time in seconds of the next frame that came."""
        last_t, self._last_t = self._last_t, t
        if last_t is None:
            return
        interval_s = t - last_t
        if len(self._intervals) >= _ENOUGH:
            usual_s = statistics.median(self._intervals)
            if interval_s > _HOLE * usual_s:
                self.missing += round(interval_s / usual_s) - 1
        self._intervals.append(interval_s)
