"""The gateway as a client of the graph: what is published, and requests."""

import asyncio
import itertools
import secrets
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
import structlog
import zmq
import zmq.asyncio

from ssa_stream.client.sockets import connect, request_socket, subscriber_socket
from ssa_stream.errors import MessageError, TransportError
from ssa_stream.keys import ClientKeys
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.transport.links import pull
from ssa_stream.protocols import (
    MASKS,
    PROMPTS,
    STATE,
    Accepted,
    AddPrompt,
    AnyMessage,
    ErrorReply,
    Limits,
    ListPrompts,
    MaskMessage,
    PromptReply,
    PromptState,
    RemovePrompt,
    SetPrompts,
    SourceRequest,
    SourceState,
    StreamLoad,
    Unknown,
    decode,
    encode,
    subscription,
)

__all__ = ["Answer", "GraphLink", "Request"]

Request = SetPrompts | AddPrompt | RemovePrompt | ListPrompts | SourceRequest
Answer = PromptReply | Accepted | ErrorReply
_Published = MaskMessage | PromptState | SourceState | StreamLoad
_R = TypeVar("_R", bound=Request)
_LIMITS = Limits()
_QUEUED_MESSAGES = 64
_READ_S = 1.0
_ANSWER_S = 5.0
_LOG = structlog.get_logger()


class GraphLink:
    """One connection to what is published and one for requests.

    Args:
        publish: Address of the former.
        requests: Address of the latter.
        streams: Which ones matter.
        on_message: Gets what is published about them: masks, prompts and states, with buffers.
        metrics: Count messages that cannot be read.
        keys: With what to connect; None where none is asked for.
    """

    def __init__(
        self,
        publish: str,
        requests: str,
        streams: Iterable[str],
        on_message: Callable[[_Published, tuple[memoryview, ...]], None],
        metrics: NodeMetrics,
        keys: ClientKeys | None = None,
    ) -> None:
        self._context = zmq.asyncio.Context()
        self._on_message, self._metrics = on_message, metrics
        self._numbers = itertools.count()
        self._name = secrets.token_hex(8)
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        wanted = [subscription(stream, kind) for stream in streams for kind in (MASKS, PROMPTS, STATE)]
        self._published: zmq.asyncio.Socket = subscriber_socket(
            self._context, publish, wanted, keys, queued_messages=_QUEUED_MESSAGES
        )
        self._requests: zmq.asyncio.Socket = request_socket(self._context, requests, keys)
        connect(self._published, publish)
        connect(self._requests, requests)

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_published())
            group.create_task(self._read_answers())

    async def ask(self, request: _R) -> Answer:
        """Ask, and wait for the answer.

        Args:
            request: Its `request_id` is replaced.
        Raises:
            MessageError: The request breaks a limit of the protocol.
            TransportError: The graph does not answer.
        """
        request_id = f"{self._name}-{next(self._numbers)}"
        parts = encode(msgspec.structs.replace(request, request_id=request_id))
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answer
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._requests.send_multipart(parts, flags=zmq.NOBLOCK)
                return await answer
        except (TimeoutError, zmq.Again) as error:
            raise TransportError(f"the graph did not answer within {_ANSWER_S:g} s; is it still running?") from error
        finally:
            del self._waiting[request_id]

    def close(self) -> None:
        """Take both down."""
        self._context.destroy(linger=0)

    async def _read_published(self) -> None:
        while True:
            packet = await self._read(self._published)
            if packet is None:
                continue
            message, buffers = packet
            if isinstance(message, _Published):
                self._on_message(message, buffers)

    async def _read_answers(self) -> None:
        while True:
            packet = await self._read(self._requests)
            if packet is None or not isinstance(packet[0], PromptReply | Accepted | ErrorReply):
                continue
            waiting = self._waiting.get(packet[0].request_id or "")
            if waiting is not None and not waiting.done():
                waiting.set_result(packet[0])

    async def _read(self, socket: zmq.asyncio.Socket) -> tuple[AnyMessage | Unknown, tuple[memoryview, ...]] | None:
        parts = await pull(socket, _READ_S)
        if parts is None:
            return None
        try:
            packet = decode(parts, _LIMITS)
        except MessageError as error:
            self._metrics.count("decode_error")
            _LOG.warning("a message of the graph cannot be read", error=str(error))
            return None
        return packet.message, packet.buffers
