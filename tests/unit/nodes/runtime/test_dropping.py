"""Which frames are too old, how long others wait, and what is logged of failures."""

from types import SimpleNamespace
from typing import cast
from unittest.mock import Mock

from structlog.testing import capture_logs

from ssa_stream.nodes.runtime.dropping import Drops, is_stale, wait_ns
from ssa_stream.nodes.runtime.node import NodeContext
from ssa_stream.protocols import DropReason
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


def test_failure_of_every_frame_is_counted_each_time_and_logged_once_in_a_while() -> None:
    """With one traceback: it may go on for days."""
    node = SimpleNamespace(name="decoder-0", metrics=Mock(), broker=Mock())
    drops = Drops(cast(NodeContext, node))
    with capture_logs() as logged:
        for number in range(50):
            drops.count(frame(number), DropReason.FAILED, error=ValueError("matrix contains invalid numeric entries"))
    assert node.metrics.dropped.call_count == node.broker.event.call_count == 50
    assert 1 <= len(logged) < 10
    assert logged[0]["error"] == "ValueError: matrix contains invalid numeric entries"
    assert [entry["exc_info"] is not None for entry in logged].count(True) == 1
