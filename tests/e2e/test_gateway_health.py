"""`/livez`, `/readyz` and `/metrics` on the port of the page, with a broker and without a graph."""

from pathlib import Path

import aiohttp
import pytest

from ssa_stream.nodes.gateway.settings import health_socket
from ssa_stream.nodes.health.server import serve_health_in_file
from tests.support.gateway import gateway
from tests.support.scripted_nodes import graph, heartbeat, source_state
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_idle_threads")]

PATHS = ("livez", "readyz", "metrics")


async def _get(session: aiohttp.ClientSession, url: str, **headers: str) -> tuple[int, str]:
    async with session.get(url, headers=headers) as response:
        return response.status, await response.text()


async def test_answers_are_those_of_who_runs_the_graph(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """Before all nodes are ready, and after."""
    async with graph() as running, serve_health_in_file(health_socket(tmp_path), running.broker):
        async with gateway(tmp_path) as url:
            await until(lambda: running.broker.health().live().ok)
            assert (await _get(session, url + "livez"))[0] == 200
            status, text = await _get(session, url + "readyz")
            assert status == 503
            assert "decoder-0 has not said anything yet" in text
            for name in running.config.node_names:
                await (await running.greeted(name)).say(heartbeat(name))
            await until(lambda: running.broker.health().ready().ok)
            assert (await _get(session, url + "readyz"))[0] == 200
            status, text = await _get(session, url + "metrics")
            assert status == 200
            assert "ssa_stream_ready 1.0" in text


async def test_who_has_no_token_learns_the_verdict_only(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """Reasons name nodes, streams and hosts of cameras; so do metrics."""
    right = {"Authorization": "Bearer secret"}
    async with graph() as running, serve_health_in_file(health_socket(tmp_path), running.broker):
        node = await running.greeted("ingest-cam0")
        await node.say(source_state(status="lost", text="10.0.0.7 does not answer", code="timeout"))
        await until(lambda: running.broker.health().sources["cam0"] is not None and running.broker.health().live().ok)
        async with gateway(tmp_path, token="secret") as url:
            assert await _get(session, url + "livez") == (200, '{"ok":true}')
            assert await _get(session, url + "readyz") == (503, '{"ok":false}')
            assert (await _get(session, url + "metrics"))[0] == 401
            status, text = await _get(session, url + "readyz", **right)
            assert (status, "10.0.0.7 does not answer" in text) == (503, True)
            assert (await _get(session, url + "metrics", **right))[0] == 200


async def test_graph_that_does_not_answer_is_neither_live_nor_ready(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """The gateway alone is of no use."""
    async with gateway(tmp_path) as url:
        for path in PATHS:
            status, text = await _get(session, url + path)
            assert (path, status) == (path, 503)
            assert "does not answer" in text
