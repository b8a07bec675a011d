"""A graph of processes with keys: whole for those who may watch it, closed to others, its health served meanwhile."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from ssa_stream.client import MaskSubscription
from ssa_stream.keys import ClientKeys, add_client, make_keys
from ssa_stream.nodes.health.server import HttpAddress, serve_health
from tests.support.graph_streams import graph_of, make_material
from tests.support.graphs import PATIENCE_S
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]


async def test_graph_with_keys_serves_whom_it_knows_and_nobody_else(tmp_path: Path) -> None:
    """Somebody with other keys gets nothing and disturbs nothing; all frames of the file come out."""
    make_keys(tmp_path / "keys")
    right = ClientKeys.load(add_client(tmp_path / "keys", "robot"))
    wrong = ClientKeys.make(right.server)
    public = {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*", "keys": str(tmp_path / "keys")}
    material = make_material(tmp_path)
    graph = graph_of(material, "processes", {"cam0": {"prompts": ["a dog"]}}, public=public)
    stop = asyncio.Event()
    async with serve_health(HttpAddress("127.0.0.1", 0), graph) as url, aiohttp.ClientSession() as session:
        async with session.get(f"{url}/readyz") as answer:
            assert answer.status == 503
        run = asyncio.create_task(graph.run(stop))
        try:
            await until(lambda: graph.bound.is_set() or run.done())
            async with (
                MaskSubscription(graph.publish_address, keys=right) as known,
                MaskSubscription(graph.publish_address, keys=wrong) as stranger,
            ):
                await until(lambda: (known.is_connected and stranger._receiver.is_refused) or run.done())
                assert await known.next_async(PATIENCE_S) is not None
                report = await asyncio.wait_for(asyncio.shield(run), PATIENCE_S)
                assert (report.total_frames, report.restarts) == (material.num_frames, {})
                assert stranger.counts.received == 0
        finally:
            stop.set()
            await asyncio.wait([run])
        async with session.get(f"{url}/metrics") as answer:
            text = await answer.text()
    assert 'ssa_stream_stream_frames_total{stream="cam0"} 24.0' in text
    assert "ssa_stream_count_clients_refused_total" in text
