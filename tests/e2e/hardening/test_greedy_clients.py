"""One client with keys takes all it can get; another one of the same graph is served as ever."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import zmq
import zmq.asyncio

from ssa_stream.client import AsyncPromptClient, UpdateSubscription
from ssa_stream.keys import ClientKeys, add_client, make_keys
from ssa_stream.nodes.broker.counters import Counters
from ssa_stream.nodes.launcher import Graph
from ssa_stream.protocols import PROMPTS, PromptState, subscription
from tests.support.graph_streams import graph_of, make_material
from tests.support.graphs import PATIENCE_S, running
from tests.support.waiting import until

pytestmark = pytest.mark.e2e

# Does one greedy thing, says that it is at it, and goes on until it is ended.
_GREEDY = r"""
import sys, time, zmq
from ssa_stream.keys import ClientKeys
from ssa_stream.protocols import AddPrompt, NewPrompt, encode
what, keys, publish, requests = sys.argv[1:]
context = zmq.Context()

def connected(kind, address):
    socket = context.socket(kind)
    socket.linger, socket.sndhwm, socket.rcvhwm = 0, 0, 0
    ClientKeys.load(keys).secure(socket)
    socket.connect(address)
    return socket

if what == "subscriptions":
    socket = connected(zmq.XSUB, publish)
    for number in range(100_000):
        socket.send(b"\x01v1/s%031d" % number + b"x" * 30 + b"/masks/" + b"y" * 60)
elif what == "states":
    socket = connected(zmq.SUB, publish)
    for number in range(100):
        socket.subscribe(b"v1/")
        time.sleep(0.015)
        socket.unsubscribe(b"v1/")
        time.sleep(0.015)
elif what == "requests":
    socket = connected(zmq.DEALER, requests)
    for number in range(20_000):
        if number == 1000:
            print("at it", flush=True)
        prompt = NewPrompt(id="greedy", text="dog number %d" % number)
        socket.send_multipart(encode(AddPrompt(request_id="r%d" % number, stream="cam0", prompt=prompt)))
print("at it", flush=True)
sys.stdin.read()
"""


@dataclass
class _World:
    """A graph, and the keys of two of its clients."""

    graph: Graph
    greedy: Path
    honest: ClientKeys

    @property
    def counters(self) -> Counters:
        """Of the broker."""
        assert self.graph._broker is not None
        return self.graph._broker.counters

    @asynccontextmanager
    async def greedy_client(self, what: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """The greedy one at its work, until the end of the body."""
        arguments = (what, str(self.greedy), self.graph.publish_address, self.graph.requests_address)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _GREEDY, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            yield process
        finally:
            process.kill()
            await process.communicate()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[_World]:
    """A graph that runs in this process."""
    keys = tmp_path / "keys"
    make_keys(keys)
    greedy, honest = add_client(keys, "greedy"), ClientKeys.load(add_client(keys, "honest"))
    public = {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*", "keys": str(keys)}
    streams = {"cam0": {"source": "synthetic:1@64x48,5fps,100000frames", "prompts": ["a dog"], "live": True}}
    graph = graph_of(make_material(tmp_path), "fused", streams, public=public)
    async with running(graph) as run:
        yield _World(graph, greedy, honest)
        assert not run.done()


def _memory_mib() -> float:
    """What this process has in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


async def _at_it(process: asyncio.subprocess.Process) -> None:
    """Wait until it has done what it wanted."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        assert await process.stdout.readline() == b"at it\n"


async def _change_prompts(world: _World, count: int) -> None:
    """Changes of an honest client, none of which may be refused: the client does not repeat them."""
    async with AsyncPromptClient(world.graph.requests_address, timeout_s=PATIENCE_S, keys=world.honest) as client:
        for number in range(count):
            await client.add(f"cat number {number}", prompt_id="honest")


async def test_flood_of_requests_makes_only_its_sender_busy(world: _World) -> None:
    """20,000 changes of prompts by one client; every change of the other one is made."""
    async with world.greedy_client("requests") as process:
        await _at_it(process)
        await _change_prompts(world, 30)
    assert world.counters["requests_too_many"] > 0


async def test_many_subscriptions_take_no_memory(world: _World) -> None:
    """Of 100,000 subscriptions by one client the graph keeps a few; the other one is subscribed as ever."""
    before_mib = _memory_mib()
    async with world.greedy_client("subscriptions") as process:
        await _at_it(process)
        await until(lambda: world.counters["subscriptions_refused"] or _memory_mib() - before_mib > 100)
        async with UpdateSubscription(world.graph.publish_address, keys=world.honest) as updates:
            assert await updates.next_async(PATIENCE_S) is not None
        assert _memory_mib() - before_mib < 100


async def test_subscribing_in_a_loop_does_not_multiply_what_others_get(world: _World) -> None:
    """The state of prompts, which does not change, comes to others a few times; to a newcomer it comes at once."""
    told = 0
    with zmq.asyncio.Context() as context, context.socket(zmq.SUB) as others:
        world.honest.secure(others)
        others.subscribe(subscription("cam0", PROMPTS))
        others.connect(world.graph.publish_address)
        async with world.greedy_client("states") as process:
            at_it = asyncio.create_task(_at_it(process))
            while not at_it.done():
                if await others.poll(100):
                    await others.recv_multipart()
                    told += 1
            await at_it
            async with UpdateSubscription(world.graph.publish_address, "cam0", keys=world.honest) as newcomer:
                async with asyncio.timeout(PATIENCE_S):
                    while not isinstance((await anext(newcomer)).message, PromptState):
                        pass
    assert 0 < told < 40
