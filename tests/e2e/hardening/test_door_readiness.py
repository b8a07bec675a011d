"""A door that takes nobody in is not ready: seen through another door, and through connections that are in already."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from ssa_stream.nodes.gateway.settings import ControlAccess, control_socket
from ssa_stream.nodes.health.server import HttpAddress
from ssa_stream.nodes.pipeline import GATEWAY
from ssa_stream.nodes.runtime.http.connections import HttpLimits
from tests.support.gateway import SDP, gateway
from tests.support.scripted_nodes import graph, heartbeat, pipeline
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_idle_threads")]

LOOPBACK = HttpAddress("127.0.0.1", 0)


async def _ready(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with session.get(url + "/readyz") as response:
        return response.status, await response.text()


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


async def _status_of(session: aiohttp.ClientSession, url: str, body: AsyncIterator[bytes]) -> int:
    async with session.post(url, data=body, headers=SDP) as response:
        return response.status
