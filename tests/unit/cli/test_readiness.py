"""When a graph is said to be ready, as its nodes and sources come one after the other."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ssa_stream.cli import readiness
from ssa_stream.cli.readiness import announced
from tests.support.scripted_nodes import source_state
from tests.support.waiting import until


class _Graph:
    """One whose health is set by a test."""

    def __init__(self, **sources: str) -> None:
        self.ready = asyncio.Event()
        streams = {name: SimpleNamespace(source=source) for name, source in sources.items()}
        self.config = SimpleNamespace(streams=streams)
        self.sources: dict[str, Any] = dict.fromkeys(sources)
        self.is_gateway_ready = True

    def health(self) -> Any:
        """All that is looked at of it."""
        gateway = SimpleNamespace(ready=self.is_gateway_ready)
        live = SimpleNamespace(ok=True)
        return SimpleNamespace(nodes={"gateway-0": gateway}, sources=self.sources, live=lambda: live)


class _View:
    """Keeps what people are told."""

    def __init__(self) -> None:
        self.told: list[dict[str, str]] = []

    def ready(self, _graph: object, lacking: dict[str, str]) -> None:
        """Keep it."""
        self.told.append(dict(lacking))


def _announced(graph: _Graph, view: _View) -> Any:
    return announced(cast(Any, graph), cast(Any, view), asyncio.Event())


@pytest.fixture(autouse=True)
def no_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens, and it looks often."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setattr(readiness, "_LOOK_S", 0.001)


async def test_graph_is_ready_when_all_nodes_and_sources_are() -> None:
    """Nothing is told while it is not known whether anything is wrong. A browser's camera is not waited for."""
    graph, view = _Graph(cam0="rtsp://cam", page="webrtc:x"), _View()
    graph.is_gateway_ready = False
    async with _announced(graph, view):
        graph.ready.set()
        graph.sources["cam0"] = source_state("cam0", status="starting")
        await asyncio.sleep(0.01)
        graph.sources["cam0"] = source_state("cam0")
        await asyncio.sleep(0.01)
        assert view.told == []
        graph.is_gateway_ready = True
        await until(lambda: bool(view.told))
    assert view.told == [{}]


async def test_source_that_is_away_is_told_and_so_is_its_coming() -> None:
    """One that has failed for good is named with it, and not waited for."""
    graph, view = _Graph(cam0="rtsp://cam", file="no.mp4"), _View()
    graph.sources["cam0"] = source_state("cam0", status="lost", text="nobody there", code="refused", attempt=1)
    graph.sources["file"] = source_state("file", status="failed", text="it does not exist", code="not_found")
    failed = "failed: it does not exist (not_found)"
    async with _announced(graph, view):
        graph.ready.set()
        await until(lambda: bool(view.told))
        graph.sources["cam0"] = source_state("cam0")
        await until(lambda: len(view.told) > 1)
    away = "reconnecting, attempt 1: nobody there (refused)"
    assert view.told == [{"stream cam0": away, "stream file": failed}, {"stream file": failed}]


async def test_what_says_nothing_is_told_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nobody waits for the word for ever."""
    monkeypatch.setattr(readiness, "_PATIENCE_S", 0.01)
    graph, view = _Graph(cam0="rtsp://cam"), _View()
    async with _announced(graph, view):
        graph.ready.set()
        await until(lambda: bool(view.told))
    assert view.told == [{"stream cam0": "it has not answered yet"}]


async def test_graph_that_ended_at_once_was_ready_and_one_that_never_was_was_not() -> None:
    """A short recording may be over before anybody looked."""
    for is_ready in (True, False):
        graph, view = _Graph(cam0="a.mp4"), _View()
        async with _announced(graph, view):
            if is_ready:
                graph.ready.set()
        assert view.told == [{}] * is_ready
