"""An ingest node between a source that a test plays, an encoder that it is, and a broker that only listens."""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import pytest

from ssa_stream.errors import TransportError
from ssa_stream.nodes.ingest import node as ingest
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.nodes.runtime.broker_link import BrokerLink
from ssa_stream.nodes.runtime.clock import MonotonicClock
from ssa_stream.nodes.runtime.executor import ModelExecutor
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.node import NodeContext
from ssa_stream.nodes.runtime.transport.interface import Transport
from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.protocols import (
    AnyMessage,
    Event,
    Finished,
    FrameIdentity,
    FrameMessage,
    PictureMessage,
    SourceState,
    StartStream,
)
from ssa_stream.sources import Frame, OnState, Source, SourceInfo
from tests.support.ingest import start_stream

__all__ = ["DEADLINE_S", "IngestStand", "PlayedSource", "ingest_stand"]

DEADLINE_S = 60.0
T = TypeVar("T")


class PlayedSource(Source):
    """Delivers what a test gives it, when it gives it.

    Args:
        live: Whether it says that it is.
        lets_go: Whether `close` ends a read that waits; a broken driver does not.
    """

    def __init__(self, *steps: Frame | Exception | None, live: bool = False, lets_go: bool = True) -> None:
        self.closed = threading.Event()
        self._live, self._lets_go = live, lets_go
        self._steps: queue.SimpleQueue[Frame | Exception | None] = queue.SimpleQueue()
        self.give(*steps)

    @property
    def info(self) -> SourceInfo:
        """A name and a rate."""
        return SourceInfo("played", live=self._live, fps=10.0)

    def give(self, *steps: Frame | Exception | None) -> None:
        """Deliver frames, raise errors, or end with None."""
        for step in steps:
            self._steps.put(step)

    def frames(self) -> Iterator[Frame]:
        """What was given."""
        while (step := self._steps.get()) is not None:
            if isinstance(step, Exception):
                raise step
            yield step

    def close(self) -> None:
        """End, if it is one that does."""
        self.closed.set()
        if self._lets_go:
            self._steps.put(None)


