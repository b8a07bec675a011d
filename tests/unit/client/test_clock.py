"""Clocks of this machine and of others."""

from ssa_stream.client.clock import DelayEstimate
from ssa_stream.nodes.runtime.clock import MonotonicClock
from ssa_stream.protocols import host_clock_name

SECOND = 1_000_000_000


def test_name_is_that_of_the_nodes_on_this_machine() -> None:
    """Else no age could ever be told."""
    assert host_clock_name() == MonotonicClock().name


def test_delay_is_what_exceeds_the_quickest_message() -> None:
    """Whatever the difference of the clocks is."""
    delay = DelayEstimate()
    sent = [1000 * SECOND + i * SECOND for i in range(4)]
    arrived = [5 * SECOND, 6 * SECOND - SECOND // 2, 7 * SECOND, 8 * SECOND + SECOND]
    found = [delay.add(when, came) for when, came in zip(sent, arrived, strict=True)]
    assert found == [0.0, 0.0, 0.5, 1.5]


def test_delay_forgets_the_quickest_message_after_a_minute() -> None:
    """Clocks drift apart: an hour at 50 parts in a million is 180 ms."""
    delay = DelayEstimate()
    drift_ns = 1_000_000
    found = [delay.add(i * SECOND, i * (SECOND + drift_ns)) for i in range(600)]
    assert max(found) < 0.07
