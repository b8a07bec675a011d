"""A door that takes nobody in is not ready: seen through another door, and through connections that are in already."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from ssa_stream.nodes.gateway.settings import ControlAccess, control_socket
from ssa_stream.nodes.health.server import HttpAddress, serve_health
from ssa_stream.nodes.pipeline import GATEWAY
from ssa_stream.nodes.runtime.http.connections import HttpLimits
from ssa_stream.nodes.runtime.http.door import Door
from tests.support.gateway import SDP, gateway
from tests.support.scripted_nodes import graph, heartbeat, pipeline
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_idle_threads")]

LOOPBACK = HttpAddress("127.0.0.1", 0)


async def test_gateway_whose_connections_are_all_in_use_is_not_ready(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """The reason says why, and goes when the connections do."""
    control = ControlAccess(address=f"ipc://{control_socket(tmp_path)}", heartbeat_s=0.05, heartbeat_timeout_s=3.0)
    limits = HttpLimits(connections=2, body_s=2.0)
    async with (
        graph(pipeline(cam={}), gateway=control.address) as running,
        gateway(tmp_path, control=control, http=limits) as url,
    ):
        nodes = [await running.greeted(name) for name in running.config.node_names]
        for node, name in zip(nodes, running.config.node_names, strict=True):
            await node.say(heartbeat(name))
        await until(lambda: running.broker.health().ready().ok, "all are ready")

        async def never_ending() -> AsyncIterator[bytes]:
            yield b"v=0"
            await asyncio.sleep(3600)

        slow = [asyncio.create_task(_status_of(session, url + "whip/cam", never_ending())) for _ in range(2)]
        await until(lambda: not running.broker.health().nodes[GATEWAY].ready, "the gateway is not ready")
        reasons = running.broker.health().ready().reasons
        assert any(re.search(f"{GATEWAY} is not ready .no new connection is taken: all 2", one) for one in reasons)
        assert await asyncio.gather(*slow) == [408, 408]
        await until(lambda: running.broker.health().nodes[GATEWAY].ready, "it is ready again")


async def test_health_of_the_launcher_outlasts_silent_connections(session: aiohttp.ClientSession) -> None:
    """More than it takes: it answers meanwhile, drops them in time, and counts them and what is odd."""
    limits = HttpLimits(connections=6, connections_per_address=4, head_s=0.5)
    async with graph() as running, serve_health(LOOPBACK, running.broker, limits) as url:
        port = int(url.rpartition(":")[2])
        crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        await until(lambda: running.broker.health().live().ok, "it is live")
        async with session.get(url + "/livez") as response:
            assert response.status == 200
        async with asyncio.timeout(20):
            for reader, writer in crowd:
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
                writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: \xff\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
        async with session.get(url + "/metrics") as response:
            text = await response.text()
        assert re.search(r'^ssa_stream_count_connections_displaced_total{node="launcher"[^}]*} 1[67]', text, re.M)
        assert re.search(r'^ssa_stream_count_connections_timed_out_total{node="launcher"[^}]*} [34]', text, re.M)
        assert re.search(r'^ssa_stream_count_refused_400_total{node="launcher"[^}]*} 1', text, re.M)


async def test_launcher_that_takes_nobody_in_is_not_ready(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is in learns why."""
    async with graph() as running, serve_health(LOOPBACK, running.broker) as url:
        monkeypatch.setattr(Door, "shut", "no new connection is taken: all 6 are in use")
        async with session.get(url + "/readyz") as response:
            assert response.status == 503
            assert "no new connection is taken: all 6 are in use" in (await response.json())["reasons"]


async def _status_of(session: aiohttp.ClientSession, url: str, body: AsyncIterator[bytes]) -> int:
    async with session.post(url, data=body, headers=SDP) as response:
        return response.status
