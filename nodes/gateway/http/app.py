"""WHIP, WHEP, and the page, over HTTP."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp
import msgspec
import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from ssa_stream.nodes.gateway.http.access import Access
from ssa_stream.nodes.gateway.http.wall import add_wall
from ssa_stream.nodes.gateway.page_messages import as_json
from ssa_stream.nodes.gateway.settings import GatewaySettings, IceServer, health_socket
from ssa_stream.nodes.gateway.wall import Wall
from ssa_stream.nodes.gateway.webrtc.peer import Role
from ssa_stream.nodes.gateway.webrtc.peers import Peers, Refused
from ssa_stream.nodes.pipeline.hosts import is_host, is_plain
from ssa_stream.nodes.runtime.logs import LogLimit
from ssa_stream.nodes.runtime.metrics import NodeMetrics

__all__ = ["METRICS_PATH", "add_health", "make_app"]

_LOG = structlog.get_logger()
METRICS_PATH = "/metrics"
_PATHS = ("/livez", "/readyz", METRICS_PATH)
_ANSWER_S = 2.0
_PAUSE_S = 0.02
"""Those who ask within this time are answered together."""
_Answer = tuple[int, bytes, str]
_SILENT = {"ok": False, "reasons": ["the process that runs the graph does not answer"]}


class _GraphHealth:
    """Asks the process that runs the graph, which has other work: however many ask here, it is asked rarely.

    Args:
        socket: Where it answers.
    """

    def __init__(self, socket: Path) -> None:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        self._session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket)), timeout=timeout)
        self._asking: dict[str, asyncio.Task[_Answer]] = {}
        self._tasks: set[asyncio.Task[_Answer]] = set()

    async def ask(self, path: str) -> _Answer:
        """What it answers now; whoever asks at the same time gets the same answer."""
        asking = self._asking.get(path)
        if asking is None:
            asking = self._asking[path] = asyncio.create_task(self._ask(path), name=f"health: {path}")
            self._tasks.add(asking)
            asking.add_done_callback(self._tasks.discard)
        return await asyncio.shield(asking)

    async def _ask(self, path: str) -> _Answer:
        try:
            await asyncio.sleep(_PAUSE_S)
            # From here on it is too late to get this answer.
            self._asking.pop(path)
            async with self._session.get(f"http://graph{path}") as found:
                return found.status, await found.read(), found.headers[hdrs.CONTENT_TYPE]
        except (OSError, aiohttp.ClientError):  # an answer that takes too long is an OSError, too
            return 503, as_json(_SILENT).encode(), "application/json"

    async def close(self) -> None:
        """Close the connection to it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()


_GRAPH = web.AppKey("graph_health", _GraphHealth)


def add_health(app: web.Application, socket: Path, access: Access) -> None:
    """Let an application answer what is asked at these paths.

    Args:
        app: Its middleware asks for the token where one is needed.
        socket: Where the process that runs the graph answers the same.
        access: Who has no token learns the verdict, not its reasons: they name streams, nodes and hosts.
    """

    async def answer(path: str, request: web.Request) -> web.StreamResponse:
        status, body, content_type = await request.app[_GRAPH].ask(path)
        if not access.is_authorised(request.headers.get(hdrs.AUTHORIZATION)):
            body = as_json({"ok": status == 200}).encode()
        return web.Response(status=status, body=body, headers={hdrs.CONTENT_TYPE: content_type})

    async def opened(app: web.Application) -> AsyncIterator[None]:
        app[_GRAPH] = graph = _GraphHealth(socket)
        yield
        await graph.close()

    app.cleanup_ctx.append(opened)
    for path in _PATHS:
        app.router.add_get(path, functools.partial(answer, path))


_SDP = "application/sdp"
_MOST_CONTENT_TYPE = 200
"""Longer ones would be read slowly, one parameter after the other."""
_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_PAGE_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_PAGES = {"index.html": "/", "wall.html": "/wall"}
_METHODS = "GET, POST, PATCH, DELETE, OPTIONS"
_SECURITY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=()",
    "Cache-Control": "no-cache",
}


