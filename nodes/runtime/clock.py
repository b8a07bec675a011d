"""The clock of every node: monotonic, with the name under which its times travel in messages."""

import time
from typing import Protocol

from ssa_stream.protocols import host_clock_name

__all__ = ["Clock", "MonotonicClock"]


class Clock(Protocol):
    """Tells the time. Times of two clocks may be subtracted only if they have the same name."""

    @property
    def name(self) -> str:
        """Kind of clock and whose it is, as messages carry it."""

    def monotonic_ns(self) -> int:
        """Now, in nanoseconds since some moment in the past; never goes back."""


class MonotonicClock:
    """The monotonic clock of this host, the same for all its processes until it is booted again."""

    @property
    def name(self) -> str:
        """See `ssa_stream.protocols.host_clock_name`."""
        return host_clock_name()

    def monotonic_ns(self) -> int:
        """Now, in nanoseconds since the host was booted."""
        return time.monotonic_ns()
