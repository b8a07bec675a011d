"""Arithmetic of a soak: does something grow, and do the books of a stream close."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

__all__ = ["Balance", "Slope", "slope"]


class Slope(NamedTuple):
    """A straight line through measurements.

    Attributes:
        per_hour: How much they grow in an hour.
        error_per_hour: Standard error of that, if the measurements scatter independently of each other; they do not
            quite, so that it is rather too small.
        mean: Of the measurements.
        samples: How many there are.
    """

    per_hour: float
    error_per_hour: float
    mean: float
    samples: int


def slope(times_s: Sequence[float], values: Sequence[float | None], *, after_s: float = 0.0) -> Slope | None:
    """Least-squares line.

    Args:
        times_s: When it was measured, in seconds.
        values: What was measured; None where nothing could be.
        after_s: Leave out what was measured before.
    Returns:
        None with fewer than three measurements, or if all are of one moment.
    """
    pairs = zip(times_s, values, strict=True)
    kept = np.array([(t / 3600, value) for t, value in pairs if value is not None and t >= after_s]).reshape(-1, 2)
    hours, found = kept[:, 0] - kept[:, 0].mean() if len(kept) else kept[:, 0], kept[:, 1]
    spread = float(hours @ hours)
    if len(kept) < 3 or spread == 0.0:
        return None
    per_hour = float(hours @ found) / spread
    residuals = found - found.mean() - per_hour * hours
    variance = float(residuals @ residuals) / (len(kept) - 2)
    return Slope(per_hour, math.sqrt(variance / spread), float(found.mean()), len(kept))


@dataclass(frozen=True)
class Balance:
    """What became of the frames of a stream.

    Attributes:
        received: Frames that came.
        published: Frames whose masks were published.
        dropped: Frames without masks, by node and reason.
        in_flight: Frames that are on their way.
        seen: Of those published, how many a subscriber got.
    """

    received: int
    published: int
    dropped: Mapping[tuple[str, str], int]
    in_flight: int
    seen: int

    @property
    def remainder(self) -> int:
        """Frames of which nobody knows what became of them; below 0 if some were counted twice."""
        return self.received - self.published - sum(self.dropped.values()) - self.in_flight

    @property
    def closes(self) -> bool:
        """Whether every frame is accounted for, at the graph and at its subscriber."""
        return self.remainder == 0 and self.published == self.seen
