"""A node's connection to the broker: handshake, heartbeats both ways, reports out, requests in."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Literal, Self, cast

import structlog
import zmq
import zmq.asyncio

from ssa_stream.errors import MessageError, TransportError
from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.nodes.runtime.logs import LogLimit
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.transport.links import pull, push
from ssa_stream.printable import printable_lines
from ssa_stream.protocols import (
    AddPrompt,
    AnyMessage,
    ErrorCode,
    ErrorReply,
    Event,
    Finished,
    Heartbeat,
    Hello,
    Limits,
    ListPrompts,
    Recover,
    RemovePrompt,
    SetParameters,
    SetPrompts,
    SourceRequest,
    StartStream,
    Welcome,
    decode,
    encode,
)

__all__ = ["BrokerLink", "BrokerRequest", "LinkTimes"]

BrokerRequest = (
    StartStream
    | Recover
    | Finished
    | SetPrompts
    | AddPrompt
    | RemovePrompt
    | ListPrompts
    | SourceRequest
    | SetParameters
)
"""What the broker asks of a node or passes on to it."""

_LIMITS = Limits()
_MAX_OUTBOX = 1000
_MAX_REQUESTS = 256
_MAX_NOTE = 1000
_LINGER_MS = 200
"""What was said last, such as why a node ends, may take this long to leave; it is bounded."""
_LOG = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class LinkTimes:
    """Times of the link to the broker, in seconds.

    Attributes:
        heartbeat_s: Between two heartbeats.
        heartbeat_timeout_s: A broker that is silent for so long is gone, or does not run for a while.
        welcome_timeout_s: How long to wait for the answer to hello; likewise.
        statistics_s: Between two statistics.
    """

    heartbeat_s: float = 0.25
    heartbeat_timeout_s: float = 3.0
    welcome_timeout_s: float = 10.0
    statistics_s: float = 1.0


class BrokerLink:
    """The link of one node to the broker; an async context manager. Used from its event loop only.

    Args:
        context: Of its socket.
        address: Where the broker listens to nodes.
        metrics: Of the node; heartbeats and statistics are made of them.
        name: Of the node.
        role: What it does.
        incarnation: Another number for every start of it.
        clock: Of all times.
        stop: Set when the broker is gone or the link fails, so that the node ends.
        times: See there.
        broker_lives: Whether the process of the broker is still there. While it is, a silent broker is waited for:
            it was stopped for a while, or has no processor.
        on_ready: Called before the broker is told that the node takes work.
    """

    def __init__(
        self,
        context: zmq.asyncio.Context,
        address: str,
        metrics: NodeMetrics,
        *,
        name: str,
        role: str,
        incarnation: int,
        clock: Clock,
        stop: asyncio.Event,
        times: LinkTimes | None = None,
        broker_lives: Callable[[], bool] = lambda: False,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._context, self._address, self._metrics = context, address, metrics
        self._name, self._role, self._incarnation = name, role, incarnation
        self._clock, self._stop, self._times = clock, stop, times or LinkTimes()
        self._broker_lives, self._is_waiting = broker_lives, False
        self._on_ready = on_ready
        self._outbox: deque[list[bytes | memoryview]] = deque(maxlen=_MAX_OUTBOX)
        self._requests: asyncio.Queue[BrokerRequest | None] = asyncio.Queue(_MAX_REQUESTS)
        self._log_limit = LogLimit()
        self._is_ready = False
        self._unless: Callable[[], str] = str
        self._heard_ns = 0
        self._error: BaseException | None = None
        self._socket: zmq.asyncio.Socket | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Say hello.

        Raises:
            TransportError: The broker refuses, or does not answer in time.
        """
        socket = self._context.socket(zmq.DEALER)
        socket.identity = self._name.encode()
        socket.linger = 0
        self._socket = socket
        try:
            socket.connect(self._address)
            await self._greet(socket)
        except BaseException:
            self._close(linger_ms=0)
            raise
        self._heard_ns = self._clock.monotonic_ns()
        self._tasks = [asyncio.create_task(self._run(socket)), asyncio.create_task(self._end_requests())]
        self._tasks[0].add_done_callback(self._on_end)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Take the link down.

        Raises:
            TransportError: The broker was lost, and nothing else has gone wrong.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            with contextlib.suppress(zmq.ZMQError):
                self.publish(self._metrics.statistics())
        self._close(linger_ms=_LINGER_MS)
        if kind is None and self._error is not None:
            raise self._error

    def mark_ready(self, unless: Callable[[], str] = str) -> None:
        """From now on the node takes work; the broker is told at once.

        Args:
            unless: Asked for each heartbeat: why the node takes no work just now; empty if it does.
        """
        self._on_ready()
        self._is_ready, self._unless = True, unless
        self.publish(self._heartbeat())

    def _heartbeat(self) -> Heartbeat:
        reason = self._unless()[:_MAX_NOTE] if self._is_ready else ""
        return self._metrics.heartbeat(ready=self._is_ready and not reason, text=reason)

    def publish(self, message: AnyMessage) -> None:
        """Tell the broker something. Never waits; should the broker not read, the newest messages are kept.

        Raises:
            MessageError: A field has a value that no reader would take.
        """
        self._outbox.append(encode(message, limits=_LIMITS))
        self._flush()

    reply = publish
    """Answer a request; the `request_id` in the answer says which."""

    def event(
        self,
        kind: str,
        *,
        stream: str | None = None,
        severity: Literal["info", "warning", "error"] = "info",
        **fields: Any,
    ) -> None:
        """Tell that something happened.

        Args:
            kind: An `EventKind`.
            stream: To which stream.
            severity: For whoever filters.
            fields: Other fields of `Event`. A long `text` is cut.
        """
        text = printable_lines(str(fields.pop("text", "")))[:_MAX_NOTE]
        now_ns, clock = self._clock.monotonic_ns(), self._clock.name
        self.publish(
            Event(
                kind=str(kind),
                node=self._name,
                at_ns=now_ns,
                clock=clock,
                stream=stream,
                severity=severity,
                text=text,
                **fields,
            )
        )

    async def requests(self) -> AsyncIterator[BrokerRequest]:
        """What the broker asks, in order, until `stop` is set. One task reads it."""
        while not self._stop.is_set():
            request = await self._requests.get()
            if request is not None:
                yield request

    async def _greet(self, socket: zmq.asyncio.Socket) -> None:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._times.welcome_timeout_s
        hello = Hello(
            request_id=f"{self._name[:32]}-{self._incarnation}",
            node=self._name,
            role=self._role,
            incarnation=self._incarnation,
        )
        await push(socket, encode(hello), self._times.welcome_timeout_s)
        while True:
            if (frames := await pull(socket, max(0.0, deadline_s - loop.time()))) is None:
                if not self._broker_lives():
                    break
                self._wait_for_broker()
                deadline_s = loop.time() + self._times.welcome_timeout_s
                continue
            match self._decode(frames):
                case Welcome(request_id=hello.request_id):
                    return
                case ErrorReply(request_id=hello.request_id, code=code, text=text):
                    raise TransportError(f"the broker refuses node {self._name} ({code}): {text}")
        raise TransportError(
            f"the broker at {self._address} did not answer node {self._name} within "
            f"{self._times.welcome_timeout_s:g} s; expected it to run: start the graph with `ssa-stream up`"
        )

    async def _run(self, socket: zmq.asyncio.Socket) -> None:
        loop = asyncio.get_running_loop()
        beat_s = statistics_s = loop.time()
        while True:
            now_s = loop.time()
            if now_s >= beat_s:
                self.publish(self._heartbeat())
                beat_s = now_s + self._times.heartbeat_s
            if now_s >= statistics_s:
                self.publish(self._metrics.statistics())
                statistics_s = now_s + self._times.statistics_s
            self._flush()
            if (frames := await pull(socket, beat_s - loop.time())) is not None:
                self._take(frames)
                await asyncio.sleep(0)  # a flood must not stop the loop
            elif self._is_broker_silent() and (frames := await pull(socket, 0)) is None:
                if not self._broker_lives():
                    raise TransportError(f"the broker was silent for {self._times.heartbeat_timeout_s:g} s")
                self._wait_for_broker()
            elif frames is not None:  # this process stood still, not the broker
                self._take(frames)

    def _wait_for_broker(self) -> None:
        """Note that the broker says nothing, once until it does."""
        if not self._is_waiting:
            self._is_waiting = True
            _LOG.warning("the broker is silent, but its process is there; waiting for it", node=self._name)

    def _is_broker_silent(self) -> bool:
        return self._clock.monotonic_ns() - self._heard_ns > self._times.heartbeat_timeout_s * 1e9

    async def _end_requests(self) -> None:
        await self._stop.wait()
        with contextlib.suppress(asyncio.QueueFull):  # then nobody waits for one
            self._requests.put_nowait(None)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = error
            self._stop.set()
            _LOG.error("link to the broker ended; the node stops", node=self._name, error=str(error))

    def _take(self, frames: list[zmq.Frame]) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._is_waiting:
            silent_s = (now_ns - self._heard_ns) / 1e9
            _LOG.info("the broker is back", node=self._name, silent_s=round(silent_s, 1))
        self._heard_ns, self._is_waiting = now_ns, False
        message = self._decode(frames)
        if not isinstance(message, BrokerRequest):
            return  # heartbeats have done their work
        try:
            self._requests.put_nowait(message)
        except asyncio.QueueFull:
            kind = type(message).__name__
            left_out = self._log_limit.due(kind)
            if left_out is not None:
                _LOG.error("request not taken", node=self._name, type=kind, left_out=left_out)
            if not isinstance(message, StartStream | Recover | Finished):
                text = f"{_MAX_REQUESTS} requests wait at node {self._name}; ask again later"
                self.reply(ErrorReply(code=ErrorCode.BUSY, text=text, request_id=message.request_id))

    def _decode(self, frames: list[zmq.Frame]) -> object:
        """The message; None if it cannot be read."""
        try:
            return decode(frames, _LIMITS).message
        except MessageError as error:
            self._metrics.count("decode_error")
            left_out = self._log_limit.due("cannot be read")
            if left_out is not None:
                _LOG.warning(
                    "message of the broker cannot be read", node=self._name, error=str(error), left_out=left_out
                )
            return None

    def _flush(self) -> None:
        """Send what waits, as far as it can be sent at once."""
        while self._outbox and self._socket is not None and not self._socket.closed:
            sent = cast(asyncio.Future[Any], self._socket.send_multipart(self._outbox[0], flags=zmq.NOBLOCK))
            if (error := sent.exception()) is not None:  # NOBLOCK: it is done
                if not isinstance(error, zmq.Again):
                    raise error
                return
            self._outbox.popleft()

    def _close(self, linger_ms: int) -> None:
        if self._socket is not None:
            self._socket.close(linger=linger_ms)
            self._socket = None
