"""WHIP, WHEP, and the page, over HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp
import msgspec
from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from ssa_stream.nodes.gateway.http.access import Access
from ssa_stream.nodes.gateway.page_messages import as_json
from ssa_stream.nodes.gateway.settings import GatewaySettings, IceServer, health_socket
from ssa_stream.nodes.gateway.webrtc.peer import Role
from ssa_stream.nodes.gateway.webrtc.peers import Peers, Refused
from ssa_stream.nodes.runtime.metrics import NodeMetrics

__all__ = ["METRICS_PATH", "add_health", "make_app"]

METRICS_PATH = "/metrics"
_PATHS = ("/livez", "/readyz", METRICS_PATH)
_ANSWER_S = 2.0
_SESSION = web.AppKey("health_session", aiohttp.ClientSession)
_SILENT = {"ok": False, "reasons": ["the process that runs the graph does not answer"]}


def add_health(app: web.Application, socket: Path, access: Access) -> None:
    """Let an application answer what is asked at these paths.

    Args:
        app: Its middleware asks for the token where one is needed.
        socket: Where the process that runs the graph answers the same.
        access: Who has no token learns the verdict, not its reasons: they name streams, nodes and hosts.
    """

    async def session(app: web.Application) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket)), timeout=timeout) as opened:
            app[_SESSION] = opened
            yield

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            async with request.app[_SESSION].get(f"http://graph{request.path}") as found:
                status, body, content_type = found.status, await found.read(), found.headers[hdrs.CONTENT_TYPE]
        except (OSError, aiohttp.ClientError):  # an answer that takes too long is an OSError, too
            status, body, content_type = 503, as_json(_SILENT).encode(), "application/json"
        if not access.is_authorised(request.headers.get(hdrs.AUTHORIZATION)):
            body = as_json({"ok": status == 200}).encode()
        return web.Response(status=status, body=body, headers={hdrs.CONTENT_TYPE: content_type})

    app.cleanup_ctx.append(session)
    for path in _PATHS:
        app.router.add_get(path, answer)


_SDP = "application/sdp"
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_PAGE_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
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


def make_app(settings: GatewaySettings, peers: Peers, page: Path, metrics: NodeMetrics) -> web.Application:
    """The application.

    Args:
        settings: Of the gateway.
        peers: Its sessions.
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
    add_health(app, health_socket(Path(settings.run_dir)), access)
    for file in sorted(page.iterdir()):
        if file.suffix in _PAGE_TYPES:
            app.router.add_get("/" if file.name == "index.html" else f"/{file.name}", _file(file))
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
            if request.content_type != _SDP:
                raise Refused(415, f"the offer is {request.content_type}; expected {_SDP}")
            overlay = request.query.get("overlay") in ("1", "true")
            offer = await request.text()
            peer, answer = await self._peers.begin(own_role, request.match_info["stream"], offer, overlay=overlay)
            response = web.Response(status=201, text=answer, content_type=_SDP)
            response.headers[hdrs.LOCATION] = f"/sessions/{peer.id}"
            for server in self._settings.ice_servers:
                response.headers.add(hdrs.LINK, _link(server))
            return response

        return begin

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

    def refusal(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
        metrics.count(f"refused_{status}")
        return web.Response(status=status, text=text + "\n", headers=headers)

    @web.middleware
    async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
        origin, host = request.headers.get(hdrs.ORIGIN), request.headers.get(hdrs.HOST)
        try:
            if not access.is_known_host(host):
                raise Refused(421, f"{host} is no name of this gateway; give it with --allow-host")
            if not access.is_own_page(origin, host, request.scheme):
                raise Refused(403, f"pages of {origin} may not use this gateway; allow them with --allow-origin")
            if request.method == hdrs.METH_OPTIONS:
                response: web.StreamResponse = web.Response(status=204, headers={"Accept-Post": _SDP})
            elif _is_private(request.path) and not access.is_authorised(request.headers.get(hdrs.AUTHORIZATION)):
                response = refusal(401, "the token is missing or wrong", {hdrs.WWW_AUTHENTICATE: "Bearer"})
            else:
                response = await handler(request)
        except Refused as refused:
            response = refusal(refused.status, refused.text)
        except web.HTTPException as error:
            response = refusal(error.status, error.reason, _allow(error))
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
