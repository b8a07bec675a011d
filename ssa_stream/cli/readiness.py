"""When a graph is ready, told to people and to the service manager.

It is ready when all its nodes are (the gateway's included), and the source of every stream has given a picture. A
source may be away for long, and the graph serves the other streams meanwhile. So after a while, or as soon as it is
known what is wrong, that is told; and when nothing is wrong any more, that is told, too.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ssa_stream.addresses import scheme_of
from ssa_stream.cli.service import ServiceManager
from ssa_stream.cli.views.source_words import source_words

if TYPE_CHECKING:
    from ssa_stream.cli.views.graph_view import GraphView
    from ssa_stream.nodes.launcher import Graph
    from ssa_stream.protocols import SourceState

__all__ = ["announced", "source_problem"]

_LOOK_S = 0.1
_PATIENCE_S = 10.0
"""For what has not said yet that anything is wrong."""
_HAS_ANSWERED = ("running", "stalled", "ended", "stopped")


@asynccontextmanager
async def announced(graph: "Graph", view: "GraphView", stop: asyncio.Event) -> AsyncIterator[None]:
    """Tell when a graph is ready, and that it stops.

    Args:
        graph: Run in the body.
        view: Tells people.
        stop: Set when it is to end.
    """
    service = ServiceManager.of(os.environ)
    announcement = _Announcement(graph, view, service)
    parts = (announcement.run(), _keep_alive(graph, service), _tell_stopping(stop, service))
    tasks = [asyncio.create_task(part, name="announcement") for part in parts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        service.stopping()
        announcement.last()
        for task in tasks:
            if not task.cancelled():
                task.result()


class _Announcement:
    """What was told so far of one graph."""

    def __init__(self, graph: "Graph", view: "GraphView", service: ServiceManager) -> None:
        self._graph, self._view, self._service = graph, view, service
        self._has_told = False

    async def run(self) -> None:
        """Tell that it is ready: once with what it lacks, if it does, and once without."""
        await self._graph.ready.wait()
        patient_until_s = time.monotonic() + _PATIENCE_S
        while True:
            lacking = self._lacking()
            are_known = None not in lacking.values()
            may_come = [what for what in lacking if what not in self._failed()]
            is_due = not self._has_told and (are_known or time.monotonic() >= patient_until_s)
            if is_due or not may_come:
                self._tell({what: why or "it has not answered yet" for what, why in lacking.items()})
            if not may_come:
                return
            await asyncio.sleep(_LOOK_S)

    def last(self) -> None:
        """The graph has ended; a short one may have done so before anything was told of it."""
        if self._graph.ready.is_set() and not self._has_told:
            self._tell({what: why for what, why in self._lacking().items() if why})

    def _tell(self, lacking: dict[str, str]) -> None:
        self._has_told = True
        self._view.ready(self._graph, lacking)
        self._service.ready("; ".join(f"{what}: {why}" for what, why in lacking.items()) or "ready")

    def _failed(self) -> set[str]:
        """Streams whose sources will not come any more."""
        health = self._graph.health()
        sources = {} if health is None else health.sources
        return {_stream(name) for name, source in sources.items() if source is not None and source.status == "failed"}

    def _lacking(self) -> dict[str, str | None]:
        """What it lacks, and why; None: not known yet."""
        health = self._graph.health()
        if health is None:
            return {}
        lacking: dict[str, str | None] = {f"node {name}": None for name, node in health.nodes.items() if not node.ready}
        for name, source in health.sources.items():
            if scheme_of(self._graph.config.streams[name].source) == "webrtc":
                continue  # a browser's camera comes when its user wants it to
            why = source_problem(source)
            if why != "":
                lacking[_stream(name)] = why
        return lacking


def _stream(name: str) -> str:
    return f"stream {name}"


def source_problem(source: "SourceState | None") -> str | None:
    """Why a source gives no pictures; empty if it does, None if it has not said yet."""
    if source is None:
        return None
    if source.status in _HAS_ANSWERED:
        return ""
    return str(source_words(source)) if source.code is not None or source.text else None


async def _keep_alive(graph: "Graph", service: ServiceManager) -> None:
    """Feed the watchdog of the service manager while the graph lives; a graph that is not bound yet is loading."""
    if service.watchdog_s is None:
        return
    while True:
        health = graph.health()
        if health is None or health.live().ok:
            service.alive()
        await asyncio.sleep(service.watchdog_s / 3)


async def _tell_stopping(stop: asyncio.Event, service: ServiceManager) -> None:
    await stop.wait()
    service.stopping()
