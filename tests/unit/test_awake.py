"""Time in which this process did not run does not count."""

import pytest

from ssa_stream.awake import AwakeClock
from tests.support.manual_clock import ManualClock


def test_short_gaps_between_readings_count() -> None:
    """As on any clock."""
    time = ManualClock()
    awake = AwakeClock(1.0, time.monotonic_ns)
    began_s = awake.monotonic_s()
    for _ in range(5):
        time.advance(1.0)
        awake.monotonic_ns()
    assert awake.monotonic_s() - began_s == pytest.approx(5.0)
    assert awake.away_s == 0


def test_long_gap_does_not_count_for_whoever_reads_first() -> None:
    """There is no moment after it in which somebody sees the jump."""
    time = ManualClock()
    awake = AwakeClock(1.0, time.monotonic_ns)
    time.advance(0.5)
    before_ns = awake.monotonic_ns()
    time.advance(60)
    assert awake.monotonic_ns() == before_ns
    time.advance(0.25)
    assert awake.monotonic_ns() - before_ns == 250_000_000
    assert awake.away_s == 60


def test_gaps_add_up() -> None:
    """A laptop that is used now and then."""
    time = ManualClock()
    awake = AwakeClock(1.0, time.monotonic_ns)
    for _ in range(3):
        time.advance(10)
        awake.monotonic_ns()
    assert awake.away_s == 30
