"""Health of a graph at one moment, and the verdicts that follow. No sockets, no clock."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ssa_stream.client.graph_state import GraphState, NodeStatus, StreamStatus
from ssa_stream.nodes.pipeline import BROKER, HealthSection, PipelineConfig
from ssa_stream.protocols import Heartbeat, SourceState, Statistics

__all__ = ["HealthView", "NodeHealth", "Verdict"]

_NS = 1e-9


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer with its reasons.

    Attributes:
        reasons: What speaks against it, for people; empty if nothing does.
    """

    reasons: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """How one node fares.

    Attributes:
        name: Its name.
        heartbeat: The last one; None before the first.
        statistics: The last ones; None before the first.
        silent_s: Time since its last heartbeat, or since the beginning before the first.
        last_step_s: Age of the last step: time since its number of steps was seen to grow; None before the first one.
        losses: How often it was lost.
        busy: Share of the time (0..1) in which it works, by part; see `NodeStatus.busy`.
        is_telling: Whether its statistics are of the present.
    """

    name: str
    heartbeat: Heartbeat | None
    statistics: Statistics | None
    silent_s: float
    last_step_s: float | None
    losses: int
    busy: Mapping[str, float] = field(default_factory=dict)
    is_telling: bool = True

    @classmethod
    def of(cls, name: str, state: GraphState, now_ns: int) -> "NodeHealth":
        """How a node of the graph fares now."""
        node = state.nodes.get(name, NodeStatus())
        return cls(
            name=name,
            heartbeat=node.heartbeat,
            statistics=node.statistics,
            silent_s=(now_ns - (state.began_ns if node.heard_ns is None else node.heard_ns)) * _NS,
            last_step_s=None if node.stepped_ns is None else (now_ns - node.stepped_ns) * _NS,
            losses=state.losses[name],
            busy=node.busy(now_ns),
            is_telling=node.is_telling(now_ns),
        )

    @property
    def ready(self) -> bool:
        """Whether it takes work, as it last said."""
        return self.heartbeat is not None and self.heartbeat.ready

    @property
    def step_age_s(self) -> float | None:
        """How long it has been at its present step: as it last said, and since then; None if it has no work."""
        if self.heartbeat is None or self.heartbeat.step_age_s is None:
            return None
        return self.heartbeat.step_age_s + self.silent_s

    @property
    def text(self) -> str:
        """What was last said of it."""
        return "" if self.heartbeat is None else self.heartbeat.text


@dataclass(frozen=True, slots=True)
class HealthView:
    """How a graph fares.

    Attributes:
        placement: Nodes in one process are not started again by anybody within it.
        limits: From when on a node counts as lost.
        nodes: All nodes of the graph, the broker included, by name.
        sources: What was last said of the source of each stream; None before that.
        lacking_outputs: What was said of outputs that ended before their stream and are not written now; by stream.
        masks_hz: Frames that get masks per second, by stream.
        overloads: Why frames are dropped steadily, by stream; only of streams that are overloaded. No reason not to be
            ready: those that come get masks as fast as can be.
    """

    placement: Literal["fused", "processes"]
    limits: HealthSection
    nodes: Mapping[str, NodeHealth]
    sources: Mapping[str, SourceState | None]
    lacking_outputs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    masks_hz: Mapping[str, float] = field(default_factory=dict)
    overloads: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, state: GraphState, now_ns: int, config: PipelineConfig, beside: Collection[str] = ()) -> "HealthView":
        """How a graph fares now.

        Args:
            state: What it said, taken in with times of the clock of `now_ns`.
            now_ns: The present time.
            config: Names the nodes and streams that count.
            beside: Nodes beside the graph that are to be well, too.
        """
        return cls(
            placement=config.placement,
            limits=config.health,
            nodes={name: NodeHealth.of(name, state, now_ns) for name in (*config.all_names, *beside)},
            sources={name: state.streams.get(name, StreamStatus()).source for name in config.streams},
            lacking_outputs=state.lacking_outputs,
            masks_hz={name: state.masked_per_s(name, now_ns) for name in config.streams},
            overloads={name: text for name in config.streams if (text := state.overload(name, now_ns))},
        )

    def live(self) -> Verdict:
        """Whether the process works; if not, only starting it again helps.

        A node in a process of its own is started again by the launcher, so that its end is no reason here. A node that
        hangs in the process of all of them is.
        """
        found = []
        silent_s = self.nodes[BROKER].silent_s
        if silent_s > self.limits.heartbeat_timeout_s:
            found.append(f"the broker has not worked for {silent_s:.1f} s")
        if self.placement == "fused":
            found += [reason for node in self.nodes.values() for reason in self._hangs(node)]
        return Verdict(tuple(found))

    def ready(self) -> Verdict:
        """Whether frames that come now get masks, and reach every output: all nodes get on with their work."""
        outputs = [
            f"an output of stream {stream} has ended: {text}"
            for stream, texts in self.lacking_outputs.items()
            for text in texts
        ]
        return Verdict((*(reason for node in self.nodes.values() for reason in self._not_ready(node)), *outputs))

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "nodes": {
                name: {
                    "ready": node.ready,
                    "silent_s": round(node.silent_s, 3),
                    "step_age_s": _rounded(node.step_age_s),
                    "last_step_s": _rounded(node.last_step_s),
                    "steps": 0 if node.heartbeat is None else node.heartbeat.steps,
                    "losses": node.losses,
                    "busy": {part: round(share, 3) for part, share in node.busy.items()},
                    "text": node.text,
                }
                for name, node in self.nodes.items()
            },
            "streams": {
                name: {
                    **({"status": "unknown"} if source is None else _source(source)),
                    "masks_hz": round(self.masks_hz.get(name, 0.0), 2),
                    "overload": self.overloads.get(name, ""),
                }
                for name, source in self.sources.items()
            },
        }

    def _not_ready(self, node: NodeHealth) -> Iterator[str]:
        if node.heartbeat is None:
            yield f"{node.name} has not said anything yet"
        elif not node.ready:
            yield f"{node.name} is not ready" + (f" ({node.text})" if node.text else "")
        elif node.silent_s > self.limits.heartbeat_timeout_s:
            yield f"{node.name} has been silent for {node.silent_s:.1f} s"
        else:
            yield from self._hangs(node)

    def _hangs(self, node: NodeHealth) -> Iterator[str]:
        age_s = node.step_age_s
        if age_s is not None and age_s > self.limits.hang_timeout_s:
            yield f"{node.name} has been at one step for {age_s:.1f} s"


def _source(source: SourceState) -> dict[str, Any]:
    return {
        "status": source.status,
        "text": source.text,
        "code": source.code,
        "attempt": source.attempt,
        "retry_in_s": _rounded(source.retry_in_s),
        "source_hz": round(source.rate_hz or 0.0, 2),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
