"""Strangers take all descriptors that a graph has for connections: it goes on, and takes in whom it knows."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssa_stream.client import AsyncPromptClient, MaskSubscription
from ssa_stream.errors import TransportError
from ssa_stream.keys import ClientKeys, add_client, make_keys
from tests.support.graph_streams import graph_of, make_material
from tests.support.graphs import PATIENCE_S, running
from tests.support.silent_connections import silent_connections
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

STRANGERS = 300
"""At each of the two addresses: more together than files may be opened."""


@pytest.fixture
def few_files() -> Iterator[int]:
    """A limit of 256 files, beside those that the tests have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 256 + len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    yield limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("placement", ["fused", "processes"])
async def test_graph_survives_strangers_that_take_its_descriptors(
    tmp_path: Path, few_files: int, placement: str
) -> None:
    """Clients come, are added and removed, and a node dies meanwhile."""
    make_keys(tmp_path / "keys")
    robot = ClientKeys.load(add_client(tmp_path / "keys", "robot"))
    former = ClientKeys.load(add_client(tmp_path / "keys", "former"))
    public = {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*", "keys": str(tmp_path / "keys")}
    streams = {"cam0": {"source": "synthetic:1@64x48,10fps,100000frames", "prompts": ["a dog"], "live": True}}
    graph = graph_of(make_material(tmp_path), placement, streams, public=public, clients={"handshake_s": 2.0})
    async with running(graph) as run:
        broker = graph._broker
        assert broker is not None
        async with MaskSubscription(graph.publish_address, keys=former) as before:
            assert await before.next_async(PATIENCE_S) is not None
        async with silent_connections([graph.publish_address, graph.requests_address], STRANGERS):
            (tmp_path / "keys/allowed/former.key").unlink()
            late = ClientKeys.load(add_client(tmp_path / "keys", "late"))
            for keys in (robot, late):
                async with MaskSubscription(graph.publish_address, keys=keys) as known:
                    assert await known.next_async(PATIENCE_S) is not None
                async with AsyncPromptClient(graph.requests_address, timeout_s=PATIENCE_S, keys=keys) as client:
                    assert [prompt.text for prompt in (await client.set(["a red dog"])).prompts] == ["a red dog"]
            async with AsyncPromptClient(graph.requests_address, timeout_s=1.0, keys=former) as client:
                with pytest.raises(TransportError):
                    await client.list()
            if placement == "processes":
                first = graph.pid("encoder-0")
                graph.kill("encoder-0")
                await until(lambda: run.done() or graph.pid("encoder-0") not in (None, first))
                await until(lambda: run.done() or _is_ready(graph, "encoder-0"))
                async with MaskSubscription(graph.publish_address, keys=robot) as known:
                    assert await known.next_async(PATIENCE_S) is not None
            assert not run.done()
            assert broker.counters["connections_refused"] > 0
            assert broker.counters["clients_refused"] > 0
    report = run.result()
    assert report.total_frames > 0
    assert report.restarts == ({"encoder-0": 1} if placement == "processes" else {})
    assert not [path for path in Path("/dev/shm").iterdir() if path.name.startswith(f"ssa-ssa-{os.getpid()}-")]


def _is_ready(graph: object, name: str) -> bool:
    view = graph.health()  # type: ignore[attr-defined]
    return view is not None and view.nodes[name].ready and view.nodes[name].losses == 1
