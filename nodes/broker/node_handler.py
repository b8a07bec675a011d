"""Serves the nodes: handshake, heartbeats and states from them, requests to them."""

from collections.abc import Awaitable, Callable

import zmq
import zmq.asyncio

from ssa_stream.client.graph_state import GraphState
from ssa_stream.errors import MessageError
from ssa_stream.nodes.broker.client_handler import Answer
from ssa_stream.nodes.broker.counters import Counters
from ssa_stream.nodes.broker.liveness import NodePeer, NodeTable
from ssa_stream.nodes.broker.publisher import Publisher
from ssa_stream.nodes.broker.refusals import CONTROL_LIMITS, note
from ssa_stream.nodes.broker.resume_points import ResumePoints
from ssa_stream.nodes.broker.saved_prompts import SavedPrompts
from ssa_stream.nodes.broker.sockets import bind, bound_socket, receive, try_send
from ssa_stream.nodes.pipeline import BROKER, GATEWAY, PipelineConfig, role_of
from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.nodes.runtime.transport.socket_files import SocketFile
from ssa_stream.protocols import (
    EVENTS,
    NODES,
    PROMPTS,
    STATE,
    Accepted,
    AnyMessage,
    ErrorCode,
    ErrorReply,
    Event,
    EventKind,
    Heartbeat,
    Hello,
    PromptReply,
    PromptState,
    SourceState,
    Statistics,
    Topic,
    Unknown,
    Welcome,
    decode,
    encode,
    negotiate,
)

__all__ = ["NodeHandler"]


