"""Time, as every node is given it: monotonic, with the name under which it travels in messages."""

import platform
import re
import time
from functools import cache
from pathlib import Path
from typing import Protocol

__all__ = ["Clock", "MonotonicClock"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_ID_LENGTH = 12


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
        """`monotonic:` and the beginning of the boot's id: two boots, or two hosts, never share a name."""
        return _host_clock_name()

    def monotonic_ns(self) -> int:
        """Now, in nanoseconds since the host was booted."""
        return time.monotonic_ns()


@cache
def _host_clock_name() -> str:
    try:
        owner = _BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")[:_ID_LENGTH]
    except OSError:  # not Linux: the host's name tells hosts apart, though not boots
        owner = re.sub(r"[^A-Za-z0-9_.-]", "-", platform.node())[:64]
    return f"monotonic:{owner or 'host'}"
