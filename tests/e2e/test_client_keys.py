"""A graph with keys: who has the right ones gets masks and answers, who has others or none gets nothing."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
import zmq
import zmq.asyncio
from zmq.utils.monitor import parse_monitor_message

from ssa_stream.client import AsyncPromptClient, MaskSubscription, UpdateSubscription
from ssa_stream.errors import ConfigError, TransportError
from ssa_stream.keys import ClientKeys, ServerKeys, add_client, make_keys
from ssa_stream.nodes.broker import Broker, BrokerAddresses
from ssa_stream.nodes.broker.sockets import bound_socket
from ssa_stream.nodes.gateway.graph_link import GraphLink
from ssa_stream.nodes.launcher.observer import Observer
from ssa_stream.nodes.pipeline import GATEWAY, PipelineConfig
from ssa_stream.nodes.runtime.clock import MonotonicClock
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.protocols import ListPrompts, PromptReply
from tests.support.mask_messages import mask_parts
from tests.support.scripted_nodes import HERE, PATIENCE_S, Graph, graph, pipeline
from tests.support.waiting import until

pytestmark = pytest.mark.e2e

BRIEFLY_S = 0.3
"""How long is waited for what must not come; what may come is awaited with patience."""


def _guarded(keys_folder: Path) -> PipelineConfig:
    config = pipeline()
    public = {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*", "keys": str(keys_folder)}
    return PipelineConfig.from_mapping(config.to_mapping() | {"public": public})


def _others(keys_folder: Path, tmp_path: Path) -> Iterator[ClientKeys | None]:
    """Keys of somebody who knows the graph's public one, of somebody who does not, and none."""
    right = ClientKeys.load(keys_folder / "clients/robot")
    yield ClientKeys.make(right.server)
    make_keys(tmp_path / "another")
    yield ClientKeys.load(add_client(tmp_path / "another", "robot"))
    yield None