class NodeHandler:
    """The private socket for everything but masks.

    Attributes:
        table: Nodes that are here.
        resume_points: Where each stream begins or goes on.
        on_ready: Called with the name of a node as soon as it takes work.
    """

    def __init__(
        self,
        context: zmq.asyncio.Context,
        address: str,
        config: PipelineConfig,
        publisher: Publisher,
        clock: Clock,
        counters: Counters,
        state: GraphState,
        *,
        gateway: str | None = None,
        saved: SavedPrompts | None = None,
        on_answer: Callable[[str | None, Answer], Awaitable[bool]],
        on_restart: Callable[[str], Awaitable[None]],
        on_ready: Callable[[str], None] | None,
    ) -> None:
        """Bind the socket.

        Args:
            context: For the socket.
            address: Where nodes connect.
            config: Names the nodes and streams that are taken.
            publisher: Of states and events.
            clock: Tells when a node was heard.
            counters: Counts.
            state: Takes in what nodes say of themselves and of their sources.
            gateway: Where a gateway connects, which is no node of the graph; None where there is none.
            saved: Changed prompts of an earlier graph, and where those of this one are saved; None for neither.
            on_answer: Takes a node's answer, of the stream that it ingests; False if nobody waits for it.
            on_restart: Called with a stream whose node said hello anew.
            on_ready: See the attribute.
        """
        options = {
            zmq.LINGER: 0,
            zmq.MAXMSGSIZE: CONTROL_LIMITS.max_message_bytes,
            zmq.ROUTER_MANDATORY: 1,  # so that sending to a node that is gone fails
            zmq.ROUTER_HANDOVER: 1,  # a restarted node goes by the name of the earlier one
        }
        self._socket, _ = bound_socket(context, zmq.ROUTER, address, options)
        self.files = [SocketFile(self._socket.bind, address)]
        self._names = frozenset(config.node_names)
        if gateway is not None:
            bind(self._socket, gateway)
            self.files.append(SocketFile(self._socket.bind, gateway))
            self._names |= {GATEWAY}
        self._publisher = publisher
        self._clock = clock
        self._counters = counters
        self._state = state
        self._on_answer = on_answer
        self._on_restart = on_restart
        self.on_ready = on_ready
        self.table = NodeTable()
        self._saved = saved
        first = {} if saved is None else saved.first
        self.resume_points = {
            name: ResumePoints(name, stream.prompts, first.get(name)) for name, stream in config.streams.items()
        }
        self._started: dict[str, int] = {}  # by stream: start of its node that was told where to begin

    async def serve(self) -> None:
        """Read what nodes say. Runs until it is cancelled."""
        while True:
            routing_id, *parts = await receive(self._socket)
            try:
                message = decode(parts, CONTROL_LIMITS).message
            except MessageError as error:
                self._counters.passed_over("nodes_malformed", str(error))
                continue
            if isinstance(message, Unknown):
                self._counters.passed_over("nodes_unknown", message.type)
            elif isinstance(message, Hello):
                await self._on_hello(message, routing_id.bytes)
            else:
                await self._on_message(message, routing_id.bytes, parts[1])

    async def send(self, name: str, message: AnyMessage) -> bool:
        """Send to a node at once; False if it is not there."""
        peer = self.table.get(name)
        return peer is not None and await try_send(self._socket, [peer.routing_id, *encode(message)])

    def stream_of(self, node: str) -> str | None:
        """The stream that a node ingests; None for other nodes."""
        role, _, stream = node.partition("-")
        return stream if role == "ingest" and stream in self.resume_points else None

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    async def _on_hello(self, hello: Hello, routing_id: bytes) -> None:
        refused = self._refusal(hello, routing_id)
        if refused is not None:
            self._counters.passed_over("nodes_refused", refused.text)
            await try_send(self._socket, [routing_id, *encode(refused)])
            return
        version = negotiate(hello.versions)
        welcome = Welcome(request_id=hello.request_id, node=BROKER, role=BROKER, incarnation=0, version=version)
        await self.send(hello.node, welcome)
        stream = self.stream_of(hello.node)
        if stream is not None and self._started.get(stream) != hello.incarnation:
            await self._on_restart(stream)
            if await self.send(hello.node, self.resume_points[stream].next_start()):
                self._started[stream] = hello.incarnation

    def _refusal(self, hello: Hello, routing_id: bytes) -> ErrorReply | None:
        """Why a node is not taken in; None if it was."""
        code, text = ErrorCode.INVALID, None
        if hello.node not in self._names or role_of(hello.node) != hello.role:
            text = f"{hello.node!r} as {hello.role} is no node of this graph: {', '.join(sorted(self._names))}"
        else:
            try:
                negotiate(hello.versions)
            except MessageError as error:
                code, text = ErrorCode.VERSION, str(error)
            else:
                text = self.table.admit(hello, routing_id, self._clock.monotonic_ns())
        return None if text is None else ErrorReply(code=code.value, text=note(text), request_id=hello.request_id)

    async def _on_message(self, message: AnyMessage, routing_id: bytes, header: zmq.Frame) -> None:
        peer = self.table.heard(routing_id, self._clock.monotonic_ns())
        if peer is None:
            self._counters.passed_over("nodes_strangers", f"{type(message).__name__} of who has not said hello")
            return
        stream = self.stream_of(peer.name)
        match message:
            case Heartbeat() if (message.node, message.incarnation) == (peer.name, peer.incarnation):
                await self._on_heartbeat(peer, message, header)
            case Statistics() if (message.node, message.incarnation) == (peer.name, peer.incarnation):
                self._state.take(message, self._clock.monotonic_ns())
                await self._publisher.publish_state(Topic(NODES, STATE, peer.name), "statistics", header.bytes)
            case Event() if message.stream is None or message.stream in self.resume_points:
                if message.kind == EventKind.OUTPUT_FAILED:  # what else nodes tell is no matter of health
                    self._state.take(message, self._clock.monotonic_ns())
                await self._publisher.forward([Topic(message.stream or NODES, EVENTS).encode(), header])
            case SourceState() if message.stream == stream:
                self.resume_points[message.stream].saw_source(message)
                self._state.take(message, self._clock.monotonic_ns())
                await self._publisher.publish_state(Topic(message.stream, STATE), "source_state", header.bytes)
            case PromptState() if message.stream == stream:
                self.resume_points[message.stream].saw_prompts(message)
                if self._saved is not None:
                    self._saved.record(message)
                self._state.take(message, self._clock.monotonic_ns())
                await self._publisher.publish_state(Topic(message.stream, PROMPTS), "prompts", header.bytes)
            case PromptReply() | Accepted() | ErrorReply():
                if not await self._on_answer(stream, message):
                    self._counters.passed_over("answers_late", f"{type(message).__name__} of {peer.name}")
            case _:
                self._counters.passed_over("nodes_misplaced", f"{type(message).__name__} of {peer.name}")

    async def _on_heartbeat(self, peer: NodePeer, heartbeat: Heartbeat, header: zmq.Frame) -> None:
        was_ready = peer.is_ready
        self.table.beat(peer, heartbeat)
        self._state.take(heartbeat, self._clock.monotonic_ns())
        await self._publisher.publish_state(Topic(NODES, STATE, peer.name), "heartbeat", header.bytes)
        if heartbeat.ready and not was_ready and self.on_ready is not None:
            self.on_ready(peer.name)
