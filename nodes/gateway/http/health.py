"""`/livez`, `/readyz` and `/metrics` on the gateway's own port, answered by the launcher's process."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from aiohttp import hdrs, web

from ssa_stream.nodes.gateway.http.access import Access
from ssa_stream.nodes.gateway.page_messages import as_json

__all__ = ["METRICS_PATH", "add_health"]

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
