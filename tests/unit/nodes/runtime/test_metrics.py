"""What a node counts, and the messages made of it."""

import pytest
from msgspec import UNSET

from ssa_stream.awake import AwakeClock
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.protocols import BusyTime, DropCount, DropReason, Limits, QueueDepth, decode, encode
from tests.support.manual_clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """Stands still unless told."""
    return ManualClock()


@pytest.fixture
def metrics(clock: ManualClock) -> NodeMetrics:
    """Of one node."""
    return NodeMetrics("encoder-0", "encoder", 3, clock)


def test_step_age_without_work_is_none(metrics: NodeMetrics, clock: ManualClock) -> None:
    """An idle node does not hang."""
    assert metrics.step_age_s() is None
    metrics.work_began()
    clock.advance(2)
    assert metrics.step_age_s() == 2
    metrics.work_ended()
    clock.advance(2)
    assert metrics.step_age_s() is None
    assert metrics.heartbeat(ready=True).steps == 1


def test_step_age_with_more_work_counts_from_the_last_step(metrics: NodeMetrics, clock: ManualClock) -> None:
    """A node that has ended a step a second ago lives, however much waits."""
    metrics.work_began()
    clock.advance(1)
    metrics.work_began()
    clock.advance(1)
    assert metrics.step_age_s() == 2
    metrics.work_ended()
    clock.advance(0.5)
    assert metrics.step_age_s() == 0.5


def test_step_of_a_process_that_was_stopped_is_no_older_for_it(clock: ManualClock) -> None:
    """A node in a paused container does not hang."""
    metrics = NodeMetrics("encoder-0", "encoder", 3, clock, AwakeClock(1.0, clock.monotonic_ns))
    metrics.work_began()
    clock.advance(0.5)
    assert metrics.step_age_s() == 0.5
    clock.advance(60)
    assert metrics.step_age_s() == 0.5


def test_step_that_fails_is_a_step(metrics: NodeMetrics) -> None:
    """Its age must not grow for ever."""
    with pytest.raises(ZeroDivisionError), metrics.working():
        _ = 1 // 0
    assert metrics.step_age_s() is None


def test_heartbeats_are_numbered_and_can_be_sent(metrics: NodeMetrics) -> None:
    """With the newest depth of every queue."""
    metrics.queue("inlet", 1, 4)
    metrics.queue("inlet", 2, 4, dropped=1)
    beats = [metrics.heartbeat(ready=ready, text="loading") for ready in (False, True)]
    assert [(beat.beat, beat.ready, beat.incarnation) for beat in beats] == [(0, False, 3), (1, True, 3)]
    assert beats[1].queues == (QueueDepth(name="inlet", depth=2, capacity=4, dropped=1),)
    assert decode(encode(beats[1]), Limits()).message == beats[1]


def test_statistics_counts_go_on_and_latencies_begin_anew(metrics: NodeMetrics, clock: ManualClock) -> None:
    """Counters are since the start, latencies of the interval."""
    metrics.count("frames", stream="cam0")
    metrics.count("frames", 2, stream="cam0")
    metrics.dropped("cam0", DropReason.STALE, 4)
    for ms in range(1, 101):
        metrics.latency("encode", ms)
    clock.advance(2)
    first = metrics.statistics()
    clock.advance(1)
    second = metrics.statistics()
    assert (first.interval_s, second.interval_s) == (2, 1)
    assert [(item.name, item.stream, item.value) for item in second.counters] == [("frames", "cam0", 3)]
    assert second.drops == (DropCount(stream="cam0", reason="stale", count=4),)
    (latency,) = first.latencies
    assert (latency.count, latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.max_ms) == (100, 50, 95, 99, 100)
    assert second.latencies == ()


def test_statistics_of_too_many_things_can_be_sent(metrics: NodeMetrics) -> None:
    """A message holds 256; the largest counts are told."""
    for number in range(300):
        metrics.count("frames", number + 1, stream=f"cam{number}")
        metrics.dropped(f"cam{number}", DropReason.GAP, number + 1)
        metrics.latency("encode", -1.0, stream=f"cam{number}")
        metrics.queue(f"queue{number}", 0, 1)
    statistics = metrics.statistics()
    assert decode(encode(statistics), Limits()).message == statistics
    assert statistics.counters[0].value == statistics.drops[0].count == 300
    assert encode(metrics.heartbeat(ready=True))


def test_latencies_of_a_long_interval_are_all_counted(metrics: NodeMetrics) -> None:
    """Percentiles are of the newest ones, the number is of all."""
    for _ in range(3000):
        metrics.latency("encode", 1.0)
    assert metrics.statistics().latencies[0].count == 3000


def test_time_of_work_is_told_by_part(metrics: NodeMetrics, clock: ManualClock) -> None:
    """That of work which is not done yet, too; a node that never worked tells nothing."""
    assert metrics.statistics().busy is UNSET
    with metrics.busy():
        clock.advance(2)
        assert metrics.statistics().busy == (BusyTime(name="encoder", seconds=2),)
        clock.advance(1)
    clock.advance(5)
    with metrics.busy("outputs"):
        clock.advance(0.5)
    told = metrics.statistics()
    assert told.busy == (BusyTime(name="encoder", seconds=3), BusyTime(name="outputs", seconds=0.5))
    assert decode(encode(told), Limits()).message == told
