"""What the broker does with masks, of scripted nodes and for real subscribers."""

import asyncio
import itertools
from typing import Any

import msgspec
import pytest
import zmq

from ssa_stream.protocols import (
    Finished,
    Limits,
    ListPrompts,
    MaskMessage,
    SourceState,
    decode,
    encode,
)
from tests.support.mask_messages import mask_parts
from tests.support.scripted_nodes import PATIENCE_S, graph, source_state, state_seen
from tests.support.waiting import until

pytestmark = pytest.mark.e2e

_HEADER = bytes(encode(ListPrompts(request_id="r1", stream="cam0"))[1])
FINISHED = Finished(node="masks-0", incarnation=0, stream="cam0", epoch=0, seq=7)


def _masks(number: int, **fields: Any) -> list[bytes]:
    return [bytes(part) for part in mask_parts(number, **fields)]


def _index(parts: list[bytes]) -> int:
    message = decode(parts, Limits()).message
    assert isinstance(message, MaskMessage)
    return message.frame.index


async def test_masks_reach_a_subscriber_as_they_were_sent() -> None:
    """No part is changed on the way."""
    async with graph() as running:
        subscriber = running.subscriber(b"v1/cam0/masks/")
        masks, sent = running.masks(), [_masks(0)]
        async with asyncio.timeout(PATIENCE_S):
            while not await subscriber.socket.poll(50):
                await masks.send(sent[-1])
                sent.append(_masks(len(sent)))
        parts = await subscriber.socket.recv_multipart()
        assert parts == sent[_index(parts)]


async def test_masks_are_published_once() -> None:
    """As those are that a restarted node made again; they come in a later epoch."""
    async with graph() as running:
        subscriber, masks = running.subscriber(b"v1/cam0/masks/"), running.masks()
        number = 0
        async with asyncio.timeout(PATIENCE_S):
            while not await subscriber.socket.poll(50):
                number += 1
                await masks.send(_masks(number))
        await masks.send(_masks(number, epoch=1))
        await masks.send(_masks(number, epoch=1, prompt="p2"))
        await masks.send(_masks(number + 1, epoch=1))
        await until(lambda: running.broker.counters["masks_published"] == number + 2)
        assert running.broker.counters["masks_repeated"] == 1
        topics: list[bytes] = []
        async with asyncio.timeout(PATIENCE_S):
            while topics[-2:] != [b"v1/cam0/masks/p2", b"v1/cam0/masks/p1"]:
                topics.append((await subscriber.socket.recv_multipart())[0])


@pytest.mark.parametrize(
    "parts",
    [
        [b"v1/cam0/masks/p1"],
        [b"v1/cam0/masks/p1", b"\xc1 no header"],
        [b"garbage", b"header"],
        [bytes(part) for part in mask_parts(stream="cam9")],
        [b"v1/cam0/masks/p2", *map(bytes, mask_parts(prompt="p1")[1:])],
        [b"v1/cam0/state", b"header"],
        [b"v1/cam0/masks/p1", *[b""] * 300],
        [b"", b"header"],
        [b"", _HEADER],
        [bytes(part) for part in encode(msgspec.structs.replace(FINISHED, stream="cam9"))],
    ],
    ids=[
        "no header",
        "bad header",
        "no topic",
        "other stream",
        "other prompt",
        "no masks",
        "too many parts",
        "garbage",
        "not for ingest",
        "finished in other stream",
    ],
)
async def test_masks_that_are_none_are_counted_and_not_published(parts: list[bytes]) -> None:
    """The next good message passes."""
    async with graph() as running:
        await running.masks().send(parts)
        await until(lambda: running.broker.counters["masks_refused"] == 1)
        subscriber = running.subscriber()
        masks = running.masks()
        async with asyncio.timeout(PATIENCE_S):
            for number in itertools.count():
                await masks.send(_masks(number))
                if await subscriber.socket.poll(50) and (await subscriber.socket.recv_multipart())[0].endswith(b"p1"):
                    break
        assert running.broker.counters["masks_refused"] == 1


async def test_finished_reaches_ingest_after_the_masks_before_it_are_published() -> None:
    """And no subscriber."""
    async with graph() as running:
        node, subscriber, masks = await running.greeted("ingest-cam0"), running.subscriber(b""), running.masks()
        for number in range(20):
            await masks.send(_masks(number, prompt="p1"))
            await masks.send(_masks(number, prompt="p2"))
            await masks.say(msgspec.structs.replace(FINISHED, seq=number))
            assert (await node.hear(Finished)).seq == number
            assert running.broker.counters["masks_published"] == 2 * (number + 1)
        topics = [b""]
        async with asyncio.timeout(PATIENCE_S):
            while topics[-1] != b"v1/cam0/masks/last":
                number += 1
                await masks.send(_masks(number, prompt="last"))
                if await subscriber.socket.poll(50):
                    topics.append((await subscriber.socket.recv_multipart())[0])
        assert all(topic.startswith(b"v1/") for topic in topics[1:])


async def test_finished_of_a_stream_whose_node_is_not_there_is_counted() -> None:
    """It is cumulative, and a restarted node sends again what it was not told of."""
    async with graph() as running:
        await running.masks().say(FINISHED)
        await until(lambda: running.broker.counters["finished_not_passed_on"] == 1)
        assert running.broker.counters["masks_refused"] == 0


async def test_states_told_to_a_late_subscriber_reach_the_others_again_but_masks_nobody_twice() -> None:
    """What libzmq can do without drafts. What is repeated is state only."""
    async with graph() as running:
        node, early = await running.greeted("ingest-cam0"), running.subscriber(b"v1/cam0/")
        await state_seen(early, node, source_state())
        late = running.subscriber(b"v1/cam0/")
        await late.hear(SourceState)
        await early.hear(SourceState)
        masks = running.masks()
        for number in range(20):
            await masks.send(_masks(number, prompt=f"p{number}"))
        for subscriber in (early, late):
            topics = [str((await subscriber.packet()).topic) for _ in range(20)]
            assert topics == [f"v1/cam0/masks/p{number}" for number in range(20)]


async def test_masks_that_have_come_are_published_before_the_broker_ends() -> None:
    """Subscribers to a file want its last frame."""
    context = zmq.Context()
    late = context.socket(zmq.SUB)
    late.rcvtimeo = round(PATIENCE_S * 1000)
    last = 0
    try:
        async with graph() as running:
            late.connect(running.broker.publish_address)
            late.subscribe(b"v1/cam0/masks/")
            masks = running.masks()
            async with asyncio.timeout(PATIENCE_S):
                while not late.poll(0):
                    last += 1
                    await masks.send(_masks(last))
                    await asyncio.sleep(0.01)
            for _ in range(50):
                last += 1
                await masks.send(_masks(last))
        while _index(late.recv_multipart()) != last:
            pass
    finally:
        context.destroy(linger=0)
