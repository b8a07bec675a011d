"""The clock of a host."""

import msgspec

from ssa_stream.nodes.runtime.clock import MonotonicClock
from ssa_stream.protocols.fields import ClockName


def test_clock_name_fits_messages_and_is_the_same_for_all() -> None:
    """Two nodes of one host may subtract each other's times."""
    name = MonotonicClock().name
    assert msgspec.convert(name, ClockName) == name == MonotonicClock().name
    assert name.startswith("monotonic:")


def test_clock_never_goes_back() -> None:
    """As its name says."""
    clock = MonotonicClock()
    times = [clock.monotonic_ns() for _ in range(100)]
    assert times == sorted(times)
