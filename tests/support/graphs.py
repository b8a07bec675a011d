"""Graphs of nodes in tests: run until a test is through with them, and what they publish."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import zmq
import zmq.asyncio

from ssa_stream.nodes.launcher import Graph, GraphReport
from ssa_stream.protocols import Event, Limits, Packet, decode, subscription

__all__ = ["PATIENCE_S", "Listener", "is_alive", "listing", "running", "until"]

PATIENCE_S = 60.0
"""Longest wait for anything; long, because the machine may have other work."""


@asynccontextmanager
async def running(graph: Graph) -> AsyncIterator[asyncio.Task[GraphReport]]:
    """A graph from when it is ready until the end of the body; its task has the report afterwards.

    Raises:
        SsaStreamError: What ended the graph before or after.
    """
    stop = asyncio.Event()
    task = asyncio.create_task(graph.run(stop), name="graph")
    ready = asyncio.create_task(graph.ready.wait())
    try:
        await asyncio.wait([ready, task], return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_S)
        if graph.ready.is_set():
            yield task
    finally:
        ready.cancel()
        stop.set()
        await asyncio.wait([task])
    task.result()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: It does not, for too long.
    """
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # what is looked at is in other processes, which set no event here
            await asyncio.sleep(0.01)


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

    def events(self, about_node: str) -> list[str]:
        """What happened to a node."""
        return [event.kind for event in self.messages(Event) if event.about_node == about_node]

    async def _listen(self) -> None:
        while True:
            if await self._socket.poll(1000):
                self.packets.append(decode(await self._socket.recv_multipart(zmq.NOBLOCK, copy=False), Limits()))
