"""Rates: of frames as fractions, from 1000 frames a second to one frame a year, and as they are measured; latencies."""

from collections import deque
from fractions import Fraction

__all__ = [
    "MOST_CHANGES",
    "RATE_SPAN_S",
    "RateMeter",
    "latencies_of_changes",
    "latencies_of_frames",
    "rate_fraction",
    "rate_text",
]

RATE_SPAN_S = 3.0
"""Rates are of so many seconds before they are asked for."""
_MAX_SAMPLES = 10_000
_MOST_LATENCIES = 10_000
MOST_CHANGES = 1000
"""Changes of prompts that are remembered."""

_MAX_DENOMINATOR = 1001
"""That of 30000/1001, the rate of NTSC."""


def rate_fraction(fps: float) -> Fraction:
    """The usual fraction that a rate is meant to be: 29.97 is 30000/1001, 1/3600 is one frame an hour.

    Args:
        fps: Frames per second, finite and above 0.
    Returns:
        A rate above 0. Below one frame a second the interval is rounded instead of the rate, so that it is not 0.
    """
    if fps >= 1:
        return Fraction(fps).limit_denominator(_MAX_DENOMINATOR)
    return 1 / Fraction(1 / fps).limit_denominator(_MAX_DENOMINATOR)


def rate_text(rate_hz: float) -> str:
    """A rate for people: 14.2, 3.0, 0.056."""
    return f"{rate_hz:.1f}" if rate_hz >= 1 or not rate_hz else f"{rate_hz:.2g}"


class RateMeter:
    """How much a count grows per second: over the last few seconds, and 0 once it did not grow in them.

    Where it grows more slowly than that, its last two values count, and the rate is 0 after twice the time between
    them. It may be read from another thread than the one that adds samples.

    Args:
        span_s: What "the last few seconds" are.
    """

    def __init__(self, span_s: float = RATE_SPAN_S) -> None:
        self._span_ns = round(span_s * 1e9)
        self._samples: deque[tuple[int, float]] = deque(maxlen=_MAX_SAMPLES)  # time, count

    def saw(self, count: float, at_ns: int) -> None:
        """Take a sample.

        Args:
            count: So far; it only grows. If it is less than before, counting has begun anew.
            at_ns: When; not before the last one.
        """
        samples = self._samples
        if samples and count == samples[-1][1]:
            return
        if samples and (count < samples[-1][1] or at_ns < samples[-1][0]):
            samples.clear()
        samples.append((at_ns, count))
        while len(samples) > 2 and at_ns - samples[1][0] >= self._span_ns:
            samples.popleft()

    def saw_one(self, at_ns: int) -> None:
        """Count one more."""
        self.saw(self._samples[-1][1] + 1 if self._samples else 1, at_ns)

    def reset(self) -> None:
        """Forget the samples."""
        self._samples.clear()

    @property
    def last_ns(self) -> int | None:
        """When the count last grew; None before the first sample."""
        samples = tuple(self._samples)
        return samples[-1][0] if samples else None

    def rate_hz(self, now_ns: int) -> float | None:
        """Growth per second.

        Args:
            now_ns: The present time, on the clock of the samples.
        Returns:
            None before there are two samples at different times, for as long as a rate could still become known.
        """
        samples = tuple(self._samples)
        if not samples:
            return None
        (last_ns, last), silent_ns = samples[-1], max(0, now_ns - samples[-1][0])
        recent = [sample for sample in samples if sample[0] >= now_ns - self._span_ns]
        first_ns, first = (recent if len(recent) >= 2 else samples[-2:])[0]
        if last_ns <= first_ns:
            return 0.0 if silent_ns > self._span_ns else None
        between_ns = (last_ns - first_ns) / (max(2, len(recent)) - 1)
        if silent_ns > max(self._span_ns, 2 * between_ns):
            return 0.0
        # Up to the time at which the next one is due a steady rate stays what it is.
        return (last - first) * 1e9 / max(last_ns - first_ns, now_ns - between_ns - first_ns)


def latencies_of_frames() -> deque[float]:
    """Room for the latencies of the newest 10,000 frames, in milliseconds: streams run for months."""
    return deque(maxlen=_MOST_LATENCIES)


def latencies_of_changes() -> deque[float]:
    """Room for the same of the newest changes of prompts, which come as often as clients like."""
    return deque(maxlen=MOST_CHANGES)
