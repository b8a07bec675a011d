"""The broker with scripted nodes, clients and subscribers."""

import asyncio
from typing import Literal

import pytest
import zmq

from ssa_stream.protocols import (
    VERSION,
    Accepted,
    AddPrompt,
    ErrorReply,
    Event,
    Heartbeat,
    Hello,
    ListPrompts,
    NewPrompt,
    Prompt,
    PromptReply,
    PromptState,
    Recover,
    SetPrompts,
    SourceRequest,
    SourceState,
    StartStream,
    Welcome,
    encode,
)
from tests.support.scripted_nodes import (
    HERE,
    PATIENCE_S,
    STICK,
    Graph,
    Peer,
    graph,
    heartbeat,
    pipeline,
    source_state,
    state_seen,
)
from tests.support.waiting import until

pytestmark = pytest.mark.e2e

_HEADER = bytes(encode(ListPrompts(request_id="r1", stream="cam0"))[1])


# Nodes.


async def test_ingest_after_hello_is_told_where_its_stream_begins() -> None:
    """With the prompts of the pipeline."""
    async with graph(pipeline(cam0={"prompts": ["the stick", "the  dog"]})) as running:
        node = await running.greeted("ingest-cam0")
        assert await node.hear(StartStream) == StartStream(
            stream="cam0",
            epoch=0,
            next_index=0,
            memory=0,
            prompts=(
                Prompt(id="p1", text="the stick", version=1),
                Prompt(id="p2", text="the dog", version=1),
            ),
            version=1,
            next_prompt_number=3,
            frames_done=0,
        )


async def test_restarted_ingest_goes_on_after_what_it_said_last() -> None:
    """Unfinished frames of a file come again under their numbers; prompts are those of the last change."""
    async with graph() as running:
        first, watcher = await running.greeted("ingest-cam0"), running.subscriber(b"v1/cam0/")
        await state_seen(
            watcher,
            first,
            source_state(epoch=2, memory=1, next_index=9, frames_done=7, next_prompt_number=5),
        )
        await state_seen(watcher, first, PromptState(stream="cam0", prompts=STICK, version=2, applies_from=HERE))
        await running.broker.node_lost("ingest-cam0", 1, "exited", "killed")
        second = await running.greeted("ingest-cam0", incarnation=2)
        assert await second.hear(StartStream) == StartStream(
            stream="cam0",
            epoch=3,
            next_index=9,
            memory=1,
            prompts=STICK,
            version=2,
            next_prompt_number=5,
            frames_done=7,
        )


async def test_hello_said_again_is_welcomed_and_starts_nothing() -> None:
    """A node whose first hello got lost asks again."""
    async with graph() as running:
        node = await running.greeted("ingest-cam0")
        await node.hear(StartStream)
        await node.say(Hello(request_id="h2", node="ingest-cam0", role="ingest", incarnation=1))
        assert (await node.hear(Welcome)).request_id == "h2"
        await node.hear(Heartbeat)
        assert await node.silent() or not isinstance((await node.packet()).message, StartStream)


@pytest.mark.parametrize(
    ("hello", "code", "reason"),
    [
        (Hello(request_id="h", node="encoder-7", role="encoder", incarnation=1), "invalid", "no node of this graph"),
        (Hello(request_id="h", node="encoder-0", role="masks", incarnation=1), "invalid", "no node of this graph"),
        (
            Hello(request_id="h", node="encoder-0", role="encoder", incarnation=1, versions=((9, 0),)),
            "version",
            "expected a common major",
        ),
        (Hello(request_id="h", node="masks-0", role="masks", incarnation=4), "invalid", "incarnation 5 is here"),
        (Hello(request_id="h", node="masks-0", role="masks", incarnation=5), "invalid", "end one of them"),
        (Hello(request_id="h", node="decoder-0", role="decoder", incarnation=3), "invalid", "was given up"),
    ],
    ids=["unknown", "wrong role", "version", "old", "twin", "given up"],
)
async def test_hello_that_does_not_fit_is_refused(hello: Hello, code: str, reason: str) -> None:
    """With words that say why; the node that is here is not disturbed."""
    async with graph() as running:
        there = await running.greeted("masks-0", incarnation=5)
        await running.broker.node_lost("decoder-0", 3, "exited")
        stranger = running.connect(zmq.DEALER, running.addresses.control, identity="somebody")
        await stranger.say(hello)
        refused = await stranger.hear(ErrorReply)
        assert (refused.code, refused.request_id) == (code, "h")
        assert reason in refused.text
        await there.hear(Heartbeat)
        assert running.broker.node_states()["masks-0"].incarnation == 5


