"""Metrics of a graph in Prometheus' text format.

Base units; every name begins with `ssa_stream_`; labels are `stream`, `node` and `reason` only, whose values the
pipeline and the protocol bound. What nodes count, measure and queue goes by names of theirs, which become part of the
metric's name. Percentiles are of the last interval, so that they are gauges, and absent where nothing was measured in
it.
"""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from ssa_stream.nodes.health.view import HealthView, NodeHealth

__all__ = ["CONTENT_TYPE_LATEST", "exposition"]

PREFIX = "ssa_stream"
_PERCENTILES = ("p50", "p95", "p99", "max")
_MS = 1e-3
_OWN = "launcher"
_BUSY = "node_{}busy"
_COUNTED = "Counted by the node since it started."
_NONE = ""  # as Prometheus has it, a label without a value is no label


def exposition(view: HealthView, own: Mapping[str, int] | None = None) -> bytes:
    """All metrics, in Prometheus' text format.

    Args:
        view: How the graph fares.
        own: Counts of the process that answers, by name.
    """
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(namespace=PREFIX, registry=registry)
    registry.register(_GraphCollector(view, own or {}))
    return generate_latest(registry)


class _Families:
    """Metrics by name, each made when it gets its first value."""

    def __init__(self) -> None:
        self.made: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}

    def gauge(self, name: str, text: str, value: float, **labels: str) -> None:
        self._add(GaugeMetricFamily, name, text, value, labels)

    def counter(self, name: str, text: str, value: float, **labels: str) -> None:
        self._add(CounterMetricFamily, name, text, value, labels)

    def _add(
        self,
        kind: type[CounterMetricFamily] | type[GaugeMetricFamily],
        name: str,
        text: str,
        value: float,
        labels: dict[str, str],
    ) -> None:
        family = self.made.setdefault(name, kind(f"{PREFIX}_{name}", text, labels=list(labels)))
        family.add_metric(list(labels.values()), value)


class _GraphCollector(Collector):
    """One view, collected once."""

    def __init__(self, view: HealthView, own: Mapping[str, int]) -> None:
        self._view, self._own = view, own

    def describe(self) -> Iterable[Metric]:
        """Nothing: names depend on what nodes count."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        families, view = _Families(), self._view
        families.gauge("live", "1 if the process works.", view.live().ok)
        families.gauge("ready", "1 if frames that come now get masks.", view.ready().ok)
        for name, source in view.sources.items():
            families.gauge(
                "source_up", "1 if pictures come.", source is not None and source.status == "running", stream=name
            )
            if source is None:
                continue
            families.gauge("source_epoch", "Number of the present epoch.", source.epoch, stream=name)
            families.gauge("source_attempts", "Attempts to connect since the last frame.", source.attempt, stream=name)
            families.counter("stream_frames", "Frames sent to the first node.", source.next_index, stream=name)
            text = "Pictures that come per second, over the last three seconds."
            families.gauge("source_rate_hertz", text, source.rate_hz or 0.0, stream=name)
            text = "Pictures that get masks per second, over the last three seconds."
            families.gauge("masks_rate_hertz", text, view.masks_hz.get(name, 0.0), stream=name)
            text = "1 if pictures are dropped steadily because the graph is too slow."
            families.gauge("overloaded", text, name in view.overloads, stream=name)
        for node in view.nodes.values():
            _add_node(families, node)
        for name, value in self._own.items():
            families.counter(f"count_{name}", _COUNTED, value, node=_OWN, stream=_NONE)
        yield from families.made.values()


def _add_node(families: _Families, node: NodeHealth) -> None:
    name, beat = node.name, node.heartbeat
    families.gauge("node_ready", "1 if it takes work.", node.ready, node=name)
    families.gauge("node_silence_seconds", "Time since it was last heard.", node.silent_s, node=name)
    families.counter("node_losses", "How often it was lost.", node.losses, node=name)
    age_s = 0.0 if node.step_age_s is None else node.step_age_s
    families.gauge("node_step_age_seconds", "How long it has been at its step; 0 without work.", age_s, node=name)
    if node.last_step_s is not None:
        families.gauge("node_last_step_age_seconds", "Time since its last step.", node.last_step_s, node=name)
    if beat is not None:
        families.counter("node_steps", "Steps done since it started.", beat.steps, node=name)
        for queue in beat.queues:
            families.gauge(f"queue_{queue.name}_length", "Entries in the queue.", queue.depth, node=name)
            families.gauge(f"queue_{queue.name}_capacity", "Most entries.", queue.capacity, node=name)
    _add_statistics(families, node)


def _add_statistics(families: _Families, node: NodeHealth) -> None:
    figures, name = node.statistics, node.name
    if figures is None:
        return
    for count in figures.counters:
        stem = count.name.removesuffix("_total")
        families.counter(f"count_{stem}", _COUNTED, count.value, node=name, stream=count.stream or _NONE)
    for drop in figures.drops:
        text = "Frames without masks since the node started."
        families.counter("frames_dropped", text, drop.count, stream=drop.stream, node=name, reason=drop.reason)
    if isinstance(figures.busy, tuple):
        for part in figures.busy:
            stem = _BUSY.format("" if part.name == figures.role else f"{part.name}_")
            text = "Time in which it worked since it started."
            families.counter(f"{stem}_seconds", text, part.seconds, node=name)
            text = "Share of the last three seconds in which it worked, 0 to 1."
            families.gauge(f"{stem}_ratio", text, node.busy.get(part.name, 0.0), node=name)
    for latency in figures.latencies if node.is_telling else ():
        for which in _PERCENTILES:
            families.gauge(
                f"latency_{latency.name}_{which}_seconds",
                "Of the last interval.",
                getattr(latency, f"{which}_ms") * _MS,
                node=name,
                stream=latency.stream or _NONE,
            )
