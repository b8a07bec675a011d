"""Watches a graph through what it publishes, as any subscriber could."""

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import zmq.asyncio

from ssa_stream.client.graph_state import FAILED, GraphState
from ssa_stream.client.sockets import connect, subscriber_socket
from ssa_stream.errors import MessageError
from ssa_stream.found_frames import FoundFrames
from ssa_stream.input_warnings import InputWarning
from ssa_stream.keys import ClientKeys
from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.nodes.runtime.transport.links import pull
from ssa_stream.protocols import DropReason, Limits, SourceState, decode, subscription
from ssa_stream.rates import latencies_of_changes, latencies_of_frames

__all__ = ["GraphReport", "Observer"]


@dataclass(slots=True)
class GraphReport:
    """Figures of a graph. See `MaskFigures` for those of masks.

    Attributes:
        read: Frames that came from the sources and are done with, by stream: those with masks and those that were
            dropped. What a node counted in its last moments before it was killed is not known; there are no fewer
            than frames with masks.
        frames: Frames with final masks, by stream.
        found: In how many frames each prompt had a target, by stream.
        repeated: Frames whose final masks came again.
        drops: Frames without masks, by reason.
        restarts: Restarts, by node; only of nodes that were restarted.
        elapsed_s: From the first masks to the last.
        recent_fps: Frames per second over the last few seconds, all streams together; 0 if none got masks in them.
        recent_latency_ms: Median latency of the frames of the last few seconds; None if there are none.
        latencies_ms: To masks, newest frames.
        overloads: Why frames of a stream are dropped steadily, by stream; only of streams that are overloaded.
        prompt_to_mask_ms: From each change of prompts to its first masks, newest changes.
        failures: What ended a stream, by its name; only of streams that failed.
        outputs_failed: What ended outputs before their stream, by the stream's name.
        warnings: What is known to be incomplete of sources and prompts.
        sources: The last state of each source, by stream.
        is_interrupted: Whether it was stopped before its sources ended.
    """

    read: Counter[str] = field(default_factory=Counter)
    frames: Counter[str] = field(default_factory=Counter)
    found: dict[str, FoundFrames] = field(default_factory=dict)
    repeated: int = 0
    drops: Counter[str] = field(default_factory=Counter)
    restarts: dict[str, int] = field(default_factory=dict)
    elapsed_s: float = 0.0
    recent_fps: float = 0.0
    recent_latency_ms: float | None = None
    latencies_ms: deque[float] = field(default_factory=latencies_of_frames)
    prompt_to_mask_ms: deque[float] = field(default_factory=latencies_of_changes)
    failures: dict[str, str] = field(default_factory=dict)
    outputs_failed: dict[str, list[str]] = field(default_factory=dict)
    warnings: list[InputWarning] = field(default_factory=list)
    sources: dict[str, SourceState] = field(default_factory=dict)
    overloads: dict[str, str] = field(default_factory=dict)
    is_interrupted: bool = False

    @classmethod
    def of(
        cls,
        state: GraphState,
        streams: Collection[str],
        restarts: Mapping[str, int] | None = None,
        *,
        now_ns: int,
        is_interrupted: bool = False,
    ) -> "GraphReport":
        """The figures of a graph as they are now.

        Args:
            state: Of the graph.
            streams: Names of all streams.
            restarts: By node.
            now_ns: The present time, on the clock of the state.
            is_interrupted: See the attribute.
        """
        known = {name: state.streams[name].source for name in streams if name in state.streams}
        sources = {name: source for name, source in known.items() if source is not None}
        return cls(
            read=state.total_received() | state.masks.frames,  # of each the larger number
            frames=state.masks.frames,
            found=state.masks.found,
            repeated=state.masks.repeated,
            drops=state.total_drops(),
            restarts=dict(restarts or {}),
            elapsed_s=state.masks.elapsed_s,
            recent_fps=state.masks.rate.rate_hz(now_ns) or 0.0,
            recent_latency_ms=state.masks.recent_latency_ms(now_ns),
            latencies_ms=state.masks.latencies_ms,
            prompt_to_mask_ms=state.masks.prompt_to_mask_ms,
            failures={
                name: source.text or "its source failed" for name, source in sources.items() if source.status == FAILED
            },
            outputs_failed={name: list(texts) for name, texts in state.failed_outputs.items()},
            warnings=[InputWarning(f"stream {name}", text) for name, texts in state.warnings.items() for text in texts],
            sources=sources,
            overloads={name: text for name in streams if (text := state.overload(name, now_ns))},
            is_interrupted=is_interrupted,
        )

    @property
    def total_frames(self) -> int:
        """Frames with final masks, of all streams."""
        return sum(self.frames.values())

    @property
    def dropped(self) -> int:
        """Frames without masks, without those that a stream was ended before."""
        return self.drops.total() - self.drops[DropReason.UNPROCESSED]

    @property
    def fps(self) -> float:
        """Frames per second, all streams together; 0 before the second frame."""
        return (self.total_frames - len(self.frames)) / self.elapsed_s if self.elapsed_s > 0 else 0.0

    def latency_ms(self, percentile: float) -> float:
        """A percentile (0..100) of the latencies; 0 before the first frame."""
        return float(np.percentile(self.latencies_ms, percentile)) if self.latencies_ms else 0.0

    def to_mapping(self) -> Mapping[str, object]:
        """Plain values, for JSON."""
        return {
            "read": dict(self.read),
            "frames": dict(self.frames),
            "prompts": {name: found.to_list() for name, found in sorted(self.found.items())},
            "repeated": self.repeated,
            "drops": dict(self.drops),
            "restarts": self.restarts,
            "elapsed_s": round(self.elapsed_s, 3),
            "fps": round(self.fps, 3),
            "latency_p50_ms": round(self.latency_ms(50), 2),
            "latency_p95_ms": round(self.latency_ms(95), 2),
            "prompt_to_mask_ms": [round(value, 2) for value in self.prompt_to_mask_ms],
            "failures": self.failures,
            "outputs_failed": self.outputs_failed,
            "warnings": [warning.to_mapping() for warning in self.warnings],
            "interrupted": self.is_interrupted,
        }