async def test_heartbeats_go_both_ways_and_tell_when_a_node_is_ready() -> None:
    """Ready is told once for each start; heartbeats are published."""
    async with graph() as running:
        node, watcher = await running.greeted("encoder-0"), running.subscriber(b"v1/_nodes/state/encoder-0")
        assert not running.broker.node_states()["encoder-0"].ready
        await node.say(heartbeat("encoder-0", ready=False))
        await node.say(heartbeat("encoder-0", beat=1))
        await node.say(heartbeat("encoder-0", beat=2))
        await until(
            lambda: bool(running.broker.counters["nodes_misplaced"] or running.broker.node_states()["encoder-0"].ready)
        )
        await watcher.hear(Heartbeat)
        assert (await node.hear(Heartbeat)).node == "control"
        state = running.broker.node_states()["encoder-0"]
        assert (state.role, state.incarnation, state.silent_s < PATIENCE_S) == ("encoder", 1, True)
        await node.say(heartbeat("encoder-0", incarnation=0, beat=9))
        await until(lambda: running.broker.counters["nodes_misplaced"] == 1)
        assert running.ready == ["encoder-0"]


async def test_garbage_on_every_socket_is_counted_and_ends_nothing() -> None:
    """Bytes that are no message, messages of strangers, messages of the wrong node."""
    async with graph() as running:
        node = running.node("encoder-0")
        await node.send([b"", b"\xff\xff"])
        await node.send([b"one part"])
        await node.say(source_state())
        await until(
            lambda: running.broker.counters["nodes_malformed"] == 2 and running.broker.counters["nodes_strangers"] == 1
        )
        greeted = await running.greeted("encoder-0")
        await greeted.say(source_state())
        await greeted.say(ListPrompts(request_id="r", stream="cam0"))
        await greeted.say(Accepted(request_id="r99", stream="cam0"))
        await until(
            lambda: running.broker.counters["nodes_misplaced"] == 2 and running.broker.counters["answers_late"] == 1
        )
        publish = running.connect(zmq.XSUB, running.broker.publish_address)
        await publish.send([b"\x07 no subscription", b"more"])
        assert (await running.subscriber(b"v1/_nodes/state/control").hear(Heartbeat)).node == "control"


async def test_recover_begins_an_epoch_in_every_stream_and_is_told() -> None:
    """A restart that follows begins after the epoch that was asked for, told or not."""
    async with graph(pipeline(cam0={}, cam1={})) as running:
        nodes = {stream: await running.greeted(f"ingest-{stream}") for stream in ("cam0", "cam1")}
        watcher = running.subscriber(b"v1/")
        await state_seen(watcher, nodes["cam0"], source_state(epoch=4))
        await running.broker.recover("encoder-0", "hung", "no step for 20 s")
        for stream, node in nodes.items():
            recover = await node.hear(Recover)
            assert (recover.stream, recover.about_node, recover.reason) == (stream, "encoder-0", "hung")
        event = await watcher.hear(Event, topic="v1/_nodes/events")
        assert (event.kind, event.about_node) == ("node_restarted", "encoder-0")
        restarted = await running.greeted("ingest-cam0", incarnation=2)
        assert (await restarted.hear(StartStream)).epoch == 6


async def test_lost_ingest_is_told_to_subscribers_and_to_who_waits_for_it() -> None:
    """Its state says that it is starting, its requests are given up, late subscribers see it as not ready."""
    async with graph() as running:
        node, watcher, client = await running.greeted("ingest-cam0"), running.subscriber(b"v1/"), running.client()
        await state_seen(watcher, node, source_state(epoch=1))
        await client.say(ListPrompts(request_id="mine", stream="cam0"))
        await node.hear(ListPrompts)
        await running.broker.node_lost("ingest-cam0", 1, "exited", "signal 9")
        reply = await client.hear(ErrorReply)
        assert (reply.code, reply.request_id) == ("unavailable", "mine")
        assert "was lost" in reply.text
        assert (await watcher.hear(SourceState)).status == "starting"
        event = await watcher.hear(Event)
        assert (event.kind, event.stream, event.text) == ("node_lost", "cam0", "exited: signal 9")
        late = await running.subscriber(b"v1/_nodes/state/ingest-cam0").hear(Heartbeat)
        assert (late.ready, late.text) == (False, "lost: signal 9")


# Subscribers.


async def test_late_subscriber_gets_the_newest_states_at_once() -> None:
    """One of every type on every topic."""
    async with graph() as running:
        node, watcher = await running.greeted("ingest-cam0"), running.subscriber(b"v1/cam0/")
        await state_seen(watcher, node, source_state(epoch=1))
        await state_seen(watcher, node, source_state(epoch=3))
        await state_seen(watcher, node, PromptState(stream="cam0", prompts=STICK, version=2, applies_from=HERE))
        late = running.subscriber(b"v1/cam0/")
        assert (await late.hear(SourceState)).epoch == 3
        assert (await late.hear(PromptState)).prompts == STICK


# Clients.


async def _answering(running: Graph, client: Peer, request: SetPrompts | ListPrompts | AddPrompt) -> PromptReply:
    node = await running.greeted("ingest-cam0")
    await client.say(request)
    came = await node.hear(type(request))
    await node.say(PromptReply(request_id=came.request_id, stream="cam0", prompts=STICK, version=2, applies_from=HERE))
    return await client.hear(PromptReply)


