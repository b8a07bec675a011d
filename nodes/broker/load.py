"""Whether the graph keeps up with each of its streams: told once a second, and as events."""

from dataclasses import dataclass, field

from ssa_stream.client.graph_state import GraphState, StreamStatus
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.overload import SLOW_REASONS, Load, OverloadWatch, overload_text, remedies
from ssa_stream.protocols import EventKind, StreamLoad
from ssa_stream.rates import RateMeter

__all__ = ["LoadWatch", "StreamNews"]

_DROPPING_S = 15.0
"""Frames are dropped in bursts where a step takes seconds."""
_MAX_TEXT = 1000


@dataclass(frozen=True, slots=True)
class StreamNews:
    """What there is to tell of a stream.

    Attributes:
        load: Its state, to be published.
        event: That an overload has begun or ended; None if neither has.
        text: For people, if there is an event.
    """

    load: StreamLoad
    event: EventKind | None = None
    text: str = ""


@dataclass(slots=True)
class _Watched:
    watch: OverloadWatch = field(default_factory=OverloadWatch)
    drops: RateMeter = field(default_factory=lambda: RateMeter(_DROPPING_S))
    stale: RateMeter = field(default_factory=lambda: RateMeter(_DROPPING_S))


class LoadWatch:
    """Compares what comes of each live stream with what gets masks.

    Args:
        config: The graph; what would help depends on it.
        state: What its nodes say.
    """

    def __init__(self, config: PipelineConfig, state: GraphState) -> None:
        self._config, self._state = config, state
        self._streams = {name: _Watched() for name in config.streams}

    def look(self, now_ns: int, at_ns: int, clock: str) -> list[StreamNews]:
        """How the streams fare now; to be called about once a second.

        Args:
            now_ns: The time, on the clock of the state.
            at_ns: The time to tell.
            clock: Clock of `at_ns`.
        """
        is_ready = all(node in self._state.nodes and self._is_ready(node) for node in self._config.node_names)
        return [
            self._look(name, watched, is_ready, now_ns, at_ns, clock)
            for name, watched in self._streams.items()
            if name in self._state.streams
        ]

    def _is_ready(self, node: str) -> bool:
        beat = self._state.nodes[node].heartbeat
        return beat is not None and beat.ready

    def _look(self, name: str, watched: _Watched, is_ready: bool, now_ns: int, at_ns: int, clock: str) -> StreamNews:
        state, watch = self._state, watched.watch
        dropped = state.dropped(name)
        watched.drops.saw(sum(dropped.get(reason, 0) for reason in SLOW_REASONS), now_ns)
        watched.stale.saw(dropped.get("stale", 0), now_ns)
        masks_hz = state.masked_per_s(name, now_ns)
        load = self._load(state.streams[name], masks_hz, bool(watched.drops.rate_hz(now_ns)), now_ns)
        has_changed = watch.look(load if is_ready else None, now_ns)
        text, stage, event = "", None, None
        if watch.is_overloaded and load is not None:
            stage = load.stage
            is_stale = bool(watched.stale.rate_hz(now_ns))
            text = overload_text(load, self._remedies(name, stage, is_stale=is_stale))[:_MAX_TEXT]
        if has_changed:
            event = EventKind.OVERLOAD if watch.is_overloaded else EventKind.OVERLOAD_ENDED
        told = StreamLoad(stream=name, at_ns=at_ns, clock=clock, masks_hz=masks_hz, stage=stage, text=text)
        return StreamNews(told, event, text or "the graph keeps up with what comes")

    def _load(self, stream: StreamStatus, masks_hz: float, is_dropping: bool, now_ns: int) -> Load | None:
        source = stream.source
        if source is None or source.flow != "freshest" or source.rate_hz is None:
            return None
        return Load(
            source_hz=source.rate_hz,
            masks_hz=masks_hz,
            is_dropping=is_dropping,
            busy=self._state.busy(now_ns),
            has_one_thread=self._config.placement == "fused",
        )

    def _remedies(self, name: str, stage: str | None, *, is_stale: bool) -> list[str]:
        config, prompts = self._config, self._prompts(name)
        is_fused = config.placement == "fused"
        workers = {"encoder": config.workers.encoder, "queries": config.workers.queries}
        return remedies(
            stage,
            device=config.model.device,
            dtype=config.model.dtype,
            prompts=prompts,
            workers=0 if is_fused or stage is None else workers.get(stage, 0),
            is_fused=is_fused,
            staleness_s=config.flow.staleness_s if is_stale else None,
        )

    def _prompts(self, name: str) -> int:
        told = self._state.streams[name].prompts
        return len(self._config.streams[name].prompts if told is None else told.prompts)
