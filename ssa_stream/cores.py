"""How many processor cores this process may use."""

import os

__all__ = ["usable_cores"]


def usable_cores() -> int:
    """Cores that the system lets this process run on; all of the machine where it does not say. At least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
