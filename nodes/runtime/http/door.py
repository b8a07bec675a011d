"""Accepts the connections of an HTTP server: as many as it may have, no longer than they may take.

asyncio's own server takes everybody until no descriptor is left, and then writes a traceback for each attempt to accept
one more; it has no time for a silent connection. Here a descriptor is kept back, with which somebody who cannot be let
in is still taken from the queue and told so.
"""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable, Sequence

import structlog
from aiohttp import web

from ssa_stream.nodes.runtime.http.connections import Connection, Connections, HttpLimits, client_of
from ssa_stream.nodes.runtime.logs import LogLimit

__all__ = ["DOOR", "Door", "connection_of"]

_LOG = structlog.get_logger()
_SWEEP_S = 0.25
_PAUSE_S = 0.2
_ACCEPTED_AT_ONCE = 16
_STARVED_S = 1.0
_TLS_GOODBYE_S = 2.0
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n"


class Door:
    """Lets connections in to a server.

    Args:
        limits: See there.
        count: Called with the name of what happened: `connections_refused`, `connections_displaced`,
            `connections_timed_out`, `tls_failed`.
        tls: For HTTPS.
    """

    def __init__(self, limits: HttpLimits, count: Callable[[str], None], tls: ssl.SSLContext | None = None) -> None:
        self._limits, self._count, self._tls = limits, count, tls
        self._connections = Connections(limits)
        self._loop = asyncio.get_running_loop()
        self._server: Callable[[], asyncio.Protocol] | None = None
        self._listeners: Sequence[socket.socket] = ()
        self._log = LogLimit()
        self._tasks: set[asyncio.Task[None]] = set()
        self._spare: int | None = None
        self._starved_until_s = 0.0
        self._timers: dict[object, asyncio.TimerHandle] = {}

    def open(self, server: Callable[[], asyncio.Protocol], listeners: Sequence[socket.socket]) -> None:
        """Let people in from now on.

        Args:
            server: Makes the protocol of each connection.
            listeners: Sockets that listen; they belong to the door now.
        """
        self._server = server
        self._keep_one_back()
        self.move(listeners)
        self._sweep()

    def move(self, listeners: Sequence[socket.socket]) -> None:
        """Let people in at other sockets, in place of the present ones; who is in stays."""
        self._close_listeners()
        self._listeners = listeners
        for listener in self._listeners:
            listener.setblocking(False)
            self._listen(listener)

    def close(self) -> None:
        """Let nobody in any more; who is in stays."""
        for timer in self._timers.values():
            timer.cancel()
        self._close_listeners()
        for task in self._tasks:
            task.cancel()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    @property
    def shut(self) -> str:
        """Why nobody new is let in; empty if somebody would be."""
        if self._loop.time() < self._starved_until_s:
            return "no new connection is taken: the limit of open files is reached"
        if not self._connections.has_room:
            return f"no new connection is taken: all {len(self._connections)} are in use"
        return ""

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            timer = self._timers.pop(listener, None)
            if timer is not None:
                timer.cancel()
            self._loop.remove_reader(listener)
            listener.close()

    def _listen(self, listener: socket.socket) -> None:
        self._timers.pop(listener, None)
        self._loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptor, no memory: whatever it is, it must not end the server
                self._starve(listener, error)
                return
            accepted.setblocking(False)
            self._take(accepted, str(address[0]) if isinstance(address, tuple) else "")

    def _take(self, accepted: socket.socket, address: str) -> None:
        connection, displaced = self._connections.admit(client_of(address), self._loop.time())
        if displaced is not None:
            self._count("connections_displaced")
            displaced.close()
        if connection is None:
            self._count("connections_refused")
            self._say("a connection is refused: all are in use", address=address)
            self._refuse(accepted)
            return
        task = self._loop.create_task(self._begin(accepted, connection, address), name="a connection begins")
        connection.close = task.cancel
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begin(self, accepted: socket.socket, connection: Connection, address: str) -> None:
        assert self._server is not None  # it is open
        protocol = _Watched(self._server(), connection, self._connections, self._loop.time)
        try:
            await self._loop.connect_accepted_socket(
                lambda: protocol,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else self._limits.head_s,
                ssl_shutdown_timeout=None if self._tls is None else _TLS_GOODBYE_S,
            )
        except OSError as error:  # also of TLS, and a handshake that takes too long
            self._count("tls_failed" if self._tls is not None else "connections_failed")
            self._say("a connection did not begin", address=address, error=type(error).__name__)
            self._drop(accepted, connection)
        except BaseException:
            self._drop(accepted, connection)
            raise

    def _drop(self, accepted: socket.socket, connection: Connection) -> None:
        self._connections.forget(connection)
        accepted.close()

    def _refuse(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError), accepted:
            if self._tls is None:
                accepted.send(_FULL)
                accepted.shutdown(socket.SHUT_WR)

    # -- without descriptors

    def _starve(self, listener: socket.socket, error: OSError) -> None:
        """Somebody cannot be accepted: make room for the next attempt, or take them from the queue and refuse."""
        self._say("a connection cannot be accepted", error=error.strerror or type(error).__name__)
        displaced = self._connections.dispensable()
        if displaced is not None:
            self._connections.forget(displaced)
            self._count("connections_displaced")
            displaced.close()
            return
        self._starved_until_s = self._loop.time() + _STARVED_S
        self._count("connections_refused")
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None
            with contextlib.suppress(OSError):
                self._refuse(listener.accept()[0])
        self._keep_one_back()
        if self._spare is None:
            self._loop.remove_reader(listener)
            self._timers[listener] = self._loop.call_later(_PAUSE_S, self._listen, listener)

    def _keep_one_back(self) -> None:
        with contextlib.suppress(OSError):  # then it is tried again with the next one who comes
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    # -- time

    def _sweep(self) -> None:
        for connection in self._connections.overdue(self._loop.time()):
            if connection.state != "idle":
                self._count("connections_timed_out")
                self._say("a connection took too long", state=connection.state, client=connection.client)
            self._connections.forget(connection)
            connection.close()
        self._timers["sweep"] = self._loop.call_later(_SWEEP_S, self._sweep)

    def _say(self, event: str, **fields: str) -> None:
        left_out = self._log.due(event)
        if left_out is not None:
            _LOG.warning(event, **fields, **({"left_out": left_out} if left_out else {}))


DOOR = web.AppKey("door", Door)
"""Where an application finds its door."""


class _Watched(asyncio.Protocol):
    """A connection's protocol, with an eye on when its connection does something."""

    def __init__(
        self, inner: asyncio.Protocol, connection: Connection, connections: Connections, now_s: Callable[[], float]
    ) -> None:
        self.connection = connection
        self._inner, self._connections, self._now_s = inner, connections, now_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.connection.close = transport.abort
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.forget(self.connection)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.connection.state == "idle":
            self.connection.becomes("head", self._now_s())
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self.connection.state == "idle":
            self.connection.since_s = self._now_s()
        self._inner.resume_writing()


def connection_of(request: web.Request) -> Connection | None:
    """The connection that a request came on; None once it is gone, or where no door let it in."""
    transport = request.transport
    protocol = None if transport is None else transport.get_protocol()
    return protocol.connection if isinstance(protocol, _Watched) else None
