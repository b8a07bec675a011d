"""What is known of a running graph, from what it publishes."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from ssa_stream.protocols import Event, Heartbeat, PromptState, SourceState, Statistics, Topic

__all__ = ["GraphStatus", "NodeStatus", "StreamStatus"]

_LAST_EVENTS = 5


@dataclass
class StreamStatus:
    """A stream; None for what has not been told."""

    source: SourceState | None = None
    prompts: PromptState | None = None


@dataclass
class NodeStatus:
    """A node; None for what has not been told."""

    heartbeat: Heartbeat | None = None
    statistics: Statistics | None = None


@dataclass
class GraphStatus:
    """The newest of everything.

    Attributes:
        streams: By name.
        nodes: By name.
        events: The last ones, oldest first.
    """

    streams: dict[str, StreamStatus] = field(default_factory=dict)
    nodes: dict[str, NodeStatus] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def note(self, topic: Topic, message: object) -> None:
        """Take in what was published; what is of no interest is passed over."""
        match message:
            case SourceState():
                self.streams.setdefault(message.stream, StreamStatus()).source = message
            case PromptState():
                self.streams.setdefault(message.stream, StreamStatus()).prompts = message
            case Heartbeat():
                self.nodes.setdefault(message.node, NodeStatus()).heartbeat = message
            case Statistics():
                self.nodes.setdefault(message.node, NodeStatus()).statistics = message
            case Event():
                self.events = [*self.events, message][-_LAST_EVENTS:]

    def dropped(self, stream: str) -> dict[str, int]:
        """Frames of a stream that got no masks, by reason, at all nodes."""
        source = self.streams[stream].source
        found = {} if source is None else {drop.reason: drop.count for drop in source.drops if drop.stream == stream}
        for node in self.nodes.values():
            if node.statistics is None or node.statistics.role == "ingest":  # whose drops are in the source's state
                continue
            for drop in node.statistics.drops:
                if drop.stream == stream:
                    found[drop.reason] = found.get(drop.reason, 0) + drop.count
        return {reason: count for reason, count in found.items() if count}

    def to_mapping(self) -> dict[str, Any]:
        """As plain values; messages with the names that docs/protocol.md describes."""
        return {
            "streams": {
                name: {
                    "source": _plain(stream.source),
                    "prompts": _plain(stream.prompts),
                    "dropped": self.dropped(name),
                }
                for name, stream in sorted(self.streams.items())
            },
            "nodes": {
                name: {"heartbeat": _plain(node.heartbeat), "statistics": _plain(node.statistics)}
                for name, node in sorted(self.nodes.items())
            },
            "events": [_plain(event) for event in self.events],
        }


def _plain(message: msgspec.Struct | None) -> Any:
    return None if message is None else msgspec.to_builtins(message)
