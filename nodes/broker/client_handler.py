"""Serves clients: reads their requests, passes them on to the node of their stream, and answers."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

import msgspec
import zmq
import zmq.asyncio

from ssa_stream.errors import MessageError, SsaStreamError
from ssa_stream.keys import ServerKeys
from ssa_stream.nodes.broker.connection import Connection, Door
from ssa_stream.nodes.broker.connections import Connections
from ssa_stream.nodes.broker.counters import Counters
from ssa_stream.nodes.broker.refusals import CONTROL_LIMITS, note, refusal
from ssa_stream.nodes.broker.sockets import PUBLIC_OPTIONS, bound_socket, try_send
from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.nodes.runtime.transport.socket_files import SocketFile
from ssa_stream.protocols import (
    Accepted,
    AddPrompt,
    AnyMessage,
    ErrorCode,
    ErrorReply,
    ListPrompts,
    PromptReply,
    Reloaded,
    ReloadWeights,
    RemovePrompt,
    SetParameters,
    SetPrompts,
    SourceRequest,
    Unknown,
    decode,
    encode,
)

__all__ = ["Answer", "ClientHandler", "Pending", "PendingRequests", "Reload", "Request"]


@dataclass(frozen=True, slots=True)
class Pending:
    """A request on its way.

    Attributes:
        client: How the socket calls who asked.
        request_id: As the client wrote it.
        stream: Which stream it is about.
        kind: Type of the request, for people.
        deadline_ns: When it has waited long enough.
        connection: On which it came.
    """

    client: bytes
    request_id: str
    stream: str
    kind: str
    deadline_ns: int
    connection: Connection | None = None


class PendingRequests:
    """A bounded number of requests, each under a number of its own: clients may choose the same ids."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: dict[str, Pending] = {}
        self._last_number = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, request: Pending) -> str | None:
        """The id under which the request is passed on; None if too many wait already."""
        if len(self._waiting) >= self._capacity:
            return None
        self._last_number += 1
        number = f"r{self._last_number}"
        self._waiting[number] = request
        return number

    def take(self, number: str, stream: str | None = None) -> Pending | None:
        """Whose answer it is; None if nobody waits for it, or the request was about another stream."""
        request = self._waiting.get(number)
        if request is None or (stream is not None and request.stream != stream):
            return None
        return self._waiting.pop(number)

    def expired(self, now_ns: int) -> list[Pending]:
        """Take out what has waited long enough."""
        return self._take_all([number for number, item in self._waiting.items() if item.deadline_ns <= now_ns])

    def of_stream(self, stream: str) -> list[Pending]:
        """Take out all that wait for one stream."""
        return self._take_all([number for number, item in self._waiting.items() if item.stream == stream])

    def _take_all(self, numbers: list[str]) -> list[Pending]:
        return [self._waiting.pop(number) for number in numbers]


MAX_PENDING = 256
_QUEUED = 64
"""Messages of one client that were not read yet, and answers that it has not taken; more answers are lost."""
_READ_AT_ONCE = 16
_BYTES_HZ, _BYTES_BURST = 2.0 * 2**20, 8.0 * 2**20
_NS = 1_000_000_000

Request = SetPrompts | AddPrompt | RemovePrompt | ListPrompts | SourceRequest | SetParameters
Answer = PromptReply | Accepted | Reloaded | ErrorReply

Reload = Callable[[], Awaitable[tuple[str, tuple[str, ...]]]]
"""Lets all nodes take the weights that are there now. Returns their fingerprint, and the nodes that were started again.
Raises SsaStreamError if they are not taken; nothing has changed then."""


