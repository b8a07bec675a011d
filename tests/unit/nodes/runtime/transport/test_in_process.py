"""Links within a process: tensors by reference, headers as on any other link."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
import torch
import zmq
import zmq.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from ssa_stream.errors import MessageError, SessionStateError, TransportError
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.transport.in_process import InProcessStore, InProcessTransport
from ssa_stream.nodes.runtime.transport.interface import Inlet
from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage
from ssa_stream.protocols import Finished, PictureMessage, encode
from tests.support.frame_messages import frame, mask_features, picture

DEADLINE_S = 20.0
FINISHED = Finished(node="masks-0", incarnation=0, stream="cam0", epoch=0, seq=7)


@pytest.fixture
async def transport() -> AsyncIterator[InProcessTransport]:
    """Of one graph; takes its context down, which blocks should a socket be left."""
    context = zmq.asyncio.Context()
    transport = InProcessTransport(context, "graph")
    yield transport
    transport.close()
    transport.close()
    context.term()


async def test_tensors_come_as_they_are(transport: InProcessTransport) -> None:
    """Nothing is copied, gaps and order included."""
    inlet, outlet = transport.inlet("b"), transport.outlet(["b"])
    sent = [torch.rand(3, 4, 5), torch.rand(4, 5, 3, dtype=torch.float16).movedim(-1, -3)]
    message, payload = mask_features(sent)
    assert await outlet.send(message, payload)
    received = await inlet.receive(DEADLINE_S)
    assert received is not None
    assert received.message == message
    tensors = [received.tensor(spec) for spec in message.mask_features]
    assert [item.data_ptr() for item in tensors] == [item.data_ptr() for item in sent]
    assert [item.stride() for item in tensors] == [item.stride() for item in sent]
    assert np.array_equal(received.array(message.mask_features[0]), sent[0].numpy())
    assert received.is_valid()
    received.release()
    received.release()
    assert torch.equal(tensors[0], sent[0])
    with pytest.raises(SessionStateError, match=r"take it before release\(\)"):
        received.tensor(message.mask_features[0])


async def test_array_comes_read_only_and_as_tensor(transport: InProcessTransport) -> None:
    """A source's picture is not written to by mistake; one that is read-only draws no warning."""
    inlet, outlet = transport.inlet("b"), transport.outlet(["b"])
    for writeable in (True, False):
        image = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
        image.flags.writeable = writeable
        message, payload = picture(image)
        assert await outlet.send(message, payload)
        with await _next(inlet) as received:
            array = received.array(message.image)
            assert np.shares_memory(array, image)
            assert not array.flags.writeable
            assert torch.equal(received.tensor(message.image), torch.from_numpy(image.copy()))
        assert image.flags.writeable == writeable


async def test_bfloat16_as_array_is_its_bits(transport: InProcessTransport) -> None:
    """Numpy has no such type."""
    inlet, outlet = transport.inlet("b"), transport.outlet(["b"])
    tensor = torch.tensor([[[1.0, -2.0]]], dtype=torch.bfloat16)
    message, payload = mask_features([tensor])
    assert await outlet.send(message, payload)
    with await _next(inlet) as received:
        assert received.array(message.mask_features[0]).tolist() == [[[0x3F80, 0xC000]]]


async def test_message_without_tensors_passes(transport: InProcessTransport) -> None:
    """With or without an empty payload."""
    inlet, outlet = transport.inlet("b"), transport.outlet(["b"])
    for payload in (None, OutgoingPayload()):
        assert await outlet.send(FINISHED, payload)
        with await _next(inlet) as received:
            assert received.message == FINISHED


async def test_messages_of_concurrent_senders_keep_each_ones_order(transport: InProcessTransport) -> None:
    """Also while the receiver is slow and the link is full."""
    inlet, outlet = transport.inlet("b"), transport.outlet(["b"])

    async def send() -> None:
        for seq in range(400):
            assert await outlet.send(Finished(node="n", incarnation=0, stream="cam0", epoch=0, seq=seq))

    async with asyncio.TaskGroup() as group:
        group.create_task(send())
        messages = [(await _next(inlet)).message for _ in range(400)]
    assert [message.seq for message in messages if isinstance(message, Finished)] == list(range(400))


async def test_send_to_nobody_gives_up_and_keeps_nothing(transport: InProcessTransport) -> None:
    """A full link is told to the sender, and its tensors are let go."""
    transport.inlet("b")
    outlet = transport.outlet(["b"])
    message, payload = picture(np.zeros((4, 6, 3), np.uint8))
    sent = 0
    while await outlet.send(message, payload, timeout_s=0.02):
        sent += 1
    assert sent >= 64
    assert len(transport._store) == sent
    transport.close()
    assert len(transport._store) == 0