class _Links:
    """Transport and outlets in one: what is sent is kept.

    Attributes:
        refuses: Whether nothing is taken.
        refuses_pictures: Whether the masks node takes none.
        refuses_frames: Whether encoders take nothing.
        refused: Messages that were not taken.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[AnyMessage, OutgoingPayload | None]] = []
        self.refuses = self.refuses_pictures = self.refuses_frames = False
        self.refused = 0
        self.closed = 0

    def outlet(self, names: Sequence[str]) -> "_Links":
        return self

    async def send(
        self, message: AnyMessage, payload: OutgoingPayload | None = None, *, timeout_s: float = 5.0
    ) -> bool:
        await asyncio.sleep(0)
        if payload is not None:
            payload.expect_named_by(message)
        is_refused = self.refuses_pictures if isinstance(message, PictureMessage) else self.refuses_frames
        if self.refuses or is_refused:
            self.refused += 1
            return False
        self.sent.append((message, payload))
        return True

    def close(self) -> None:
        self.closed += 1


class _Broker:
    """Keeps what the node says."""

    def __init__(self) -> None:
        self.said: list[AnyMessage] = []
        self.is_ready = False
        self.asked: asyncio.Queue[Any] = asyncio.Queue()

    def mark_ready(self) -> None:
        self.is_ready = True

    def publish(self, message: AnyMessage) -> None:
        self.said.append(message)

    reply = publish

    def event(self, kind: str, **fields: Any) -> None:
        fields["stream"] = fields.get("stream")
        self.publish(Event(kind=str(kind), node="ingest-cam0", at_ns=0, clock="monotonic:test", **fields))

    async def requests(self) -> AsyncIterator[Any]:
        while True:
            yield await self.asked.get()


class IngestStand:
    """What a test sees and does around the node.

    Attributes:
        sources: Opened one after the other; an error stands for an address that does not open.
        links: What the node sends.
        broker: What it says.
        metrics: What it counts.
        opened: Addresses that were opened.
        on_state: What the last source tells its states.
    """

    on_state: OnState

    def __init__(self, *sources: Source | Exception) -> None:
        self.sources = list(sources)
        self.opened: list[str] = []
        self.links, self.broker = _Links(), _Broker()
        self.metrics = NodeMetrics("ingest-cam0", "ingest")
        self.stop = asyncio.Event()

    def open_source(self, address: str, live: bool | None, on_state: OnState) -> Source:
        """The next source."""
        self.on_state = on_state
        self.opened.append(address)
        source = self.sources.pop(0)
        if isinstance(source, Exception):
            raise source
        return source

    def ask(self, *requests: AnyMessage) -> None:
        """Let the broker ask something, or pass something on."""
        for request in requests:
            self.broker.asked.put_nowait(request)

    def finish(self, epoch: int, seq: int) -> None:
        """Let the masks node finish frames, as the broker passes it on."""
        message = Finished(node="masks-0", incarnation=0, stream="cam0", epoch=epoch, seq=seq)
        self.ask(message)

    @property
    def frames(self) -> list[FrameMessage]:
        """Frames sent so far."""
        return [message for message, _ in self.links.sent if isinstance(message, FrameMessage)]

    @property
    def pictures(self) -> list[FrameIdentity]:
        """Of which frames pictures were sent so far."""
        return [message.frame for message, _ in self.links.sent if isinstance(message, PictureMessage)]

    @property
    def numbers(self) -> list[tuple[int, int, int, int]]:
        """Epoch, number, index and missed of each frame sent so far."""
        return [(m.work.frame.epoch, m.work.frame.seq, m.work.frame.index, m.work.frames_missed) for m in self.frames]

    def said(self, kind: type[T]) -> list[T]:
        """Messages of a type that the node gave to the broker."""
        return [message for message in self.broker.said if isinstance(message, kind)]

    @property
    def drops(self) -> dict[str, int]:
        """Frames that got no masks, by reason, as the last state says."""
        states = self.said(SourceState)
        return {drop.reason: drop.count for drop in states[-1].drops} if states else {}

    def events(self) -> list[str]:
        """Kinds of events so far."""
        return [event.kind for event in self.said(Event)]

    @property
    def state(self) -> SourceState:
        """The last state of the source."""
        return self.said(SourceState)[-1]

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something; fails when it does not come."""
        deadline_s = asyncio.get_running_loop().time() + DEADLINE_S
        while not is_so():
            if asyncio.get_running_loop().time() > deadline_s:
                raise TransportError(f"waited in vain; sent {self.numbers}, said {self.broker.said[-5:]}")
            await asyncio.sleep(0.002)

    async def until_status(self, status: str) -> None:
        """Wait for a state of the source."""
        await self.until(lambda: bool(self.said(SourceState)) and self.state.status == status)

    async def until_sent(self, count: int) -> None:
        """Wait for so many frames in all."""
        await self.until(lambda: len(self.frames) >= count)

    async def settle(self) -> None:
        """Let everything that can happen happen: the node has nothing to do but wait."""
        for _ in range(50):
            await asyncio.sleep(0)


@asynccontextmanager
async def ingest_stand(
    *sources: Source | Exception,
    start: StartStream | None = None,
    session: dict[str, Any] | None = None,
    in_flight: int = 3,
    ends_with: type[Exception] | None = None,
    **stream: Any,
) -> AsyncIterator[IngestStand]:
    """A running node.

    Args:
        sources: See `IngestStand`.
        start: First message of the broker; None begins with the sentence `a`.
        session: Settings of the session.
        in_flight: Of the pipeline.
        ends_with: Error that the node is to end with.
        stream: Settings of the stream.
    """
    stand = IngestStand(*sources)
    edges = {"short_edge_px": 32, "long_edge_px": 64}
    settings = PipelineConfig.from_mapping(
        {
            "session": {**edges, **(session or {})},
            "streams": {"cam0": {"source": "played", **stream}},
            "flow": {"in_flight": in_flight},
        }
    )
    with ModelExecutor() as executor:
        node = NodeContext(
            name="ingest-cam0",
            role="ingest",
            incarnation=0,
            transport=cast(Transport, stand.links),
            broker=cast(BrokerLink, stand.broker),
            clock=MonotonicClock(),
            awake=MonotonicClock(),
            stop=stand.stop,
            executor=executor,
            metrics=stand.metrics,
            settings=settings,
            load_model=lambda: (_ for _ in ()).throw(AssertionError("ingest never loads the network")),
        )
        stand.ask(start or start_stream("a"))
        task = asyncio.create_task(ingest.run(node, opener=stand.open_source))
        try:
            yield stand
        finally:
            stand.stop.set()
            async with asyncio.timeout(DEADLINE_S):
                if ends_with is None:
                    await task
                else:
                    with pytest.raises(ends_with):
                        await task
