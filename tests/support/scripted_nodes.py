"""A broker on free ports, and nodes, clients and subscribers that say what a test tells them to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import zmq
import zmq.asyncio

from ssa_stream.nodes.broker import Broker, BrokerAddresses
from ssa_stream.nodes.broker.client_handler import Reload
from ssa_stream.nodes.broker.saved_prompts import SavedPrompts
from ssa_stream.nodes.pipeline import PipelineConfig, role_of
from ssa_stream.nodes.runtime.clock import MonotonicClock
from ssa_stream.protocols import (
    AnyMessage,
    AppliesFrom,
    Heartbeat,
    Hello,
    Limits,
    Packet,
    Prompt,
    PromptState,
    SourceState,
    Statistics,
    Topic,
    Welcome,
    decode,
    encode,
)

__all__ = [
    "HERE",
    "PATIENCE_S",
    "STICK",
    "Graph",
    "Peer",
    "graph",
    "heartbeat",
    "pipeline",
    "source_state",
    "state_seen",
    "statistics",
]

PATIENCE_S = 20.0
CLOCK = MonotonicClock()
HERE = AppliesFrom(epoch=1, seq=4, index=9)
STICK = (Prompt(id="p1", text="the stick", version=2),)
_T = TypeVar("_T", bound=AnyMessage)


def pipeline(**streams: Any) -> PipelineConfig:
    """A graph on free ports; streams by name, each its source section."""
    named = {name: {"source": "synthetic", **section} for name, section in (streams or {"cam0": {}}).items()}
    return PipelineConfig.from_mapping(
        {
            "streams": named,
            "health": {"heartbeat_s": 0.05},
            "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"},
        }
    )


def heartbeat(name: str, **fields: Any) -> Heartbeat:
    """A sign of life of a node that is ready."""
    values: dict[str, Any] = {"incarnation": 1, "beat": 0, "ready": True, "at_ns": CLOCK.monotonic_ns()} | fields
    return Heartbeat(node=name, role=role_of(name), clock=CLOCK.name, **values)


def statistics(name: str, **fields: Any) -> Statistics:
    """Figures of a node; without any if none are given."""
    values: dict[str, Any] = {"incarnation": 1, "interval_s": 1.0, "at_ns": CLOCK.monotonic_ns()} | fields
    return Statistics(node=name, role=role_of(name), clock=CLOCK.name, **values)


def source_state(stream: str = "cam0", **fields: Any) -> SourceState:
    """A state of a source that reads every frame of a file."""
    values: dict[str, Any] = {"status": "running", "epoch": 0, "live": False, "flow": "every_frame"} | fields
    return SourceState(stream=stream, at_ns=CLOCK.monotonic_ns(), clock=CLOCK.name, **values)


class Peer:
    """One socket of a test, with a deadline on everything that it waits for."""

    def __init__(self, socket: zmq.asyncio.Socket) -> None:
        self.socket = socket

    async def say(self, message: AnyMessage) -> None:
        """Send a message without a topic."""
        await self.send(encode(message))

    async def send(self, parts: list[Any]) -> None:
        """Send parts as they are."""
        await self.socket.send_multipart(parts)

    async def packet(self) -> Packet:
        """The next message."""
        async with asyncio.timeout(PATIENCE_S):
            await self.socket.poll()
            return decode(await self.socket.recv_multipart(flags=zmq.NOBLOCK, copy=False), Limits())

    async def hear(self, kind: type[_T], *, topic: str | None = None) -> _T:
        """The next message of a type, and of a topic; others are passed over."""
        while True:
            packet = await self.packet()
            if isinstance(packet.message, kind) and topic in (None, str(packet.topic)):
                return packet.message

    async def silent(self) -> bool:
        """Whether nothing has come that was not read."""
        return not await self.socket.poll(0)


@dataclass
class Graph:
    """A running broker with what connects to it.

    Attributes:
        config: The graph.
        broker: The broker.
        ready: Names that `on_node_ready` was called with.
    """

    config: PipelineConfig
    broker: Broker
    ready: list[str]
    context: zmq.asyncio.Context
    addresses: BrokerAddresses
    peers: list[Peer] = field(default_factory=list)

    def connect(self, kind: int, address: str, *, subscribe: bytes | None = None, identity: str | None = None) -> Peer:
        """A socket that is closed with the graph."""
        socket = self.context.socket(kind)
        socket.linger = 0
        if identity is not None:
            socket.setsockopt_string(zmq.IDENTITY, identity)
        socket.connect(address)
        if subscribe is not None:
            socket.setsockopt(zmq.SUBSCRIBE, subscribe)
        self.peers.append(Peer(socket))
        return self.peers[-1]

    def node(self, name: str) -> Peer:
        """A node's socket that has not said anything."""
        return self.connect(zmq.DEALER, self.addresses.control, identity=name)

    async def greeted(self, name: str, *, incarnation: int = 1) -> Peer:
        """A node that said hello and was welcomed."""
        peer = self.node(name)
        await peer.say(Hello(request_id="h1", node=name, role=role_of(name), incarnation=incarnation))
        await peer.hear(Welcome)
        return peer

    def masks(self) -> Peer:
        """What a masks node publishes through."""
        return self.connect(zmq.PUSH, self.addresses.masks)

    def client(self) -> Peer:
        """Asks for things."""
        return self.connect(zmq.DEALER, self.broker.requests_address)

    def subscriber(self, subscribe: bytes = b"") -> Peer:
        """Listens."""
        return self.connect(zmq.SUB, self.broker.publish_address, subscribe=subscribe)

    async def publishing(self, subscriber: Peer, topic: Topic, parts: list[Any]) -> Packet:
        """Publish as a masks node does until the subscriber, whose subscription may still be on its way, has it."""
        masks = self.masks()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await masks.send(parts)
                if await subscriber.socket.poll(50):
                    packet = await subscriber.packet()
                    if packet.topic == topic:
                        return packet


@asynccontextmanager
async def graph(
    config: PipelineConfig | None = None,
    *,
    request_timeout_s: float = PATIENCE_S,
    gateway: str | None = None,
    reload: Reload | None = None,
    saved: SavedPrompts | None = None,
) -> AsyncIterator[Graph]:
    """A broker that runs until the block ends.

    `gateway` is where it listens to one, `reload` takes other weights, `saved` keeps changed prompts.
    """
    config = config or pipeline()
    context = zmq.asyncio.Context()
    addresses = BrokerAddresses("inproc://control", "inproc://publish", gateway)
    ready: list[str] = []
    broker = Broker(
        config,
        context,
        addresses,
        CLOCK,
        request_timeout_s=request_timeout_s,
        on_node_ready=ready.append,
        reload=reload,
        saved=saved,
    )
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(broker.run(stop))
            running = Graph(config, broker, ready, context, addresses)
            try:
                yield running
            finally:
                stop.set()
                for peer in running.peers:
                    peer.socket.close()
    finally:
        context.term()


async def state_seen(watcher: Peer, node: Peer, message: SourceState | PromptState) -> None:
    """Say a state until a subscriber, whose subscription may still be on its way, has it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await node.say(message)
            if await watcher.socket.poll(50):
                await watcher.hear(type(message))
                return
