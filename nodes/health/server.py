"""A small HTTP server for health and metrics alone, for this machine."""

import ipaddress
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from ssa_stream.errors import ConfigError, TransportError
from ssa_stream.nodes.health.routes import HasHealth, health_routes

__all__ = ["HttpAddress", "serve_health", "serve_health_in_file"]

_ADDRESS = re.compile(r"(?:http://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*)?:(?P<port>\d{1,5})/?")
_SHUTDOWN_S = 1.0


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """Where to listen.

    Attributes:
        host: Name or address, without brackets.
        port: 0 for a free one.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, *, insecure: bool = False) -> "HttpAddress":
        """Read `HOST:PORT`, `:PORT` or `http://HOST:PORT`.

        Args:
            text: The address.
            insecure: Take addresses that other machines can reach.
        Raises:
            ConfigError: It is none, or other machines can reach it.
        """
        match = _ADDRESS.fullmatch(text)
        if match is None or int(match["port"]) > 65_535:
            raise ConfigError(f"--http is {text!r}; expected HOST:PORT, such as 127.0.0.1:8080")
        address = cls((match["host"] or "127.0.0.1").strip("[]"), int(match["port"]))
        if not insecure and not _is_loopback(address.host):
            raise ConfigError(
                f"--http is {text!r}, which other machines can reach, and nothing here asks who they are; expected "
                f"127.0.0.1:PORT. Use ssa-stream serve with a token and TLS, or add --insecure"
            )
        return address


@asynccontextmanager
async def serve_health(address: HttpAddress, graph: HasHealth) -> AsyncIterator[str]:
    """Serve until the end of the body; gives the URL.

    Raises:
        TransportError: The address is taken.
    """
    async with _runner(graph, _refusing_pages(address)) as runner:
        try:
            await web.TCPSite(runner, address.host, address.port).start()
        except OSError as error:
            raise TransportError(
                f"cannot listen at {address.host}:{address.port} ({error.strerror}); choose another address with --http"
            ) from error
        host, port = runner.addresses[0][:2]
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"


@asynccontextmanager
async def serve_health_in_file(path: Path, graph: HasHealth) -> AsyncIterator[None]:
    """Serve at a socket file until the end of the body, to whoever may enter its folder."""
    async with _runner(graph) as runner:
        await web.UnixSite(runner, path).start()
        yield


@asynccontextmanager
async def _runner(graph: HasHealth, *middlewares: Middleware) -> AsyncIterator[web.AppRunner]:
    app = web.Application(middlewares=middlewares)
    app.add_routes(health_routes(graph))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        yield runner
    finally:
        await runner.cleanup()


def _refusing_pages(address: HttpAddress) -> Middleware:
    """Pages of other origins get nothing, nor do those that made a name of theirs point to this machine."""

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked, origin = request.headers.get(hdrs.HOST, ""), request.headers.get(hdrs.ORIGIN)
        if _is_loopback(address.host) and not _is_loopback(_host_of(asked)):
            return web.Response(status=421, text=f"{asked} is no name of this machine's loopback address\n")
        if origin is not None and origin != f"http://{asked}":
            return web.Response(status=403, text=f"pages of {origin} get nothing here\n")
        return await handler(request)

    return refuse


def _host_of(header: str) -> str:
    return header[1:].partition("]")[0] if header.startswith("[") else header.partition(":")[0]


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
