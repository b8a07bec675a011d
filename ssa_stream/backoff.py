"""How long to wait before something that failed is tried again."""

import random
from collections.abc import Callable

__all__ = ["backoff_s"]

_MOST_DOUBLINGS = 30  # an end before that of floats


def backoff_s(failures: int, first_s: float, limit_s: float, jitter: Callable[[], float] = random.random) -> float:
    """Return seconds that double with every failure in a row, up to a limit, less up to a half by chance.

    Chance keeps those that were lost at one moment, many readers of one server, from coming back at one moment.

    Args:
        failures: Failures in a row; fewer than 1 count as 1.
        first_s: Longest wait after the first one.
        limit_s: Longest wait of all.
        jitter: Draws from 0, which halves the wait, to 1.
    """
    doublings = min(max(failures, 1) - 1, _MOST_DOUBLINGS)
    return min(limit_s, first_s * 2.0**doublings) * (0.5 + 0.5 * jitter())
