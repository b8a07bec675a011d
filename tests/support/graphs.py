"""Graphs of nodes in tests: run until a test is through with them, and what they publish."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import zmq
import zmq.asyncio

from ssa_stream.nodes.launcher import Graph, GraphReport
from ssa_stream.nodes.pipeline import BROKER
from ssa_stream.nodes.runtime.tasks import first_of
from ssa_stream.protocols import Event, Limits, MaskMessage, Packet, SourceState, decode, subscription
from tests.support.waiting import until

__all__ = ["PATIENCE_S", "Listener", "Watched", "is_alive", "listing", "running", "watched"]

PATIENCE_S = 150.0
"""Longest wait for anything; long, because the machine may have other work."""


@asynccontextmanager
async def running(graph: Graph) -> AsyncIterator[asyncio.Task[GraphReport]]:
    """A graph from when it is ready until the end of the body; its task has the report afterwards.

    Raises:
        SsaStreamError: What ended the graph before or after.
    """
    stop = asyncio.Event()
    task = asyncio.create_task(graph.run(stop), name="graph")
    try:
        await first_of(graph.ready.wait(), asyncio.shield(task), timeout_s=PATIENCE_S)
        if graph.ready.is_set():
            yield task
    finally:
        stop.set()
        await asyncio.wait([task])
    task.result()


@dataclass(frozen=True)
class Watched:
    """A graph that runs, and a listener that misses nothing of what it publishes.

    Attributes:
        graph: The graph.
        listener: Has heard everything since the graph began.
    """

    graph: Graph
    listener: "Listener"
    _task: asyncio.Task[GraphReport]

    async def ended(self) -> GraphReport:
        """Wait for its end.

        Raises:
            SsaStreamError: What ended it.
            TimeoutError: It does not end.
        """
        return await asyncio.wait_for(asyncio.shield(self._task), PATIENCE_S)

    async def ready(self) -> None:
        """Wait until all nodes are ready."""
        await asyncio.wait_for(self.graph.ready.wait(), PATIENCE_S)

    async def frames(self, count: int, stream: str | None = None) -> None:
        """Wait until masks of so many frames have come."""
        await until(lambda: len(self.listener.indices(stream)) >= count or self._task.done())


@asynccontextmanager
async def watched(graph: Graph, let_go: threading.Event | None = None) -> AsyncIterator[Watched]:
    """Run a graph; it is stopped at the end of the body, unless it has ended by itself.

    Args:
        graph: Not yet run.
        let_go: Set when the listener hears; whoever loads the network of a fused graph waits for it.
    """
    stop = asyncio.Event()
    task = asyncio.create_task(graph.run(stop), name="graph")
    try:
        await first_of(graph.bound.wait(), asyncio.shield(task))
        if not graph.bound.is_set():
            task.result()
        async with Listener(graph.publish_address) as listener:
            await until(lambda: bool(listener.packets))
            if let_go is not None:
                let_go.set()
            yield Watched(graph, listener, task)
            stop.set()
            await asyncio.wait([task])
    finally:
        stop.set()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # told by `ended`


def is_alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def listing(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


class Listener:
    """A subscriber to everything that a graph publishes, which keeps all of it; an async context.

    Attributes:
        packets: What came, in order.
    """

    def __init__(self, address: str) -> None:
        self.packets: list[Packet] = []
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.rcvhwm = 0
        self._socket.subscribe(subscription())
        self._socket.connect(address)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._listen(), name="listener")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        self._context.destroy(linger=0)

    def messages(self, *kinds: type[Any]) -> list[Any]:
        """Messages of some kinds, in order."""
        return [packet.message for packet in self.packets if isinstance(packet.message, kinds)]

    def masks(self, stream: str | None = None, status: str = "final") -> list[Packet]:
        """Masks with their buffers, in order."""
        return [
            packet
            for packet in self.packets
            if isinstance(packet.message, MaskMessage)
            and stream in (None, packet.message.frame.stream)
            and packet.message.status == status
        ]

    def indices(self, stream: str | None = None) -> list[int]:
        """Numbers of the frames whose final masks came, in order; one for all prompts of a frame."""
        frames = [
            (message.frame.stream, message.frame.index)
            for message in self.messages(MaskMessage)
            if message.status == "final" and stream in (None, message.frame.stream)
        ]
        return [frame[1] for i, frame in enumerate(frames) if frames[i - 1 : i] != [frame]]

    def last_status(self, stream: str) -> str | None:
        """What was last said of a source; None if nothing was."""
        states = [state.status for state in self.messages(SourceState) if state.stream == stream]
        return states[-1] if states else None

    def events(self, about_node: str) -> list[str]:
        """What the broker told of a node."""
        events = self.messages(Event)
        return [event.kind for event in events if (event.node, event.about_node) == (BROKER, about_node)]

    async def _listen(self) -> None:
        while True:
            if await self._socket.poll(1000):
                self.packets.append(decode(await self._socket.recv_multipart(zmq.NOBLOCK, copy=False), Limits()))
