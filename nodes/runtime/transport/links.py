"""Sockets of links: push and pull, with waits that lose nothing.

A wait that is cancelled or times out must not take a message with it. So every wait is for `poll`, and reading and
writing never wait. One task reads a socket.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog
import zmq
import zmq.asyncio

from ssa_stream.errors import MessageError, TransportError
from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage
from ssa_stream.nodes.runtime.transport.socket_files import SocketFile

__all__ = ["LinkInlet", "LinkMaskOutlet", "connect", "listen", "pull", "push"]

HIGH_WATER_MARK = 64
"""Messages that a link holds at each end; a little above what the frames in flight of all streams take."""
_RECONNECT_MS, _RECONNECT_MAX_MS = 20, 500
_PUBLISH_TIMEOUT_S = 1.0
_IPC = "ipc://"
_MAX_PATH_BYTES = 107  # of a Unix socket
_LOG = structlog.get_logger()


def listen(context: zmq.asyncio.Context, address: str) -> zmq.asyncio.Socket:
    """A socket that receives from every sender that connects to it.

    Raises:
        TransportError: The address cannot be used.
    """
    socket = _socket(context, zmq.PULL, address)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close()
        raise TransportError(
            f"cannot listen at {address}: {error}; expected an address that nobody uses, in a folder that exists"
        ) from error
    return socket


def connect(context: zmq.asyncio.Context, addresses: Sequence[str]) -> zmq.asyncio.Socket:
    """A socket that sends to receivers in turn; nothing is queued for one that is not there."""
    socket = _socket(context, zmq.PUSH, *addresses)
    for address in addresses:
        socket.connect(address)
    return socket


def _socket(context: zmq.asyncio.Context, kind: int, *addresses: str) -> zmq.asyncio.Socket:
    for address in addresses:
        path = address.removeprefix(_IPC)
        if path != address and len(path.encode()) > _MAX_PATH_BYTES:
            raise TransportError(
                f"socket path {path} has {len(path.encode())} bytes; the system takes {_MAX_PATH_BYTES}: choose a "
                f"shorter run directory or shorter stream names"
            )
    socket = context.socket(kind)
    socket.set_hwm(HIGH_WATER_MARK)
    socket.linger = 0
    if kind == zmq.PUSH:
        socket.immediate = True
        socket.reconnect_ivl = _RECONNECT_MS
        socket.reconnect_ivl_max = _RECONNECT_MAX_MS
    return socket


async def pull(socket: zmq.asyncio.Socket, timeout_s: float) -> list[zmq.Frame] | None:
    """The next message's parts; None if none came in time. Cancelling it loses nothing."""
    deadline_s = asyncio.get_running_loop().time() + timeout_s
    while True:
        try:
            frames: list[zmq.Frame] = await socket.recv_multipart(flags=zmq.NOBLOCK, copy=False)
            return frames
        except zmq.Again:
            if not await _ready(socket, zmq.POLLIN, deadline_s):
                return None


async def push(socket: zmq.asyncio.Socket, parts: Sequence[Any], timeout_s: float) -> bool:
    """Send a message unless nobody takes it in time. Once True it is on its way; before that cancelling sends nothing.

    Large parts are not copied: they must stay as they are.
    """
    deadline_s = asyncio.get_running_loop().time() + timeout_s
    while True:
        try:
            await socket.send_multipart(parts, flags=zmq.NOBLOCK, copy=False)
            return True
        except zmq.Again:
            if not await _ready(socket, zmq.POLLOUT, deadline_s):
                return False


async def _ready(socket: zmq.asyncio.Socket, event: int, deadline_s: float) -> bool:
    remaining_s = deadline_s - asyncio.get_running_loop().time()
    return remaining_s > 0 and bool(await socket.poll(math.ceil(remaining_s * 1e3), event))  # type: ignore[call-arg]  # stub lacks flags


class LinkInlet:
    """Receives messages of any sender.

    Args:
        socket: Its own; closed with it.
        address: Where the socket listens.
        read: Makes a received of a message's parts and the time when they came; raises MessageError for what it cannot
            read, and returns None for what is to be passed over.
        clock: Of the time when messages came.
        metrics: Where `decode_error` is counted.
    """

    def __init__(
        self,
        socket: zmq.asyncio.Socket,
        address: str,
        read: Callable[[list[zmq.Frame], int], ReceivedMessage | None],
        clock: Clock,
        metrics: NodeMetrics | None,
    ) -> None:
        self._socket = socket
        self._address = address
        self._file = SocketFile(socket.bind, address)
        self._read = read
        self._clock = clock
        self._metrics = metrics
        self._unreadable = 0

    async def receive(self, timeout_s: float) -> ReceivedMessage | None:
        """The next message; None if none came in time. What cannot be read is counted, logged and passed over."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        self._file.keep()
        while (frames := await pull(self._socket, deadline_s - loop.time())) is not None:
            try:
                received = self._read(frames, self._clock.monotonic_ns())
            except MessageError as error:
                self._count_unreadable(error)
                received = None
            if received is not None:
                return received
            await asyncio.sleep(0)  # a flood of what is passed over must not stop the loop
        return None

    def _count_unreadable(self, error: MessageError) -> None:
        self._unreadable += 1
        if self._metrics is not None:
            self._metrics.count("decode_error")
        if self._unreadable & (self._unreadable - 1) == 0:  # 1, 2, 4, ...: a flood does not fill the log
            _LOG.warning("message cannot be read", error=str(error), so_far=self._unreadable)

    def close(self) -> None:
        """Stop listening. May be called again."""
        if not self._socket.closed:
            self._socket.close(linger=0)
            if self._address.startswith(_IPC):  # libzmq leaves the file
                Path(self._address.removeprefix(_IPC)).unlink(missing_ok=True)


class LinkMaskOutlet:
    """Sends masks to the broker.

    Attributes:
        dropped: Messages that the broker did not take in time.
    """

    def __init__(self, socket: zmq.asyncio.Socket) -> None:
        self._socket = socket
        self._lock = asyncio.Lock()
        self.dropped = 0

    async def publish(self, parts: Sequence[bytes | memoryview]) -> bool:
        """Send the parts of a published message; False, and counted, if the broker did not take it within a second."""
        async with self._lock:
            is_sent = await push(self._socket, parts, _PUBLISH_TIMEOUT_S)
        self.dropped += not is_sent
        return is_sent

    def close(self) -> None:
        """Take the link down at once. May be called again."""
        self._socket.close(linger=0)
