"""Which frames are too old, and how long others wait."""

from ssa_stream.nodes.runtime.dropping import is_stale, wait_ns
from tests.support.frame_works import frame, work
from tests.support.model_nodes import pipeline


def test_stale_is_what_is_older_than_the_budget_and_no_replay() -> None:
    """By one and the same clock, and only where the newest frame counts."""
    settings, late_ns = pipeline(flow={"staleness_s": 0.5}), 500_000_001
    clock = "monotonic:test"
    live = work(1, "a", live=True)
    assert is_stale(live, settings, clock=clock, now_ns=late_ns)
    assert not is_stale(live, settings, clock=clock, now_ns=late_ns - 1)
    assert not is_stale(work(1, "a", frames=2, live=True), settings, clock=clock, now_ns=late_ns)
    assert not is_stale(live, settings, clock="monotonic:other", now_ns=late_ns)
    assert not is_stale(work(1, "a"), settings, clock=clock, now_ns=late_ns)


def test_where_every_frame_counts_a_hanging_node_is_noticed_before_the_wait_ends() -> None:
    """A live stream goes on after a short wait."""
    settings = pipeline(flow={"reorder_wait_s": 0.25})
    assert wait_ns(frame(0), settings) > settings.health.hang_timeout_s * 1e9
    assert wait_ns(frame(0, live=True), settings) == 250_000_000
