"""`/livez`, `/readyz` and `/metrics`, to be mounted in any aiohttp application."""

import json
from typing import Protocol

from aiohttp import web

from ssa_stream.nodes.health.metrics import CONTENT_TYPE_LATEST, exposition
from ssa_stream.nodes.health.view import HealthView, Verdict

__all__ = ["HasHealth", "health_routes"]

_UNCACHED = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class HasHealth(Protocol):
    """A broker, a graph, or whoever else knows how the graph fares."""

    def health(self) -> HealthView | None:
        """How it fares now; None before it was started."""


def health_routes(graph: HasHealth) -> list[web.RouteDef]:
    """Routes for orchestrators and monitors.

    `/livez` and `/readyz` answer 200 or 503 with JSON: the verdict, its reasons, and every node with its ages.
    """

    async def livez(_: web.Request) -> web.Response:
        view = graph.health()
        return _answer(Verdict() if view is None else view.live(), view)

    async def readyz(_: web.Request) -> web.Response:
        view = graph.health()
        return _answer(Verdict(("the graph is being started",)) if view is None else view.ready(), view)

    async def metrics(_: web.Request) -> web.Response:
        view = graph.health()
        body = b"" if view is None else exposition(view)
        return web.Response(body=body, headers={**_UNCACHED, "Content-Type": CONTENT_TYPE_LATEST})

    return [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]


def _answer(verdict: Verdict, view: HealthView | None) -> web.Response:
    plain = {"ok": verdict.ok, "reasons": verdict.reasons, **({} if view is None else view.to_mapping())}
    text = json.dumps(plain, indent=2) + "\n"
    status = 200 if verdict.ok else 503
    return web.Response(status=status, text=text, content_type="application/json", headers=_UNCACHED)
