"""From stream times to those in a video file: whole numbers of a unit, and never too far apart for its container."""

from fractions import Fraction

__all__ = ["MPEG4_LONGEST_S", "MPEG4_MOST", "PictureTimes", "time_base_for"]

MPEG4_MOST = 65_535
"""Units of a second that MPEG-4 Part 2 can write, 16 bits."""
MPEG4_LONGEST_S = 3600
"""Seconds between two pictures that FFmpeg's encoder of MPEG-4 Part 2 can write."""

_LEAST = 1000
_MOST = 120_000
# A multiple of 24, 25, 30, 50 and 60: these are exact also where the nominal rate is only assumed.
_USUAL = 1200
# Fits MPEG-4 Part 2 and is a multiple of the numerators of 23.976, 29.97 and 59.94 fps.
_FINE = 60_000
# MP4 has 32 bits for the time between two pictures, of which FFmpeg uses 31.
_LONGEST_UNITS = 2**31 - 1


def time_base_for(rate: Fraction, *, most: int = _MOST) -> Fraction:
    """The unit of a file's times, in seconds: a steady stream is exact, and other times are within half a millisecond.

    A coarse unit allows for long pauses in MP4: 20 days at 30 fps, 19.8 hours at 30000/1001 fps.

    Args:
        rate: Nominal frames per second.
        most: Largest number of units in a second.
    """
    numerator = rate.numerator
    if _USUAL % numerator == 0:
        return Fraction(1, _USUAL)
    units = numerator * -(-_LEAST // numerator)
    return Fraction(1, units if units <= min(most, _MOST) else _FINE)


class PictureTimes:
    """Give every picture of a stream its time in the file.

    Attributes:
        time_base: The unit, in seconds.
    """

    def __init__(self, rate: Fraction, time_base: Fraction, *, longest_s: int | None = None) -> None:
        """Begin a file.

        Args:
            rate: Nominal frames per second.
            time_base: The unit, in seconds.
            longest_s: Longest time between two pictures that can be written, in seconds; None for that of MP4.
        """
        self.time_base = time_base
        self._interval = max(1, round(1 / (rate * time_base)))
        self._longest = _LONGEST_UNITS if longest_s is None else min(_LONGEST_UNITS, int(longest_s / time_base))
        self._origin_s = Fraction(0)
        self._last_t: float | None = None
        self._last = -1

    def next(self, t: float) -> list[int]:
        """Return the times of the next picture and of what has to come before it.

        Args:
            t: Stream time of the picture in seconds. One that is not after the last begins a new count, one frame
                interval after it.
        Returns:
            In units of `time_base`, growing. The last is that of the picture; those before it are where the picture
            before is to be repeated, evenly spaced in a pause that is longer than can be written.
        """
        at_s = Fraction(t)
        if self._last_t is None:
            self._origin_s = at_s
            own = 0
        elif t <= self._last_t:
            own = self._last + self._interval
            self._origin_s = at_s - own * self.time_base
        else:
            own = max(round((at_s - self._origin_s) / self.time_base), self._last + 1)
        pause = own - self._last
        parts = -(-pause // self._longest) if self._last_t is not None else 1
        times = [self._last + pause * part // parts for part in range(1, parts)]
        self._last_t, self._last = t, own
        return [*times, own]