def make_app(settings: GatewaySettings, peers: Peers, wall: Wall, page: Path, metrics: NodeMetrics) -> web.Application:
    """The application.

    Args:
        settings: Of the gateway.
        peers: Its sessions.
        wall: All streams at once.
        page: Folder of the page.
        metrics: Count what is refused.
    """
    access = Access(settings.host, settings.token, settings.hosts, settings.origins)
    gateway = _Gateway(settings, peers)
    app = web.Application(client_max_size=settings.limits.offer_bytes, middlewares=[_guard(access, metrics)])
    for role, path in (("publish", "/whip"), ("watch", "/whep")):
        app.router.add_post(f"{path}/{{stream}}", gateway.begin_of(role))
    app.router.add_delete("/sessions/{id}", gateway.end)
    app.router.add_patch("/sessions/{id}", gateway.no_patch)
    app.router.add_get("/api/streams", gateway.streams)
    add_wall(app, wall, peers.handlers, settings, metrics)
    add_health(app, health_socket(Path(settings.run_dir)), access)
    for file in sorted(page.iterdir()):
        if file.suffix in _PAGE_TYPES:
            app.router.add_get(_PAGES.get(file.name, f"/{file.name}"), _file(file))
    app.router.add_get("/favicon.ico", _file(page / "icon.svg"))
    return app


class _Gateway:
    """What can be asked for."""

    def __init__(self, settings: GatewaySettings, peers: Peers) -> None:
        self._settings, self._peers = settings, peers

    def begin_of(self, role: str) -> _Handler:
        """The handler that begins sessions of a role."""
        own_role: Role = "publish" if role == "publish" else "watch"

        async def begin(request: web.Request) -> web.StreamResponse:
            length = len(request.headers.get(hdrs.CONTENT_TYPE, ""))
            if length > _MOST_CONTENT_TYPE:
                raise Refused(415, f"the Content-Type has {length} characters; expected {_SDP}")
            if request.content_type != _SDP:
                raise Refused(415, f"the offer is {request.content_type}; expected {_SDP}")
            overlay = request.query.get("overlay") in ("1", "true")
            offer = await self._offer_in(request)
            peer, answer = await self._peers.begin(
                own_role, request.match_info["stream"], offer, overlay=overlay, address=request.remote
            )
            response = web.Response(status=201, text=answer, content_type=_SDP)
            response.headers[hdrs.LOCATION] = f"/sessions/{peer.id}"
            for server in self._settings.ice_servers:
                response.headers.add(hdrs.LINK, _link(server))
            return response

        return begin

    async def _offer_in(self, request: web.Request) -> str:
        charset = (request.charset or "utf-8").lower()
        if charset not in _CHARSETS or hdrs.CONTENT_ENCODING in request.headers:
            raise Refused(400, f"the offer must be plain UTF-8, not compressed; its charset is {charset[:40]!r}")
        try:
            async with asyncio.timeout(self._settings.http.body_s):
                return (await request.read()).decode()
        except TimeoutError as error:
            raise Refused(408, f"the offer did not arrive within {self._settings.http.body_s:g} s") from error
        except UnicodeDecodeError as error:
            raise Refused(400, f"the offer is no UTF-8 (byte {error.start}); expected a session description") from error
        except (web.RequestPayloadError, aiohttp.ClientPayloadError) as error:
            raise Refused(400, "the offer was sent in chunks that cannot be read") from error

    async def end(self, request: web.Request) -> web.StreamResponse:
        """End a session."""
        if not await self._peers.end(request.match_info["id"]):
            raise Refused(404, "there is no such session; it may have ended already")
        return web.Response(status=200)

    async def no_patch(self, request: web.Request) -> web.StreamResponse:
        """Candidates are all in the offer and the answer; RFC 9725 lets a server do without trickle."""
        raise Refused(405, "candidates cannot be sent later; put them into the offer")

    async def streams(self, request: web.Request) -> web.StreamResponse:
        """Tell a page what there is."""
        body = {
            "streams": [handler.describe() for handler in self._peers.handlers.values()],
            "checkpoint": msgspec.structs.asdict(self._settings.checkpoint),
            "ice_servers": [
                {key: value for key, value in msgspec.structs.asdict(one).items() if value is not None}
                for one in self._settings.ice_servers
            ],
            "limits": {"edge_px": self._settings.limits.edge_px, "session_s": self._settings.limits.session_s},
            "threshold": self._settings.session_threshold,
            "peers": len(self._peers),
        }
        return web.Response(text=as_json(body), content_type="application/json")


