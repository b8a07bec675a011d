"""A clock that does not count the time in which this process did not run."""

import threading
import time
from collections.abc import Callable

__all__ = ["AwakeClock"]


class AwakeClock:
    """Monotonic time that stands still while this process does.

    A process that was stopped (Ctrl-Z), frozen (a paused container) or kept from running (a dead disk, no memory) has
    heard nobody meanwhile. Silence and deadlines are measured on this clock, so that it reads what was said to it
    before it judges who was silent. It is for differences within one process, never for messages.

    Whoever uses it reads it often; of a longer gap between two readings nothing counts. The suspension of the whole
    machine needs no such care: monotonic clocks of Linux stand still by themselves then. May be used from any thread.

    Args:
        gap_s: A gap between two readings that is longer than this is absence.
        now_ns: A monotonic clock, nanoseconds.

    Attributes:
        name: As of other clocks; times of this one are never sent.
    """

    name = "awake:process"

    def __init__(self, gap_s: float, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._gap_ns = round(gap_s * 1e9)
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._read_ns = now_ns()
        self._away_ns = 0

    def monotonic_ns(self) -> int:
        """Now, in nanoseconds; grows by no more than the gap from one reading to the next."""
        with self._lock:
            now_ns = self._now_ns()
            if now_ns - self._read_ns > self._gap_ns:
                self._away_ns += now_ns - self._read_ns
            self._read_ns = now_ns
            return now_ns - self._away_ns

    def monotonic_s(self) -> float:
        """The same in seconds, as `time.monotonic` gives them."""
        return self.monotonic_ns() / 1e9

    @property
    def away_s(self) -> float:
        """Time that was not counted so far, as of the last reading."""
        with self._lock:
            return self._away_ns / 1e9