_LIMITS = Limits()
_QUEUED_MESSAGES = 10_000
"""Figures, not masks, are what it is for: it may fall behind for a while."""
_TICK_S = 0.25
_QUIET_S, _DRAIN_S = 0.05, 0.5


class Observer:
    """Subscribes to everything that a graph publishes.

    Args:
        context: Of its socket.
        address: Where the graph publishes.
        streams: Names of all streams.
        clock: Tells when something came.
        keys: With what it connects; None where everybody may.

    Attributes:
        state: What was seen.
        finished: Set once the sources of all streams have ended.
    """

    def __init__(
        self,
        context: zmq.asyncio.Context,
        address: str,
        streams: Collection[str],
        clock: Clock,
        keys: ClientKeys | None = None,
    ) -> None:
        self.state = GraphState(clock.monotonic_ns())
        self.finished = asyncio.Event()
        self._streams = streams
        self._clock = clock
        self._socket: zmq.asyncio.Socket = subscriber_socket(
            context, address, [subscription()], keys, queued_messages=_QUEUED_MESSAGES
        )
        connect(self._socket, address)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self._read(_TICK_S)
            if self.state.has_ended(self._streams):
                self.finished.set()
            else:
                self.finished.clear()

    async def drain(self) -> None:
        """Read what is still on its way; not beside `run`."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                while await self._read(_QUIET_S):
                    pass
        except TimeoutError:
            pass

    def close(self) -> None:
        """Unsubscribe."""
        self._socket.close(linger=0)

    async def _read(self, timeout_s: float) -> bool:
        frames = await pull(self._socket, timeout_s)
        if frames is None:
            return False
        try:
            self.state.take(decode(frames, _LIMITS).message, self._clock.monotonic_ns())
        except MessageError:
            pass  # readers of masks check and report; here it is one frame less in the figures
        return True
