"""The name of this machine's clock: who gives times and who reads them must agree on it."""

import platform
import re
from functools import cache
from pathlib import Path

__all__ = ["host_clock_name"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_ID_LENGTH = 12


@cache
def host_clock_name() -> str:
    """Name of this machine's monotonic clock, as messages carry it.

    `monotonic:` and the beginning of the boot's id: two boots, or two hosts, never share a name. Where the system tells
    no boot's id, the host's name tells hosts apart, though not boots.
    """
    try:
        owner = _BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")[:_ID_LENGTH]
    except OSError:  # not Linux
        owner = re.sub(r"[^A-Za-z0-9_.-]", "-", platform.node())[:64]
    return f"monotonic:{owner or 'host'}"