@contextlib.asynccontextmanager
async def _publishing(running: Graph) -> AsyncIterator[None]:
    """Masks all the time."""
    masks = running.masks()

    async def publish() -> None:
        for seq in itertools.count():
            await masks.send(mask_parts(seq))
            await asyncio.sleep(0.01)

    task = asyncio.create_task(publish())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _refused(running: Graph, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while running.broker.counters["clients_refused"] < count:  # noqa: ASYNC110  the broker counts, and tells nobody
            await asyncio.sleep(0.01)


async def test_subscriber_with_the_right_keys_gets_masks(keys_folder: Path) -> None:
    """Given by their folder."""
    async with graph(_guarded(keys_folder)) as running, _publishing(running):
        async with MaskSubscription(
            running.broker.publish_address, "cam0", keys=keys_folder / "clients/robot"
        ) as subscribed:
            view = await subscribed.next_async(PATIENCE_S)
        assert view is not None
        assert running.broker.counters["clients_admitted"] >= 1


async def test_subscribers_with_other_keys_or_none_get_nothing_and_disturb_nobody(
    keys_folder: Path, tmp_path: Path
) -> None:
    """While they try again and again, a subscriber with the right keys gets all it wants."""
    async with graph(_guarded(keys_folder)) as running, _publishing(running):
        address = running.broker.publish_address
        async with contextlib.AsyncExitStack() as stack:
            right = await stack.enter_async_context(MaskSubscription(address, keys=keys_folder / "clients/robot"))
            wrong = [
                await stack.enter_async_context(MaskSubscription(address, keys=keys))
                for keys in _others(keys_folder, tmp_path)
            ]
            await _refused(running, 1)  # the one who knows the graph's key: the others do not get so far
            for _ in range(20):
                assert await right.next_async(PATIENCE_S) is not None
            assert [await one.next_async(BRIEFLY_S) for one in wrong] == [None, None, None]
            assert [one.counts.received for one in wrong] == [0, 0, 0]
            assert not any(one.is_connected for one in wrong)


@pytest.mark.parametrize(
    ("is_guarded", "has_keys", "why"),
    [
        (True, True, r"refuses this client.*keys are not allowed there \(ssa-stream keys list\)"),
        (True, False, r"refuses this client.*it takes in known clients only.*ssa-stream keys add"),
        (False, True, r"refuses this client.*or that graph has none"),
    ],
    ids=["other keys", "no keys", "keys that nobody asked for"],
)
async def test_subscriber_that_is_refused_is_told_why(
    keys_folder: Path, is_guarded: bool, has_keys: bool, why: str
) -> None:
    """Instead of waiting for masks that never come."""
    keys = ClientKeys.make(ClientKeys.load(keys_folder / "clients/robot").server) if has_keys else None
    async with graph(_guarded(keys_folder) if is_guarded else None) as running:
        async with UpdateSubscription(running.broker.publish_address, timeout_s=BRIEFLY_S, keys=keys) as subscribed:
            await until(lambda: subscribed._receiver.is_refused)
            with pytest.raises(TransportError, match=why):
                await anext(subscribed)


async def test_client_that_is_added_gets_in_and_one_that_is_removed_does_not(keys_folder: Path) -> None:
    """Without a restart of the graph."""
    async with graph(_guarded(keys_folder)) as running, _publishing(running):
        address, late = running.broker.publish_address, add_client(keys_folder, "late")
        async with MaskSubscription(address, keys=late) as subscribed:
            assert await subscribed.next_async(PATIENCE_S) is not None
        (keys_folder / "allowed/late.key").unlink()
        async with MaskSubscription(address, keys=late) as subscribed:
            await _refused(running, 1)
            assert await subscribed.next_async(BRIEFLY_S) is None


async def test_requests_are_answered_for_allowed_clients_only(keys_folder: Path, tmp_path: Path) -> None:
    """Requests of others do not come to the stream's node."""
    async with graph(_guarded(keys_folder)) as running:
        node, address = await running.greeted("ingest-cam0"), running.broker.requests_address
        for keys in _others(keys_folder, tmp_path):
            async with AsyncPromptClient(address, timeout_s=BRIEFLY_S, keys=keys) as client:
                with pytest.raises(TransportError, match="give those of a client that it allows"):
                    await client.list()
        assert running.broker.counters["requests"] == 0
        async with AsyncPromptClient(address, timeout_s=PATIENCE_S, keys=keys_folder / "clients/robot") as client:
            listing = asyncio.create_task(client.list())
            asked = await node.hear(ListPrompts)
            await node.say(
                PromptReply(request_id=asked.request_id, stream="cam0", prompts=(), version=3, applies_from=HERE)
            )
            assert (await listing).version == 3


async def test_nobody_gets_in_while_nobody_checks(keys_folder: Path) -> None:
    """Not even who knows the graph's key: a guarded socket without a gate takes in nobody."""
    events = zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
    with zmq.asyncio.Context() as context:
        options = {zmq.LINGER: 0}
        socket, address = bound_socket(context, zmq.XPUB, "tcp://127.0.0.1:*", options, ServerKeys.load(keys_folder))
        monitor = socket.get_monitor_socket(events)
        try:
            async with MaskSubscription(address, keys=keys_folder / "clients/robot"):
                assert await monitor.poll(PATIENCE_S * 1000)
                event = parse_monitor_message(await monitor.recv_multipart())["event"]
                assert event == zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
        finally:
            socket.disable_monitor()
            monitor.close()
            socket.close()


async def test_launcher_watches_its_own_graph_with_keys_of_its_own(keys_folder: Path) -> None:
    """They lie in no file."""
    async with graph(_guarded(keys_folder)) as running, _publishing(running):
        broker = running.broker
        observer = Observer(running.context, broker.publish_address, ["cam0"], MonotonicClock(), broker.own_keys)
        task = asyncio.create_task(observer.run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not observer.state.masks.frames:  # noqa: ASYNC110  it only reads
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()
            await asyncio.wait([task])
            observer.close()


async def test_gateway_connects_with_the_keys_that_it_is_given(keys_folder: Path) -> None:
    """It is a client like others, in a process that the launcher starts."""
    async with graph(_guarded(keys_folder)) as running, _publishing(running):
        broker, came = running.broker, asyncio.Event()
        link = GraphLink(
            broker.publish_address,
            broker.requests_address,
            ["cam0"],
            lambda message, buffers: came.set(),
            NodeMetrics(GATEWAY, "gateway"),
            broker.own_keys,
        )
        task = asyncio.create_task(link.run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await came.wait()
        finally:
            task.cancel()
            await asyncio.wait([task])
            link.close()


async def test_graph_whose_keys_are_missing_does_not_start(tmp_path: Path) -> None:
    """Rather than without them."""
    addresses = BrokerAddresses("inproc://control", "inproc://publish")
    with zmq.asyncio.Context() as context, pytest.raises(ConfigError, match="is not the folder of a graph"):
        Broker(_guarded(tmp_path), context, addresses, MonotonicClock())


async def test_addresses_of_all_interfaces_are_bound_with_keys(keys_folder: Path) -> None:
    """And are reachable over loopback, too."""
    config = _guarded(keys_folder)
    public = msgspec.structs.replace(config.public, publish="tcp://*:*", requests="tcp://[::1]:*")
    async with graph(msgspec.structs.replace(config, public=public)) as running, _publishing(running):
        address = running.broker.publish_address.replace("0.0.0.0", "127.0.0.1")
        async with MaskSubscription(address, keys=keys_folder / "clients/robot") as subscribed:
            assert await subscribed.next_async(PATIENCE_S) is not None
        node = await running.greeted("ingest-cam0")
        requests, keys = running.broker.requests_address, keys_folder / "clients/robot"
        async with AsyncPromptClient(requests, timeout_s=PATIENCE_S, keys=keys) as client:
            listing = asyncio.create_task(client.list())
            asked = await node.hear(ListPrompts)
            await node.say(
                PromptReply(request_id=asked.request_id, stream="cam0", prompts=(), version=1, applies_from=HERE)
            )
            assert (await listing).version == 1
