"""An application served over HTTP, within limits; what goes wrong is counted and told once a second at most."""

import asyncio
import logging
import os
import resource
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import structlog
from aiohttp import http_exceptions, web
from aiohttp.typedefs import Handler, Middleware

from ssa_stream.errors import TransportError
from ssa_stream.nodes.runtime.http.connections import HttpLimits
from ssa_stream.nodes.runtime.http.door import DOOR, Door, connection_of
from ssa_stream.nodes.runtime.logs import LogLimit

__all__ = ["bound", "bound_file", "served"]

_LOG = structlog.get_logger()
_SHUTDOWN_S = 1.0
_LINGER_S = 2.0
"""How long what is left of a body is read after its request was refused, so that the answer arrives."""
_BACKLOG = 128
_FEWEST = 4


async def bound(host: str, port: int, *, advice: str) -> list[socket.socket]:
    """Sockets that listen at a host, for each of its addresses.

    Args:
        host: Name or address; empty for all addresses of this machine.
        port: 0 takes free ones.
        advice: What to do where that is not possible.
    Raises:
        TransportError: They cannot be bound.
    """
    try:
        return await _bound(host, port)
    except OSError as error:
        raise TransportError(f"cannot listen at {host}:{port} ({error.strerror}); {advice}") from error


async def _bound(host: str, port: int) -> list[socket.socket]:
    try:  # an address: nobody has to be asked
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
        )
    except socket.gaierror:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    made: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = socket.socket(family, kind, protocol)
            made.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
            one.listen(_BACKLOG)
    except OSError:
        for one in made:
            one.close()
        raise
    return made


def bound_file(path: Path) -> list[socket.socket]:
    """A socket that listens at a socket file, in place of one that was there.

    Raises:
        OSError: It cannot be bound.
    """
    path.unlink(missing_ok=True)
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        one.bind(str(path))
        one.listen(_BACKLOG)
    except OSError:
        one.close()
        raise
    return [one]


@asynccontextmanager
async def served(
    app: web.Application,
    listeners: Sequence[socket.socket],
    limits: HttpLimits,
    count: Callable[[str], None],
    *,
    tls: ssl.SSLContext | None = None,
    kept_files: int = 0,
) -> AsyncIterator[Door]:
    """Serve until the end of the body; gives the door.

    Args:
        app: What is served.
        listeners: Sockets that listen.
        limits: Of connections.
        count: Called with the name of what went wrong, such as `refused_400`, and as `Door` says.
        tls: For HTTPS.
        kept_files: Descriptors that connections leave to the rest of the process.
    """
    app[DOOR] = door = Door(within_open_files(limits, kept_files), count, tls)
    app.middlewares.insert(0, _outermost(count))
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=_SHUTDOWN_S, keepalive_timeout=limits.idle_s, lingering_time=_LINGER_S,
        auto_decompress=False, logger=_server_log(count),
    )  # fmt: skip
    await runner.setup()
    try:
        server = runner.server
        assert server is not None  # it was set up
        door.open(server, listeners)
        try:
            yield door
        finally:
            door.close()
    finally:
        await runner.cleanup()


def within_open_files(limits: HttpLimits, kept_files: int) -> HttpLimits:
    """Limits with no more connections than there may be open files, less those that are open or kept for others."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return limits
    room = max(_FEWEST, soft - len(os.listdir("/proc/self/fd")) - kept_files) if sys.platform == "linux" else soft // 2
    if room >= limits.connections:
        return limits
    _LOG.warning("fewer HTTP connections than allowed fit into the limit of open files", room=room, open_files=soft)
    return msgspec.structs.replace(
        limits, connections=room, connections_per_address=min(limits.connections_per_address, max(1, room // 2))
    )


def _outermost(count: Callable[[str], None]) -> Middleware:
    """Says when a request begins and ends, and answers with 500 where nobody foresaw what happened."""
    log = LogLimit()

    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        connection, now_s = connection_of(request), asyncio.get_running_loop().time
        if connection is not None:
            connection.becomes("busy", now_s())
        try:
            return await handler(request)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as error:  # whatever it is, it is of one request: the others go on, and the log has it
            count("refused_500")
            left_out = log.due("error")
            if left_out is not None:
                _LOG.error("a request failed", left_out=left_out, exc_info=error)
            return web.Response(status=500, text="this request failed; the log of the server says why\n")
        finally:
            if connection is not None:
                connection.becomes("idle", now_s())

    return watch


def _server_log(count: Callable[[str], None]) -> logging.Logger:
    """What aiohttp logs itself: of requests that cannot be read, and of errors outside any handler."""
    logger = logging.Logger("http", logging.DEBUG)
    logger.addHandler(_ServerLog(count))
    return logger


class _ServerLog(logging.Handler):
    def __init__(self, count: Callable[[str], None]) -> None:
        super().__init__()
        self._count, self._limit = count, LogLimit()

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, http_exceptions.HttpProcessingError):
            self._count("refused_400")
            left_out = self._limit.due("malformed")
            if left_out is not None:  # without its text, which is the stranger's
                _LOG.warning("a request is no HTTP that can be read", error=type(error).__name__, left_out=left_out)
            return
        if record.levelno < logging.WARNING or isinstance(error, ConnectionError):
            return  # nobody is there any more who could be answered
        self._count("refused_500")
        left_out = self._limit.due("error")
        if left_out is not None:
            _LOG.error("HTTP: " + record.getMessage(), left_out=left_out, exc_info=error)
