"""How long a live source is usually silent between two frames, learned from what came."""

import statistics
import time
from collections import deque
from collections.abc import Callable

__all__ = ["UsualSilence"]

_INTERVALS = 9
_ENOUGH = 2
_USUAL_INTERVALS = 3
"""So many intervals late, a source is not alive."""
_LONGEST_S = 30.0
"""However slow it was: two outages in a row look like a slow camera."""


class UsualSilence:
    """Follow the rate of a source over its connections.

    A camera slower than the limits for silence is lost before its second picture, so the intervals between connections
    count as well.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Know nothing yet.

        Args:
            clock: Seconds on the clock of `time.monotonic`.
        """
        self._clock = clock
        self._last_s: float | None = None
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)

    @property
    def limit_s(self) -> float:
        """Silence in seconds that is nothing unusual; 0 as long as too little came."""
        if len(self._intervals) < _ENOUGH:
            return 0.0
        return min(_LONGEST_S, _USUAL_INTERVALS * statistics.median(self._intervals))

    def frame_came(self) -> None:
        """A frame came just now."""
        last_s, self._last_s = self._last_s, self._clock()
        if last_s is not None:
            self._intervals.append(self._last_s - last_s)