@pytest.mark.parametrize(
    "request_",
    [
        SetPrompts(request_id="r1", stream="cam0", prompts=(NewPrompt(text="the stick"),)),
        AddPrompt(request_id="r1", stream="cam0", prompt=NewPrompt(text="the stick")),
        ListPrompts(request_id="r1", stream="cam0"),
    ],
    ids=["set", "add", "list"],
)
async def test_request_is_answered_by_the_node_of_its_stream(request_: SetPrompts | ListPrompts | AddPrompt) -> None:
    """The answer carries the client's own id."""
    async with graph() as running:
        reply = await _answering(running, running.client(), request_)
        assert reply == PromptReply(request_id="r1", stream="cam0", prompts=STICK, version=2, applies_from=HERE)


async def test_two_clients_with_one_request_id_get_their_own_answers() -> None:
    """Ids are the client's; the broker gives its own."""
    async with graph() as running:
        node = await running.greeted("ingest-cam0")
        clients = [running.client(), running.client()]
        actions: tuple[Literal["start", "stop"], ...] = ("start", "stop")
        for client, action in zip(clients, actions, strict=True):
            await client.say(SourceRequest(request_id="same", stream="cam0", action=action))
        for _ in clients:
            came = await node.hear(SourceRequest)
            await node.say(
                Accepted(request_id=came.request_id, stream="cam0", epoch=1 if came.action == "start" else 2)
            )
        answers = [await client.hear(Accepted) for client in clients]
        assert [(answer.request_id, answer.epoch) for answer in answers] == [("same", 1), ("same", 2)]


async def test_request_of_a_req_socket_is_answered() -> None:
    """Its envelope is the empty first part."""
    async with graph() as running:
        client = running.connect(zmq.REQ, running.broker.requests_address)
        await client.send([encode(ListPrompts(request_id="r1", stream="cam9"))[1]])
        async with asyncio.timeout(PATIENCE_S):
            (header,) = await client.socket.recv_multipart()
        assert b"unknown_stream" in header


@pytest.mark.parametrize(
    ("parts", "code", "request_id", "reason"),
    [
        ([b"", b"\xff"], "invalid", None, "cannot be read"),
        ([b""], "invalid", None, "parts"),
        (encode(ListPrompts(request_id="r1", stream="cam9")), "unknown_stream", "r1", "expected one of cam0"),
        (encode(ListPrompts(request_id="r1", stream="cam0")), "unavailable", "r1", "is not there"),
        (encode(Accepted(request_id="r1", stream="cam0")), "unknown_request", "r1", "accepted is not a request"),
        (
            [b"", _HEADER.replace(bytes([0x92, *VERSION]), b"\x92\x07\x00")],
            "version",
            "r1",
            "version 7.0",
        ),
        (
            [b"", _HEADER.replace(b"cam0", b"c/m0")],
            "invalid",
            "r1",
            "cannot be read",
        ),
        ([b"", b"\x91" * 100_000], "invalid", None, "nested"),
    ],
    ids=["garbage", "one part", "stream", "no node", "no request", "version", "field", "deep"],
)
async def test_request_that_cannot_be_carried_out_is_refused(
    parts: list[bytes], code: str, request_id: str | None, reason: str
) -> None:
    """With its id if that can be read, and words that say why."""
    async with graph() as running:
        client = running.client()
        await client.send(parts)
        reply = await client.hear(ErrorReply)
        assert (reply.code, reply.request_id) == (code, request_id)
        assert reason in reply.text


async def test_request_that_its_node_does_not_answer_ends_in_time() -> None:
    """And an answer that comes later reaches nobody."""
    async with graph(request_timeout_s=0.05) as running:
        node, client = await running.greeted("ingest-cam0"), running.client()
        await client.say(ListPrompts(request_id="r1", stream="cam0"))
        came = await node.hear(ListPrompts)
        reply = await client.hear(ErrorReply)
        assert (reply.code, reply.request_id) == ("unavailable", "r1")
        assert "did not answer in time" in reply.text
        await node.say(Accepted(request_id=came.request_id, stream="cam0"))
        await until(lambda: running.broker.counters["answers_late"] == 1)
        assert await client.silent()


async def test_more_requests_than_may_wait_are_refused_as_busy() -> None:
    """Of one connection; what waits keeps waiting, and another one is not refused."""
    async with graph() as running:
        node = await running.greeted("ingest-cam0")
        client, other = running.client(), running.client()
        for number in range(33):
            await client.say(ListPrompts(request_id=f"r{number}", stream="cam0"))
        reply = await client.hear(ErrorReply)
        assert (reply.code, reply.request_id) == ("busy", "r32")
        await other.say(ListPrompts(request_id="mine", stream="cam0"))
        for _ in range(33):
            asked = await node.hear(ListPrompts)
        await node.say(Accepted(request_id=asked.request_id, stream="cam0"))
        assert (await other.hear(Accepted)).request_id == "mine"


async def test_broker_ends_with_its_ports_free() -> None:
    """Another one can take the same addresses at once."""
    async with graph() as running:
        taken = (running.broker.publish_address, running.broker.requests_address)
    config = pipeline().to_mapping() | {"public": dict(zip(("publish", "requests"), taken, strict=True))}
    async with graph(type(running.config).from_mapping(config)) as again:
        assert (again.broker.publish_address, again.broker.requests_address) == taken
