"""How often and after what pause a node is started again."""

import random
from collections import deque
from collections.abc import Callable

from ssa_stream.nodes.pipeline import HealthSection
from ssa_stream.nodes.runtime.clock import Clock

__all__ = ["RestartPolicy"]

_NS = 1e-9


class RestartPolicy:
    """Pauses that double with every loss of a node within the window, until it was lost too often.

    Args:
        health: Limits and pauses.
        clock: Tells when losses happen.
        jitter: Gives numbers of 0..1, so that nodes that fell together do not rise together.
    """

    def __init__(self, health: HealthSection, clock: Clock, jitter: Callable[[], float] = random.random) -> None:
        self._health = health
        self._clock = clock
        self._jitter = jitter
        self._losses_ns: deque[int] = deque()

    @property
    def recent_losses(self) -> int:
        """Losses within the window, as of the last one."""
        return len(self._losses_ns)

    def pause_after_loss(self) -> float | None:
        """Note a loss that happens now.

        Returns:
            Seconds to wait before the next start, half to the whole of the step of back-off; None: too many losses.
        """
        now_ns = self._clock.monotonic_ns()
        self._losses_ns.append(now_ns)
        while (now_ns - self._losses_ns[0]) * _NS > self._health.restart_window_s:
            self._losses_ns.popleft()
        if len(self._losses_ns) > self._health.max_restarts:
            return None
        doublings = min(len(self._losses_ns) - 1, 32)
        step_s = min(self._health.backoff_max_s, self._health.backoff_s * 2**doublings)
        return float(step_s * (0.5 + 0.5 * self._jitter()))
