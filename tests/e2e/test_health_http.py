"""Health over HTTP, of a broker with scripted nodes."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ssa_stream.errors import ConfigError, TransportError
from ssa_stream.nodes.health.server import HttpAddress, serve_health
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from tests.support.scripted_nodes import CLOCK, Graph, Peer, graph, pipeline
from tests.support.waiting import until

pytestmark = pytest.mark.e2e

LOOPBACK = HttpAddress("127.0.0.1", 0)


class _Client:
    """Asks one server."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self.url = session, url

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self._session.get(self.url + path, headers=headers) as response:
            return response.status, await response.text()

    async def plain(self, path: str) -> tuple[int, Any]:
        status, text = await self.get(path)
        return status, json.loads(text)


@asynccontextmanager
async def _served(config: PipelineConfig | None = None) -> AsyncIterator[tuple[Graph, _Client]]:
    async with (
        graph(config) as running,
        serve_health(LOOPBACK, running.broker) as url,
        aiohttp.ClientSession() as session,
    ):
        yield running, _Client(session, url)


async def _all_ready(running: Graph) -> dict[str, tuple[Peer, NodeMetrics]]:
    """Every node of the graph, ready."""
    nodes = {}
    for name in running.config.node_names:
        peer, metrics = await running.greeted(name), NodeMetrics(name, name.partition("-")[0], 1, CLOCK)
        await peer.say(metrics.heartbeat(ready=True))
        nodes[name] = peer, metrics
    await until(lambda: len(running.ready) == len(nodes))
    return nodes


async def test_graph_is_ready_when_all_nodes_are() -> None:
    """Not before; live it is at once."""
    async with _served() as (running, client):
        await until(lambda: running.broker.health().live().ok)
        assert (await client.plain("/livez"))[0] == 200
        status, body = await client.plain("/readyz")
        assert status == 503
        assert "decoder-0 has not said anything yet" in body["reasons"]
        await _all_ready(running)
        status, body = await client.plain("/readyz")
        assert (status, body["ok"], body["reasons"]) == (200, True, [])


async def test_graph_with_a_node_that_hangs_is_not_ready() -> None:
    """It goes on sending heartbeats, but its step does not end."""
    values = pipeline().to_mapping()
    values["health"] |= {"hang_timeout_s": 0.2, "heartbeat_timeout_s": 60}
    async with _served(PipelineConfig.from_mapping(values)) as (running, client):
        peer, metrics = (await _all_ready(running))["encoder-0"]
        assert (await client.plain("/readyz"))[0] == 200
        metrics.work_began()
        await until(lambda: (metrics.step_age_s() or 0) > 0.2)
        await peer.say(metrics.heartbeat(ready=True))
        await until(lambda: not running.broker.health().ready().ok)
        status, body = await client.plain("/readyz")
        assert status == 503
        assert body["reasons"][0].startswith("encoder-0 has been at one step for ")
        assert body["nodes"]["encoder-0"]["step_age_s"] > 0.2
        metrics.work_ended()
        await peer.say(metrics.heartbeat(ready=True))
        await until(lambda: running.broker.health().ready().ok)
        status, body = await client.plain("/readyz")
        assert status == 200
        assert body["nodes"]["encoder-0"]["last_step_s"] is not None


async def test_graph_that_lost_a_node_is_not_ready() -> None:
    """Until it is back."""
    async with _served() as (running, client):
        await _all_ready(running)
        await running.broker.node_lost("masks-0", 1, "exited", "killed")
        status, body = await client.plain("/readyz")
        assert (status, body["reasons"]) == (503, ["masks-0 is not ready (lost: killed)"])
        assert body["nodes"]["masks-0"]["losses"] == 1


async def test_metrics_of_the_broker_and_its_nodes_are_served() -> None:
    """As Prometheus takes them."""
    async with _served() as (running, client):
        peer, metrics = (await _all_ready(running))["masks-0"]
        metrics.dropped("cam0", "gap", 2)
        await peer.say(metrics.statistics())
        await until(lambda: running.broker.health().nodes["masks-0"].statistics is not None)
        status, text = await client.get("/metrics")
        assert status == 200
        families = {family.name: family for family in text_string_to_metric_families(text)}
        assert [sample.value for sample in families["ssa_stream_frames_dropped"].samples] == [2]
        assert {label for family in families.values() for sample in family.samples for label in sample.labels} == {
            "node",
            "reason",
            "stream",
        }


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Host": "rebound.example"}, 421),
        ({"Host": "[::1"}, 400),
        ({"Host": "127.0.0.1:99999999"}, 400),
        ({"Host": "localhost:80", "Origin": "http://localhost:80"}, 200),
    ],
    ids=["other origin", "other name", "no host", "no port", "own page"],
)
async def test_pages_of_others_get_nothing(headers: dict[str, str], expected: int) -> None:
    """Also if they made a name of theirs point here. What anybody gets carries no leave for others to read it."""
    async with _served() as (_, client):
        assert (await client.get("/metrics", **headers))[0] == expected


async def test_port_that_is_taken_is_told() -> None:
    """With what to do."""
    async with graph() as running, serve_health(LOOPBACK, running.broker) as url:
        taken = HttpAddress.parse(url)
        with pytest.raises(TransportError, match="choose another address for health"):
            async with serve_health(taken, running.broker):
                pass


def test_addresses_that_others_can_reach_are_refused_unless_it_is_said() -> None:
    """Nothing asks for a token there."""
    assert HttpAddress.parse(":8080") == HttpAddress("127.0.0.1", 8080)
    assert HttpAddress.parse("http://[::1]:8080/") == HttpAddress("::1", 8080)
    with pytest.raises(ConfigError, match=r"other machines can reach.*--insecure"):
        HttpAddress.parse("0.0.0.0:8080")
    assert HttpAddress.parse("0.0.0.0:8080", insecure=True).host == "0.0.0.0"
    with pytest.raises(ConfigError, match="expected HOST:PORT"):
        HttpAddress.parse("8080")
