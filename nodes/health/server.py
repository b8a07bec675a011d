"""`/livez`, `/readyz` and `/metrics`, and a small HTTP server for them alone, for this machine."""

import asyncio
import json
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from ssa_stream.errors import ConfigError
from ssa_stream.nodes.health.metrics import CONTENT_TYPE_LATEST, exposition
from ssa_stream.nodes.health.view import HealthView, Verdict
from ssa_stream.nodes.pipeline.hosts import host_of, is_host, is_loopback, is_plain
from ssa_stream.nodes.runtime.http.connections import HttpLimits
from ssa_stream.nodes.runtime.http.door import DOOR, Door
from ssa_stream.nodes.runtime.http.server import bound, bound_file, served

__all__ = ["HasHealth", "HttpAddress", "serve_health", "serve_health_in_file"]

_ADDRESS = re.compile(r"(?:http://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*)?:(?P<port>[0-9]{1,5})/?")
_LIMITS = HttpLimits(connections=32, connections_per_address=16)
_BODY_BYTES = 4096
_KEPT_FILES = 128
"""Descriptors that are left to the graph, which starts later."""
_KEEP_S = 1.0
_UNCACHED = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class HasHealth(Protocol):
    """A broker, a graph, or whoever else knows how the graph fares."""

    def health(self) -> HealthView | None:
        """How it fares now; None before it was started."""


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
            raise ConfigError(f"the address for health is {text!r}; expected HOST:PORT, such as 127.0.0.1:8080")
        address = cls((match["host"] or "127.0.0.1").strip("[]"), int(match["port"]))
        if not insecure and not is_loopback(address.host):
            raise ConfigError(
                f"the address for health is {text!r}, which other machines can reach, and nothing here asks who they "
                f"are; expected 127.0.0.1:PORT. Use ssa-stream serve with a token and TLS, or add --insecure"
            )
        return address


@asynccontextmanager
async def serve_health(address: HttpAddress, graph: HasHealth, limits: HttpLimits = _LIMITS) -> AsyncIterator[str]:
    """Serve until the end of the body; gives the URL.

    Args:
        address: Where.
        graph: Who is asked.
        limits: Of connections.
    Raises:
        TransportError: The address is taken.
    """
    listeners = await bound(address.host, address.port, advice="choose another address for health")
    host, port = listeners[0].getsockname()[:2]
    counts: Counter[str] = Counter()
    async with _served(listeners, graph, limits, counts, _refusing_pages(address, counts)):
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"


@asynccontextmanager
async def serve_health_in_file(path: Path, graph: HasHealth) -> AsyncIterator[None]:
    """Serve at a socket file until the end of the body, to whoever may enter its folder.

    Should somebody remove the file, another one is made, if the folder is there.
    """
    async with _served(bound_file(path), graph, _LIMITS, Counter()) as door:
        keeping = asyncio.create_task(_keep_file(door, path), name=f"file of {path.name}")
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])


def _is_gone(path: Path) -> bool:
    return not path.exists()


async def _keep_file(door: Door, path: Path) -> None:
    while True:
        await asyncio.sleep(_KEEP_S)
        if _is_gone(path):
            with suppress(OSError):  # the folder is gone, too, for now
                door.move(bound_file(path))


@asynccontextmanager
async def _served(
    listeners: Sequence[socket.socket],
    graph: HasHealth,
    limits: HttpLimits,
    counts: Counter[str],
    *middlewares: Middleware,
) -> AsyncIterator[Door]:
    app = web.Application(middlewares=middlewares, client_max_size=_BODY_BYTES)
    app.add_routes(_health_routes(graph, counts))
    async with served(app, listeners, limits, lambda name: counts.update([name]), kept_files=_KEPT_FILES) as door:
        yield door


def _health_routes(graph: HasHealth, counts: Mapping[str, int]) -> list[web.RouteDef]:
    """Routes for orchestrators and monitors.

    `/livez` and `/readyz` answer 200 or 503 with JSON: the verdict, its reasons, and every node with its ages.

    Args:
        graph: Who is asked.
        counts: What went wrong at this server, by name.
    """

    async def livez(_: web.Request) -> web.Response:
        view = graph.health()
        return _answer(Verdict() if view is None else view.live(), view)

    async def readyz(request: web.Request) -> web.Response:
        view = graph.health()
        verdict = Verdict(("the graph is being started",)) if view is None else view.ready()
        reason = request.app[DOOR].shut  # whoever asks all the same came before
        return _answer(Verdict((*verdict.reasons, reason)) if reason else verdict, view)

    async def metrics(_: web.Request) -> web.Response:
        view = graph.health()
        body = b"" if view is None else exposition(view, counts)
        return web.Response(body=body, headers={**_UNCACHED, "Content-Type": CONTENT_TYPE_LATEST})

    return [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]


def _answer(verdict: Verdict, view: HealthView | None) -> web.Response:
    plain = {"ok": verdict.ok, "reasons": verdict.reasons, **({} if view is None else view.to_mapping())}
    text = json.dumps(plain, indent=2) + "\n"
    status = 200 if verdict.ok else 503
    return web.Response(status=status, text=text, content_type="application/json", headers=_UNCACHED)


def _refusing_pages(address: HttpAddress, counts: Counter[str]) -> Middleware:
    """Pages of other origins get nothing, nor do those that made a name of theirs point to this machine."""

    def refusal(status: int, text: str) -> web.Response:
        counts.update([f"refused_{status}"])
        return web.Response(status=status, text=text + "\n")

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked, origin = request.headers.get(hdrs.HOST, ""), request.headers.get(hdrs.ORIGIN)
        if not (is_plain(asked) and is_plain(origin)):
            return refusal(400, "Host and Origin must be ASCII")
        if asked and not is_host(asked):
            return refusal(400, f"{asked[:80]} is no host; expected a name or an address, and perhaps a port")
        if is_loopback(address.host) and not asked:
            return refusal(400, "a request without Host; expected the name of this machine's loopback address in it")
        if is_loopback(address.host) and not is_loopback(host_of(asked)):
            return refusal(421, f"{asked} is no name of this machine's loopback address")
        if origin is not None and origin != f"http://{asked}":
            return refusal(403, f"pages of {origin} get nothing here")
        return await handler(request)

    return refuse
