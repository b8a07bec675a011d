"""Watches a graph through what it publishes, as any subscriber could, and keeps the figures."""

import asyncio
from collections import Counter

import zmq.asyncio

from ssa_stream.client.sockets import connect, subscriber_socket
from ssa_stream.errors import MessageError
from ssa_stream.keys import ClientKeys
from ssa_stream.nodes.launcher.report import GraphReport
from ssa_stream.nodes.runtime.transport.links import pull
from ssa_stream.protocols import (
    AnyMessage,
    Event,
    EventKind,
    Limits,
    MaskMessage,
    SourceState,
    Statistics,
    Unknown,
    decode,
    subscription,
)

__all__ = ["Observer", "Reading"]

_LIMITS = Limits()
_QUEUED_MESSAGES = 10_000
"""Figures, not masks, are what it is for: it may fall behind for a while."""
_TICK_S = 0.25
_QUIET_S, _DRAIN_S = 0.05, 0.5
_ENDED, _FAILED = "ended", "failed"
_MS = 1e-6


class Reading:
    """What published messages say; no sockets here.

    Args:
        streams: Names of all streams.

    Attributes:
        report: The figures so far.
    """

    def __init__(self, streams: list[str]) -> None:
        self.report = GraphReport()
        self._streams = frozenset(streams)
        self._first_ns = 0
        self._newest: dict[str, int] = {}  # stream: index
        self._drops: dict[tuple[str, int], Counter[str]] = {}  # by node and incarnation, whose counters begin anew
        self._changes: dict[tuple[str, int], int] = {}  # stream and version of its prompts: when they changed

    @property
    def is_finished(self) -> bool:
        """Whether the sources of all streams have ended and all their frames are done with."""
        sources = self.report.sources
        return all(name in sources and sources[name].status in (_ENDED, _FAILED) for name in self._streams)

    def take(self, message: AnyMessage | Unknown) -> None:
        """Read one message."""
        match message:
            case MaskMessage(status="final"):
                self._take_masks(message)
            case SourceState():
                self._take_source(message)
            case Statistics():
                drops: Counter[str] = Counter()
                for drop in message.drops:
                    drops[drop.reason] += drop.count
                self._drops[message.node, message.incarnation] = drops
                self.report.drops = sum(self._drops.values(), Counter())
            case Event(kind=EventKind.PROMPTS_CHANGED, stream=str(stream), prompts_version=int(version)):
                self._changes[stream, version] = message.at_ns

    def _take_source(self, state: SourceState) -> None:
        if state.stream not in self._streams:
            return
        self.report.sources[state.stream] = state
        if state.status == _FAILED:
            self.report.failures[state.stream] = state.text or "its source failed"
        else:
            self.report.failures.pop(state.stream, None)

    def _take_masks(self, message: MaskMessage) -> None:
        frame, report = message.frame, self.report
        end_ns = message.times[-1].end_ns if message.times else None
        changed_ns = self._changes.pop((frame.stream, message.prompt.version), None)
        if changed_ns is not None and end_ns is not None:
            report.prompt_to_mask_ms.append(max(0, end_ns - changed_ns) * _MS)
        newest = self._newest.get(frame.stream, -1)
        if frame.index == newest:
            return  # another prompt's masks in the same frame
        if frame.index < newest:
            report.repeated += 1
            return
        self._newest[frame.stream] = frame.index
        report.frames[frame.stream] += 1
        if end_ns is None:
            return
        self._first_ns = self._first_ns or end_ns
        report.elapsed_s = max(report.elapsed_s, (end_ns - self._first_ns) / 1e9)
        report.recent_ns.append(end_ns)
        for begin_ns, clock in self._beginnings(message):
            if begin_ns is not None and clock == message.times[-1].clock:
                report.latencies_ms.append((end_ns - begin_ns) * _MS)
                return

    def _beginnings(self, message: MaskMessage) -> list[tuple[int | None, str | None]]:
        """From when latency counts, best first, each time with its clock."""
        frame, ingest = message.frame, message.times[0]
        if not frame.live:  # such a frame has waited before it was asked for
            return [(ingest.end_ns, ingest.clock)]
        return [(frame.t_capture_ns, frame.capture_clock), (frame.t_receive_ns, frame.receive_clock)]


class Observer:
    """Subscribes to everything that a graph publishes.

    Args:
        context: Of its socket.
        address: Where the graph publishes.
        streams: Names of all streams.
        keys: With what it connects; None where everybody may.

    Attributes:
        reading: What was seen.
        finished: Set once the sources of all streams have ended.
    """

    def __init__(
        self, context: zmq.asyncio.Context, address: str, streams: list[str], keys: ClientKeys | None = None
    ) -> None:
        self.reading = Reading(streams)
        self.finished = asyncio.Event()
        self._socket: zmq.asyncio.Socket = subscriber_socket(
            context, address, [subscription()], keys, queued_messages=_QUEUED_MESSAGES
        )
        connect(self._socket, address)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self._read(_TICK_S)
            if self.reading.is_finished:
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
            self.reading.take(decode(frames, _LIMITS).message)
        except MessageError:
            pass  # readers of masks check and report; here it is one frame less in the figures
        return True
