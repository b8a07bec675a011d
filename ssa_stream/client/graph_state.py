"""State of a running graph, from what it publishes. No sockets; times are given, so that tests need no clock."""

from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass, field

from ssa_stream.client.mask_figures import MaskFigures
from ssa_stream.protocols import (
    AnyMessage,
    Event,
    EventKind,
    Heartbeat,
    MaskMessage,
    PromptState,
    SourceState,
    Statistics,
    StreamLoad,
    Unknown,
)
from ssa_stream.rates import RateMeter

__all__ = ["ENDED", "FAILED", "MASKED", "RECEIVED", "GraphState", "NodeStatus", "StreamStatus"]

ENDED, FAILED = "ended", "failed"
"""What a source says that gives no more frames; see `SourceState.status`."""
RECEIVED = "frames_received"
"""Name of the counter of frames that came from a source."""
MASKED = "frames_out"
"""Name of the counter of frames whose masks were sent out."""
_MAX_WARNINGS = 100
_LAST_EVENTS = 5
_SILENT_NS = 3_000_000_000
"""What is told every second and was not for so long is not so any more."""


@dataclass(slots=True)
class StreamStatus:
    """A stream; None for what has not been told."""

    source: SourceState | None = None
    prompts: PromptState | None = None
    load: StreamLoad | None = None
    load_ns: int = 0
    """When the load was told."""


@dataclass(slots=True)
class NodeStatus:
    """A node; None for what has not been told.

    Attributes:
        heartbeat: The newest one.
        statistics: The newest ones.
        heard_ns: When its newest heartbeat came.
        told_ns: When its newest statistics came.
        stepped_ns: When its number of steps was last seen to grow.
        drops: Frames that it dropped, by reason, in each of its incarnations, whose counters begin anew.
        received: Frames that came from sources to it, by stream, in each of its incarnations.
    """

    heartbeat: Heartbeat | None = None
    statistics: Statistics | None = None
    heard_ns: int | None = None
    told_ns: int | None = None
    stepped_ns: int | None = None
    drops: dict[int, Counter[str]] = field(default_factory=dict)
    received: dict[int, Counter[str]] = field(default_factory=dict)
    _steps: RateMeter = field(default_factory=RateMeter)
    _drops: RateMeter = field(default_factory=RateMeter)
    _masked: dict[str, RateMeter] = field(default_factory=dict)  # by stream
    _busy: dict[str, RateMeter] = field(default_factory=dict)  # by part

    def steps_per_s(self, now_ns: int) -> float | None:
        """Its steps per second; None before that is known."""
        beat = self.heartbeat
        return None if beat is None else self._steps.rate_hz(beat.at_ns + _since(self.heard_ns, now_ns))

    def drops_per_s(self, now_ns: int) -> float | None:
        """Frames that it drops per second; None before that is known."""
        return self._rate(self._drops, now_ns)

    def masked_per_s(self, stream: str, now_ns: int) -> float:
        """Frames of a stream that it makes masks of per second."""
        return (self._rate(self._masked[stream], now_ns) or 0.0) if stream in self._masked else 0.0

    def busy(self, now_ns: int) -> dict[str, float]:
        """Share of the time (0..1) in which it works, by part: its role, and `outputs`; empty if it does not tell."""
        shares = {part: self._rate(meter, now_ns) for part, meter in self._busy.items()}
        return {part: min(1.0, share) for part, share in shares.items() if share is not None}

    def is_telling(self, now_ns: int) -> bool:
        """Whether its statistics are of the present."""
        return self.told_ns is not None and now_ns - self.told_ns <= _SILENT_NS

    def take(self, message: Heartbeat | Statistics, now_ns: int) -> None:
        """Take in what the node says of itself."""
        if isinstance(message, Heartbeat):
            last = self.heartbeat
            known = last.steps if last is not None and last.incarnation == message.incarnation else 0
            if message.steps > known:
                self.stepped_ns = now_ns
            if last is not None and last.incarnation != message.incarnation:
                self._steps.reset()
            self.heartbeat, self.heard_ns = message, now_ns
            self._steps.saw(message.steps, message.at_ns)
            return
        if self.statistics is not None and self.statistics.incarnation != message.incarnation:
            self._drops.reset()
            self._masked.clear()
            self._busy.clear()
        before = self.statistics
        self.statistics, self.told_ns = message, now_ns
        drops = self.drops[message.incarnation] = Counter()
        for drop in message.drops:
            drops[drop.reason] += drop.count
        self.received[message.incarnation] = Counter(
            {count.stream: count.value for count in message.counters if count.name == RECEIVED and count.stream}
        )
        self._drops.saw(drops.total(), message.at_ns)
        for count in message.counters:
            if count.name == MASKED and count.stream:
                if count.stream not in self._masked:
                    self._masked[count.stream] = RateMeter()
                    if before is not None and before.incarnation == message.incarnation:
                        self._masked[count.stream].saw(0, before.at_ns)  # it counted nothing until then
                self._masked[count.stream].saw(count.value, message.at_ns)
        for part in message.busy if isinstance(message.busy, tuple) else ():
            self._busy.setdefault(part.name, RateMeter()).saw(part.seconds, message.at_ns)

    def _rate(self, meter: RateMeter, now_ns: int) -> float | None:
        """A rate of what its statistics hold, whose times are of its own clock."""
        return None if self.statistics is None else meter.rate_hz(self.statistics.at_ns + _since(self.told_ns, now_ns))


