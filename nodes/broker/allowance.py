"""How much somebody may do: so much at once, and so much in a second from then on (a token bucket)."""

import time
from collections.abc import Callable

__all__ = ["Allowance"]


class Allowance:
    """Full at the beginning.

    Args:
        rate_hz: How much comes back in a second.
        burst: How much there is at most.
        now_s: The time, monotonic.
    """

    def __init__(self, rate_hz: float, burst: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._rate_hz = rate_hz
        self._burst = burst
        self._now_s = now_s
        self._left = burst
        self._at_s = now_s()

    def take(self, amount: float = 1.0) -> bool:
        """Take so much, if there is so much; else nothing."""
        if self.left() < amount:
            return False
        self._left -= amount
        return True

    def left(self) -> float:
        """How much there is now."""
        now_s = self._now_s()
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._rate_hz)
        self._at_s = now_s
        return self._left

    @property
    def is_full(self) -> bool:
        """Whether nothing was taken for so long that it is as new."""
        return self.left() >= self._burst
