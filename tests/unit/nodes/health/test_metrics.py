"""Metrics are read by Prometheus' own parser."""

import re

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from ssa_stream.client.graph_state import MASKED, GraphState
from ssa_stream.nodes.health import HealthView
from ssa_stream.nodes.health.metrics import exposition
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.protocols import BusyTime, Counter, Latency, StreamLoad
from tests.support.scripted_nodes import CLOCK, source_state, statistics

SECOND = 1_000_000_000
ALLOWED_LABELS = {"stream", "node", "reason"}


def _families() -> dict[str, Metric]:
    """Metrics of a graph with something of everything."""
    config = PipelineConfig.from_mapping({"streams": {"cam0": {"source": "synthetic"}, "side": {"source": "0"}}})
    state = GraphState(CLOCK.monotonic_ns())
    node = NodeMetrics("masks-0", "masks", 0, CLOCK)
    node.count("decode_error", 3)
    node.count("frames_sent", 7, stream="cam0")
    node.dropped("cam0", "stale", 4)
    node.latency("masks", 12.5, stream="cam0")
    node.queue("join", 2, 6)
    with node.working():
        state.take(node.heartbeat(ready=True), CLOCK.monotonic_ns())
    state.take(node.statistics(), CLOCK.monotonic_ns())
    state.take(source_state(rate_hz=29.5, next_index=40, epoch=2, attempt=3), CLOCK.monotonic_ns())
    text = exposition(HealthView.of(state, CLOCK.monotonic_ns(), config)).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_counts_of_who_answers_are_metrics() -> None:
    """A node may count something of the same name; they go by the node."""
    config = PipelineConfig.from_mapping({"streams": {"cam0": {"source": "synthetic"}}})
    state = GraphState(CLOCK.monotonic_ns())
    node = NodeMetrics("gateway-0", "gateway", 0, CLOCK)
    node.count("refused_400", 3)
    state.take(node.statistics(), CLOCK.monotonic_ns())
    view = HealthView.of(state, CLOCK.monotonic_ns(), config, ("gateway-0",))
    text = exposition(view, {"refused_400": 2, "connections_refused": 5}).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    by_node = {sample.labels["node"]: sample.value for sample in families["ssa_stream_count_refused_400"].samples}
    assert by_node == {"gateway-0": 3, "launcher": 2}
    assert families["ssa_stream_count_connections_refused"].samples[0].value == 5


def _values(family: Metric) -> dict[tuple[str, ...], float]:
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def test_every_name_has_the_prefix_and_only_the_allowed_labels() -> None:
    """Whatever a node counts."""
    families = _families()
    assert families
    for name, family in families.items():
        assert re.fullmatch(r"ssa_stream_[a-z0-9_]+", name)
        assert family.documentation
        for sample in family.samples:
            assert set(sample.labels) <= ALLOWED_LABELS


def test_times_are_in_seconds() -> None:
    """As are all base units: no name ends in one of another."""
    families = _families()
    assert not [name for name in families if re.search(r"_(ms|milliseconds|ns|mb|fps)(_|$)", name)]
    latency = families["ssa_stream_latency_masks_p95_seconds"]
    assert _values(latency) == {("masks-0", "cam0"): 0.0125}
    assert latency.type == "gauge"


def test_counters_drops_and_queues_of_a_node_are_there() -> None:
    """With its name, the stream and the reason."""
    families = _families()
    assert families["ssa_stream_count_decode_error"].type == "counter"
    assert _values(families["ssa_stream_count_decode_error"]) == {("masks-0", ""): 3}
    assert _values(families["ssa_stream_count_frames_sent"]) == {("masks-0", "cam0"): 7}
    (drop,) = families["ssa_stream_frames_dropped"].samples
    assert (drop.labels, drop.value) == ({"stream": "cam0", "node": "masks-0", "reason": "stale"}, 4)
    assert _values(families["ssa_stream_queue_join_length"]) == {("masks-0",): 2}
    assert _values(families["ssa_stream_node_ready"])["masks-0",] == 1
    assert _values(families["ssa_stream_node_ready"])["decoder-0",] == 0


def test_streams_are_there_from_the_beginning() -> None:
    """One of which nothing was heard yet is down, not absent."""
    families = _families()
    assert _values(families["ssa_stream_source_up"]) == {("cam0",): 1, ("side",): 0}
    assert _values(families["ssa_stream_source_rate_hertz"]) == {("cam0",): 29.5}
    assert _values(families["ssa_stream_masks_rate_hertz"]) == {("cam0",): 0}
    assert _values(families["ssa_stream_stream_frames"]) == {("cam0",): 40}
    assert _values(families["ssa_stream_source_attempts"]) == {("cam0",): 3}
    assert _values(families["ssa_stream_ready"]) == {(): 0}


def test_registry_is_private() -> None:
    """Two graphs in one process do not meet, and nothing is left registered."""
    assert _families().keys() == _families().keys()


def test_figures_of_the_last_seconds_vanish_or_fall_when_nothing_comes() -> None:
    """Percentiles of a node that is gone, the rate of masks, the share of time in which it works."""
    config = PipelineConfig.from_mapping({"streams": {"cam0": {"source": "synthetic"}}})
    state = GraphState(0)
    latency = Latency(name="masks", count=9, p50_ms=12.5, p95_ms=12.5, p99_ms=12.5, max_ms=12.5, stream="cam0")
    load = StreamLoad(stream="cam0", at_ns=0, clock=CLOCK.name, masks_hz=6.0, stage="masks", text="overloaded: ...")
    for at_s in range(4):
        busy = (BusyTime(name="masks", seconds=0.5 * at_s), BusyTime(name="outputs", seconds=0.1 * at_s))
        masked = (Counter(name=MASKED, stream="cam0", value=6 * at_s),)
        told = {"busy": busy, "counters": masked, "latencies": (latency,)}
        state.take(statistics("masks-0", at_ns=at_s * SECOND, **told), at_s * SECOND)
    state.take(source_state(rate_hz=None), 3 * SECOND)
    state.take(load, 3 * SECOND)
    expected = {
        "masks_rate_hertz": (6, 0), "overloaded": (1, 0), "node_busy_ratio": (0.5, 0),
        "node_outputs_busy_ratio": (0.1, 0), "node_busy_seconds": (1.5, 1.5), "source_rate_hertz": (0, 0),
        "latency_masks_p50_seconds": (0.0125, None),
    }  # fmt: skip
    for column, now_s in enumerate((3, 60)):
        text = exposition(HealthView.of(state, now_s * SECOND, config)).decode()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        for name, values in expected.items():
            family = families.get(f"ssa_stream_{name}")
            found = None if family is None else family.samples[0].value
            assert found == (None if values[column] is None else pytest.approx(values[column])), name