class GraphState:
    """The newest of everything that a graph says, and what can be counted along the way.

    Verdicts about the graph's health, metrics, reports and tables are all made of this.

    Args:
        began_ns: When listening began.

    Attributes:
        began_ns: When listening began.
        streams: By name, those that said something of their source or prompts.
        nodes: By name, those that said something.
        losses: How often each node was lost; only of nodes that were.
        events: The last ones, oldest first.
        masks: Frames with masks, and how long they took.
        warnings: What was said to be incomplete of sources and prompts, each once; by stream.
        failed_outputs: What was said of outputs that ended before their stream, each once; by stream.
    """

    def __init__(self, began_ns: int = 0) -> None:
        self.began_ns = began_ns
        self.streams: dict[str, StreamStatus] = {}
        self.nodes: dict[str, NodeStatus] = {}
        self.losses: Counter[str] = Counter()
        self.events: deque[Event] = deque(maxlen=_LAST_EVENTS)
        self.masks = MaskFigures()
        self.warnings: dict[str, list[str]] = {}
        self.failed_outputs: dict[str, list[str]] = {}
        self._failed_at: dict[str, str] = {}

    def take(self, message: AnyMessage | Unknown, now_ns: int) -> None:
        """Take in a message that has just come; what is of no interest is passed over.

        Args:
            message: As it was published.
            now_ns: On this host's monotonic clock.
        """
        match message:
            case MaskMessage():
                self.masks.take(message, now_ns)
            case SourceState():
                self.streams.setdefault(message.stream, StreamStatus()).source = message
            case PromptState():
                self.streams.setdefault(message.stream, StreamStatus()).prompts = message
                self.masks.keep_prompts(message.stream, {prompt.id for prompt in message.prompts}, now_ns)
            case StreamLoad():
                stream = self.streams.setdefault(message.stream, StreamStatus())
                stream.load, stream.load_ns = message, now_ns
            case Heartbeat() | Statistics():
                self.nodes.setdefault(message.node, NodeStatus()).take(message, now_ns)
            case Event():
                self._take_event(message)

    @property
    def not_ready(self) -> list[str]:
        """Names of the nodes that say that they take no work yet, or that are lost."""
        return sorted(
            name for name, node in self.nodes.items() if node.heartbeat is not None and not node.heartbeat.ready
        )

    def dropped(self, stream: str) -> dict[str, int]:
        """Frames of a stream that got no masks, by reason, at all nodes since they last started."""
        statistics = (node.statistics for node in self.nodes.values())
        # What an ingest node drops is in the state of its source.
        others = (figures for figures in statistics if figures is not None and figures.role != "ingest")
        found: Counter[str] = Counter()
        for told in (self.streams[stream].source, *others):
            for drop in () if told is None else told.drops:
                if drop.stream == stream:
                    found[drop.reason] += drop.count
        return dict(+found)

    def masked_per_s(self, stream: str, now_ns: int) -> float:
        """Frames of a stream that get masks per second, as the nodes count them."""
        return sum(node.masked_per_s(stream, now_ns) for node in self.nodes.values())

    def busy(self, now_ns: int) -> dict[str, float]:
        """Share of the time (0..1) in which each stage works: a role, whose nodes it is the mean of, or `outputs`."""
        shares: dict[str, list[float]] = {}
        for node in self.nodes.values():
            for part, share in node.busy(now_ns).items():
                shares.setdefault(part, []).append(share)
        return {part: sum(found) / len(found) for part, found in shares.items()}

    def overload(self, stream: str, now_ns: int) -> str:
        """Why frames of a stream are dropped steadily, as the broker last said; empty if they are not."""
        load = self._load(stream, now_ns)
        return "" if load is None else load.text

    def masks_hz(self, stream: str, now_ns: int) -> float | None:
        """Pictures of a stream that get masks per second, as the broker last said: the figure that `overload` names.

        None if it does not say.
        """
        load = self._load(stream, now_ns)
        return None if load is None else load.masks_hz

    def _load(self, stream: str, now_ns: int) -> StreamLoad | None:
        status = self.streams.get(stream)
        return None if status is None or now_ns - status.load_ns > _SILENT_NS else status.load

    def total_drops(self) -> Counter[str]:
        """Frames that got no masks, by reason, of all streams, at all nodes in all their incarnations."""
        return sum((drops for node in self.nodes.values() for drops in node.drops.values()), Counter())

    def total_received(self) -> Counter[str]:
        """Frames that came from sources, by stream, to all nodes in all their incarnations."""
        return sum((count for node in self.nodes.values() for count in node.received.values()), Counter())

    def has_ended(self, streams: Collection[str]) -> bool:
        """Whether the sources of all these streams have ended and all their frames are done with."""
        known = (self.streams.get(name, StreamStatus()).source for name in streams)
        return all(source is not None and source.status in (ENDED, FAILED) for source in known)

    @property
    def lacking_outputs(self) -> dict[str, list[str]]:
        """Of `failed_outputs` those that nothing is written to now: a masks node that starts again opens new files."""
        return {
            stream: [text for text in texts if text in self._failed_at] for stream, texts in self.failed_outputs.items()
        }

    def _take_event(self, event: Event) -> None:
        self.events.append(event)
        if event.kind == EventKind.NODE_LOST and event.about_node is not None:
            self.losses[event.about_node] += 1
            self._failed_at = {text: node for text, node in self._failed_at.items() if node != event.about_node}
        elif event.kind == EventKind.OUTPUT_FAILED and event.stream is not None:
            self._failed_at[event.text] = event.node
            _add_once(self.failed_outputs.setdefault(event.stream, []), event.text)
        elif event.kind == EventKind.PROMPTS_CHANGED:
            self.masks.prompts_changed(event)
        elif event.kind == EventKind.INPUT_WARNING and event.stream is not None:
            _add_once(self.warnings.setdefault(event.stream, []), event.text)


def _add_once(texts: list[str], text: str) -> None:
    if text not in texts and len(texts) < _MAX_WARNINGS:
        texts.append(text)


def _since(then_ns: int | None, now_ns: int) -> int:
    return 0 if then_ns is None else max(0, now_ns - then_ns)