def _guard(access: Access, metrics: NodeMetrics) -> Middleware:
    """Refuses what may not be asked; turns refusals into answers."""
    log = LogLimit()

    def refusal(
        request: web.Request, status: int, text: str, headers: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        metrics.count(f"refused_{status}")
        left_out = log.due(str(status))
        if left_out is not None:  # without its text, which may hold what the stranger sent
            _LOG.info("a request is refused", status=status, address=request.remote, left_out=left_out)
        response = web.Response(status=status, text=text.encode("utf-8", "backslashreplace").decode() + "\n")
        response.headers.update(headers or {})
        return response

    @web.middleware
    async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
        origin, host = request.headers.get(hdrs.ORIGIN), request.headers.get(hdrs.HOST)
        try:
            if not (is_plain(host) and is_plain(origin)):
                raise Refused(400, "Host and Origin must be ASCII")
            if host and not is_host(host):
                raise Refused(400, f"{host[:80]} is no host; expected a name or an address, and perhaps a port")
            if not host and not access.is_known_host(host):
                raise Refused(400, "a request without Host; expected a name of this gateway in it")
            if not access.is_known_host(host):
                raise Refused(421, f"{host} is no name of this gateway; give it with --allow-host")
            if not access.is_own_page(origin, host, request.scheme):
                raise Refused(403, f"pages of {origin} may not use this gateway; allow them with --allow-origin")
            if request.method == hdrs.METH_OPTIONS:
                response: web.StreamResponse = web.Response(status=204, headers={"Accept-Post": _SDP})
            elif _is_private(request.path) and not access.is_authorised(request.headers.get(hdrs.AUTHORIZATION)):
                response = refusal(request, 401, "the token is missing or wrong", {hdrs.WWW_AUTHENTICATE: "Bearer"})
            else:
                response = await handler(request)
        except Refused as refused:
            response = refusal(request, refused.status, refused.text)
        except web.HTTPException as error:
            response = refusal(request, error.status, error.reason, _allow(error))
        response.headers.update(_SECURITY)
        allowed = access.allowed_origin(origin)
        if allowed is not None:
            response.headers.update(_cross_origin(allowed))
        return response

    return guard


def _allow(error: web.HTTPException) -> dict[str, str]:
    return {hdrs.ALLOW: error.headers[hdrs.ALLOW]} if hdrs.ALLOW in error.headers else {}


def _cross_origin(origin: str) -> dict[str, str]:
    return {
        hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin,
        hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
        hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Content-Type",
        hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: "Location, Link",
        "Cross-Origin-Resource-Policy": "cross-origin",
        hdrs.VARY: hdrs.ORIGIN,
    }


def _is_private(path: str) -> bool:
    """The page itself holds no secrets: it asks for the token."""
    return path.startswith(("/whip/", "/whep/", "/sessions/", "/api/", METRICS_PATH))


def _link(server: IceServer) -> str:
    parts = [f'<{server.urls}>; rel="ice-server"']
    if server.username is not None:
        parts.append(f'username="{server.username}"; credential="{server.credential}"; credential-type="password"')
    return "; ".join(parts)


def _file(path: Path) -> _Handler:
    body, content_type = path.read_bytes(), _PAGE_TYPES[path.suffix]

    async def send(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    return send