class ClientHandler:
    """The public socket for requests.

    Every request is answered once: by its node, or with an error that says what is wrong. Only of a flood, most is not
    even read.

    Attributes:
        address: Where it was bound.
    """

    def __init__(
        self,
        context: zmq.asyncio.Context,
        address: str,
        streams: Collection[str],
        pass_on: Callable[[Request], Awaitable[bool]],
        clock: Clock,
        connections: Connections,
        counters: Counters,
        *,
        timeout_s: float,
        keys: ServerKeys | None = None,
        reload: Reload | None = None,
    ) -> None:
        """Bind the socket.

        Args:
            context: For the socket.
            address: Where clients connect.
            streams: Requests about others are refused.
            pass_on: Gives a request to the node of its stream; False if that is not there.
            clock: For `timeout_s`.
            connections: Says how much each client may ask.
            counters: Counts.
            timeout_s: How long a request may wait for its node.
            keys: Who may connect; None: everybody who reaches it.
            reload: What a client may ask of the graph as a whole; None where it cannot.
        """
        options = {
            **PUBLIC_OPTIONS,
            zmq.LINGER: 0,
            zmq.MAXMSGSIZE: CONTROL_LIMITS.max_message_bytes,
            zmq.SNDHWM: _QUEUED,
            zmq.RCVHWM: _QUEUED,
        }
        doors: list[Door] = []

        def watch(socket: zmq.asyncio.Socket) -> None:
            doors.append(connections.open_door(socket, "requests", bytes_hz=_BYTES_HZ, bytes_burst=_BYTES_BURST))

        self._socket, self.address = bound_socket(context, zmq.ROUTER, address, options, keys, prepare=watch)
        self.files = [SocketFile(self._socket.bind, address)]
        (self._door,) = doors
        self._connections = connections
        self._streams = streams
        self._pass_on = pass_on
        self._clock = clock
        self._counters = counters
        self._timeout_ns = round(timeout_s * _NS)
        self._pending = PendingRequests(MAX_PENDING)
        self._reload = reload
        self._reloads: asyncio.Queue[tuple[bytes, ReloadWeights]] = asyncio.Queue(1)
        self._is_reloading = False

    async def serve(self) -> None:
        """Read requests. Runs until it is cancelled."""
        while True:
            await self._socket.poll()
            for _ in range(_READ_AT_ONCE):
                try:
                    client, *parts = await self._socket.recv_multipart(flags=zmq.NOBLOCK, copy=False)
                except zmq.Again:
                    break
                await self._take(client, parts)

    async def _take(self, client: zmq.Frame, parts: list[zmq.Frame]) -> None:
        connection = self._connections.heard(self._door, client)
        if connection is None:
            return
        may_ask = self._connections.may_ask(connection)
        if not may_ask and not connection.refusals.take():
            self._counters.passed_over("requests_unread", f"of {connection.name}, which asks far too often")
            return
        try:
            message = decode(parts, CONTROL_LIMITS).message
        except MessageError as error:
            self._counters.passed_over("requests_malformed", str(error))
            await self._send(client.bytes, refusal(parts, error, CONTROL_LIMITS))
            return
        if not isinstance(message, Request | ReloadWeights):
            await self._on_other(client.bytes, message)
        elif not may_ask:
            await self._on_too_many(client.bytes, message, connection)
        elif isinstance(message, ReloadWeights):
            await self._on_reload(client.bytes, message)
        else:
            await self._on_request(client.bytes, message, connection)

    async def serve_reloads(self) -> None:
        """Do what was asked about weights, which takes seconds, one after the other. Runs until it is cancelled."""
        while True:
            client, request = await self._reloads.get()
            self._is_reloading = True
            try:
                await self._send(client, await self._reloaded(request))
            finally:
                self._is_reloading = False

    async def answer(self, stream: str | None, answer: Answer) -> bool:
        """Give an answer of a stream's node to the client that waits for it; False if nobody does."""
        request = None if answer.request_id is None or stream is None else self._pending.take(answer.request_id, stream)
        if request is None:
            return False
        self._done(request)
        await self._send(request.client, msgspec.structs.replace(answer, request_id=request.request_id))
        return True

    async def give_up(self, stream: str, reason: str) -> None:
        """Answer all requests about a stream that get no answer any more."""
        for request in self._pending.of_stream(stream):
            await self._fail(request, reason)

    async def expire(self) -> None:
        """Answer requests that have waited long enough."""
        for request in self._pending.expired(self._clock.monotonic_ns()):
            await self._fail(request, f"stream {request.stream!r} did not answer in time")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    async def _on_request(self, client: bytes, request: Request, connection: Connection) -> None:
        self._counters["requests"] += 1
        if request.stream not in self._streams:
            text = f"there is no stream {request.stream!r}; expected one of {', '.join(self._streams)}"
            await self._refuse(client, request, ErrorCode.UNKNOWN_STREAM, text)
            return
        if not self._connections.may_wait(connection):
            await self._on_too_many(client, request, connection)
            return
        deadline_ns = self._clock.monotonic_ns() + self._timeout_ns
        kind = str(request.__struct_config__.tag)
        pending = Pending(client, request.request_id, request.stream, kind, deadline_ns, connection)
        number = self._pending.add(pending)
        if number is None:
            text = f"{len(self._pending)} requests are waiting for their nodes already; try again in a moment"
            await self._refuse(client, request, ErrorCode.BUSY, text)
            return
        self._connections.wait(connection, 1)
        if not await self._pass_on(msgspec.structs.replace(request, request_id=number)):
            if self._pending.take(number, request.stream) is not None:
                self._done(pending)
            text = f"the node of stream {request.stream!r} is not there; it is starting or was lost: try again"
            await self._refuse(client, request, ErrorCode.UNAVAILABLE, text)

    async def _on_reload(self, client: bytes, request: ReloadWeights) -> None:
        self._counters["requests"] += 1
        if self._is_reloading or self._reloads.full():
            text = "a reload is under way already; ask again when it is done"
            await self._refuse(client, request, ErrorCode.BUSY, text)
        else:
            self._reloads.put_nowait((client, request))

    async def _reloaded(self, request: ReloadWeights) -> Reloaded | ErrorReply:
        try:
            if self._reload is None:
                raise SsaStreamError("this graph cannot load other weights; end it and start it again")
            weights, nodes = await self._reload()
        except SsaStreamError as error:
            self._counters["requests_refused"] += 1
            code = ErrorCode.WEIGHTS_REFUSED.value
            return ErrorReply(code=code, text=note(str(error)), request_id=request.request_id)
        return Reloaded(request_id=request.request_id, weights=weights, nodes=nodes)

    async def _on_too_many(self, client: bytes, request: Request | ReloadWeights, connection: Connection) -> None:
        """Only this client has to wait."""
        self._counters.passed_over("requests_too_many", f"{request.__struct_config__.tag} of {connection.name}")
        text = (
            f"this client asks too often: {connection.waiting} of its requests wait already, and a connection may make "
            f"{self._connections.request_rate_hz:g} a second (clients.request_rate_hz); try again in a moment"
        )
        await self._refuse(client, request, ErrorCode.BUSY, text)

    def _done(self, request: Pending) -> None:
        if request.connection is not None:
            self._connections.wait(request.connection, -1)

    async def _on_other(self, client: bytes, message: AnyMessage | Unknown) -> None:
        self._counters["requests_refused"] += 1
        kind = message.type if isinstance(message, Unknown) else str(message.__struct_config__.tag)
        text = f"{kind} is not a request that is answered here; expected one about prompts, a source or parameters"
        request_id = getattr(message, "request_id", None)
        await self._send(
            client, ErrorReply(code=ErrorCode.UNKNOWN_REQUEST.value, text=note(text), request_id=request_id)
        )

    async def _refuse(self, client: bytes, request: Request | ReloadWeights, code: ErrorCode, text: str) -> None:
        self._counters["requests_refused"] += 1
        await self._send(client, ErrorReply(code=code.value, text=note(text), request_id=request.request_id))

    async def _fail(self, request: Pending, reason: str) -> None:
        self._done(request)
        self._counters["requests_unanswered"] += 1
        text = f"{reason}; whether {request.kind} was carried out is not known: ask with list_prompts, or try again"
        reply = ErrorReply(code=ErrorCode.UNAVAILABLE.value, text=note(text), request_id=request.request_id)
        await self._send(request.client, reply)

    async def _send(self, client: bytes, answer: Answer) -> None:
        """A client that has gone gets no answer."""
        await try_send(self._socket, [client, *encode(answer)])
