"""How many messages a peer may send."""

import time
from collections.abc import Callable

__all__ = ["RateLimit"]


class RateLimit:
    """Room for so many things a second, and for twice as many at once after a pause.

    Args:
        rate_hz: How many.
        clock: Seconds.
    """

    def __init__(self, rate_hz: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate_hz, self._clock = rate_hz, clock
        self._room = 2 * rate_hz
        self._since_s = clock()

    def take(self) -> bool:
        """Whether there is room for one; it is taken then."""
        now_s = self._clock()
        self._room = min(2 * self._rate_hz, self._room + (now_s - self._since_s) * self._rate_hz)
        self._since_s = now_s
        if self._room < 1:
            return False
        self._room -= 1
        return True