async def test_outlet_made_before_its_inlet_finds_it(transport: InProcessTransport) -> None:
    """Nodes of one process start in any order."""
    outlet = transport.outlet(["encoder-0", "encoder-1"])
    inlet = transport.inlet("encoder-1")
    for _ in range(6):
        assert await outlet.send(FINISHED)
    other = transport.inlet("encoder-0")
    async with asyncio.timeout(DEADLINE_S):
        received = 0
        while received < 6:
            received += await inlet.receive(0.01) is not None
            received += await other.receive(0.01) is not None


async def test_work_is_shared_among_receivers(transport: InProcessTransport) -> None:
    """Each message goes to one of them."""
    inlets = [transport.inlet(name) for name in ("encoder-0", "encoder-1")]
    outlet = transport.outlet(["encoder-0", "encoder-1"])
    for _ in range(6):
        assert await outlet.send(FINISHED)
    for inlet in inlets:
        assert [await inlet.receive(DEADLINE_S) is not None for _ in range(3)] == [True] * 3
        assert await inlet.receive(0) is None


async def test_receive_times_out_and_cancelled_loses_nothing(transport: InProcessTransport) -> None:
    """Waits are for the socket, never for the message."""
    inlet, outlet = transport.inlet("b"), transport.outlet(["b"])
    assert await inlet.receive(0.01) is None
    received = 0
    for seq in range(200):
        waiting = asyncio.create_task(inlet.receive(DEADLINE_S))
        await asyncio.sleep(0)
        assert await outlet.send(FINISHED)
        if seq % 2:
            await asyncio.sleep(0)
        waiting.cancel()
        (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
        received += isinstance(outcome, ReceivedMessage)
    while await inlet.receive(0.05) is not None:
        received += 1
    assert received == 200


async def test_address_in_use_is_said(transport: InProcessTransport) -> None:
    """Two nodes of one name."""
    transport.inlet("b")
    with pytest.raises(TransportError, match="cannot listen at inproc://graph-b"):
        transport.inlet("b")


async def test_wrong_payload_is_refused_before_it_is_sent(transport: InProcessTransport) -> None:
    """The mistake is the sender's."""
    outlet = transport.outlet(["b"])
    message, _ = picture(np.zeros((4, 6, 3), np.uint8))
    for payload in (None, OutgoingPayload()):
        with pytest.raises(MessageError):
            await outlet.send(message, payload)


@settings(max_examples=40, deadline=None)
@given(garbage=st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=5), max_size=5))
def test_garbage_is_counted_and_passed_over(garbage: list[list[bytes]]) -> None:
    """What comes after it is received."""
    sent: list[list[bytes]] = [*garbage, [b"", bytes(encode(FINISHED)[1]), b""]]

    async def run() -> None:
        context = zmq.asyncio.Context()
        transport, metrics = InProcessTransport(context, "graph"), NodeMetrics("b", "encoder")
        inlet = transport.inlet("b", metrics=metrics)
        with context.socket(zmq.PUSH) as socket:
            socket.linger = 0
            socket.connect(transport.link_address("b"))
            for parts in sent:
                await socket.send_multipart(parts)
            received = await inlet.receive(DEADLINE_S)
        assert received is not None
        assert received.message == FINISHED
        counted = {item.name: item.value for item in metrics.statistics().counters}
        assert counted.get("decode_error", 0) == len(garbage)
        transport.close()
        context.term()

    asyncio.run(run())


async def test_mask_outlet_drops_what_nobody_takes(
    transport: InProcessTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker's absence does not hold the masks up for long."""
    monkeypatch.setattr("ssa_stream.nodes.runtime.transport.links._PUBLISH_TIMEOUT_S", 0.02)
    outlet = transport.mask_outlet()
    with transport.context.socket(zmq.PULL) as broker:
        broker.linger = 0
        broker.rcvhwm = 1
        broker.bind(transport.publish_address)
        assert await outlet.publish([b"v1/cam0/masks/p1", b"header"])
        while not outlet.dropped:
            await outlet.publish([b"v1/cam0/masks/p1", b"header"])
        assert await broker.recv_multipart() == [b"v1/cam0/masks/p1", b"header"]


def test_store_hands_over_once() -> None:
    """A token that came twice, or none of ours, is a broken message."""
    store = InProcessStore()
    token = store.put((np.zeros(1),))
    assert len(store.take(token)) == 1
    for unknown in (token, b"", b"x" * 100):
        with pytest.raises(MessageError, match="stands for no tensors"):
            store.take(unknown)


async def _next(inlet: Inlet) -> ReceivedMessage:
    received = await inlet.receive(DEADLINE_S)
    assert received is not None
    return received


async def test_frames_of_any_size_pass(transport: InProcessTransport) -> None:
    """Sizes that codecs refuse on the wire do not matter here: nothing is serialised."""
    inlet, outlet = transport.inlet("b"), transport.outlet(["b"])
    message, payload = picture(np.zeros((2160, 3840, 3), np.uint8), frame(3))
    assert await outlet.send(message, payload)
    with await _next(inlet) as received:
        assert isinstance(received.message, PictureMessage)
        assert received.tensor(message.image).shape == (2160, 3840, 3)
