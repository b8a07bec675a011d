"""How long to wait before a lost source is tried again."""

import random
from collections.abc import Callable

__all__ = ["Backoff"]


class Backoff:
    """Waits that double from one attempt to the next, each shortened at random by up to a half.

    The randomness keeps many streams of one lost server from coming back at the same moment.

    Args:
        first_s: Before the second attempt.
        limit_s: Longest wait.
        uniform: Random number from 0 to 1, for tests.
    """

    def __init__(
        self, first_s: float = 0.5, limit_s: float = 10.0, uniform: Callable[[], float] = random.random
    ) -> None:
        self._first_s, self._limit_s, self._uniform = first_s, limit_s, uniform
        self._attempts = 0

    def next_s(self) -> float:
        """Seconds to wait now; at least `first_s`."""
        longest_s = min(self._limit_s, self._first_s * 2.0 ** min(self._attempts, 30))
        self._attempts += 1
        return max(self._first_s, longest_s * (1 - self._uniform() / 2))

    def reset(self) -> None:
        """It worked: the next wait is a first one."""
        self._attempts = 0
