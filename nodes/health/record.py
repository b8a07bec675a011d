"""What is known of a graph from the messages of its nodes."""

from collections.abc import Collection
from dataclasses import dataclass

from ssa_stream.nodes.health.view import HealthView, NodeHealth
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.protocols import Event, EventKind, Heartbeat, SourceState, Statistics

__all__ = ["HealthRecord"]

_NS = 1e-9


@dataclass(slots=True)
class _Node:
    heartbeat: Heartbeat | None = None
    statistics: Statistics | None = None
    heard_ns: int | None = None
    stepped_ns: int | None = None
    losses: int = 0


class HealthRecord:
    """Keeps the newest of everything; fed with messages by the broker, or by whoever subscribes to what it publishes.

    Args:
        config: Names nodes and streams; what comes of others is passed over.
        clock: Tells when something was heard.
        beside: Nodes beside the graph that are to be well, too.
    """

    def __init__(self, config: PipelineConfig, clock: Clock, beside: Collection[str] = ()) -> None:
        self._config = config
        self._clock = clock
        self._began_ns = clock.monotonic_ns()
        self._nodes = {name: _Node() for name in (*config.all_names, *beside)}
        self._sources: dict[str, SourceState | None] = dict.fromkeys(config.streams)

    def note(self, message: object) -> None:
        """Take in a message that has just come; what is of no interest is passed over."""
        match message:
            case Heartbeat() if message.node in self._nodes:
                self._take_heartbeat(self._nodes[message.node], message)
            case Statistics() if message.node in self._nodes:
                self._nodes[message.node].statistics = message
            case SourceState() if message.stream in self._sources:
                self._sources[message.stream] = message
            case Event(kind=EventKind.NODE_LOST, about_node=str(name)) if name in self._nodes:
                self._nodes[name].losses += 1

    def view(self) -> HealthView:
        """How the graph fares now."""
        now_ns = self._clock.monotonic_ns()
        return HealthView(
            placement=self._config.placement,
            limits=self._config.health,
            nodes={
                name: NodeHealth(
                    name=name,
                    heartbeat=node.heartbeat,
                    statistics=node.statistics,
                    silent_s=(now_ns - (self._began_ns if node.heard_ns is None else node.heard_ns)) * _NS,
                    last_step_s=None if node.stepped_ns is None else (now_ns - node.stepped_ns) * _NS,
                    losses=node.losses,
                )
                for name, node in self._nodes.items()
            },
            sources=dict(self._sources),
        )

    def _take_heartbeat(self, node: _Node, heartbeat: Heartbeat) -> None:
        now_ns, last = self._clock.monotonic_ns(), node.heartbeat
        known = last.steps if last is not None and last.incarnation == heartbeat.incarnation else 0
        if heartbeat.steps > known:
            node.stepped_ns = now_ns
        node.heartbeat, node.heard_ns = heartbeat, now_ns
