"""Strangers take all descriptors that a graph has for connections: it goes on, and takes in whom it knows."""

import asyncio
import os
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ssa_stream.client import MaskSubscription
from ssa_stream.keys import ClientKeys, add_client, make_keys
from ssa_stream.nodes.launcher import Graph
from tests.support.graph_streams import graph_of, make_material
from tests.support.graphs import PATIENCE_S, running
from tests.support.silent_connections import silent_connections
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

STRANGERS = 300
"""At each of the two addresses: more together than files may be opened."""

# Has descriptors of its own; waits for its turn, then subscribes and asks as each client.
_CLIENTS = """
import sys
from ssa_stream.client import MaskSubscription, PromptClient
from ssa_stream.errors import TransportError
publish, requests, patience_s, former, *allowed = sys.argv[1:]
for _ in sys.stdin:
    for keys in allowed:
        with MaskSubscription(publish, keys=keys) as masks:
            assert masks.next(float(patience_s)) is not None, keys
        with PromptClient(requests, timeout_s=float(patience_s), keys=keys) as client:
            assert [prompt.text for prompt in client.set(["a red dog"]).prompts] == ["a red dog"]
    with PromptClient(requests, timeout_s=1.0, keys=former) as client:
        try:
            client.list()
        except TransportError:
            print("as expected", flush=True)
"""


class _Clients:
    """The process of the clients."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def take_their_turn(self) -> bytes:
        """Let them subscribe and ask; what they say."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"go\n")
        async with asyncio.timeout(PATIENCE_S):
            return await self._process.stdout.readline()


@asynccontextmanager
async def _clients(graph: Graph, former: Path, *allowed: Path) -> AsyncIterator[_Clients]:
    """Clients of a graph, one that is not allowed any more and others that are, by their folders of keys."""
    arguments = (graph.publish_address, graph.requests_address, str(PATIENCE_S), str(former), *map(str, allowed))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CLIENTS, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield _Clients(process)
    finally:
        process.kill()
        await process.communicate()


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
    keys = tmp_path / "keys"
    make_keys(keys)
    robot, late, former = (add_client(keys, name) for name in ("robot", "late", "former"))
    (keys / "allowed/late.key").rename(tmp_path / "late.key")
    public = {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*", "keys": str(keys)}
    streams = {"cam0": {"source": "synthetic:1@64x48,10fps,100000frames", "prompts": ["a dog"], "live": True}}
    graph = graph_of(make_material(tmp_path), placement, streams, public=public)
    async with running(graph) as run, _clients(graph, former, robot, late) as clients:
        broker = graph._broker
        assert broker is not None
        async with MaskSubscription(graph.publish_address, keys=ClientKeys.load(former)) as before:
            assert await before.next_async(PATIENCE_S) is not None
        async with silent_connections([graph.publish_address, graph.requests_address], STRANGERS):
            (keys / "allowed/former.key").unlink()
            (tmp_path / "late.key").rename(keys / "allowed/late.key")
            assert await clients.take_their_turn() == b"as expected\n"
            if placement == "processes":
                first = graph.pid("encoder-0")
                graph.kill("encoder-0")
                await until(lambda: run.done() or graph.pid("encoder-0") not in (None, first))
                await until(lambda: run.done() or _is_back(graph, "encoder-0"))
                assert await clients.take_their_turn() == b"as expected\n"
            assert not run.done()
            assert broker.counters["connections_refused"] > 0
            assert broker.counters["clients_refused"] > 0
    report = run.result()
    assert report.total_frames > 0
    assert report.restarts == ({"encoder-0": 1} if placement == "processes" else {})
    assert not [name for name in os.listdir("/dev/shm") if name.startswith(f"ssa-ssa-{os.getpid()}-")]


def _is_back(graph: Graph, name: str) -> bool:
    """Whether a node is ready after it was lost once."""
    view = graph.health()
    return view is not None and view.nodes[name].ready and view.nodes[name].losses == 1
