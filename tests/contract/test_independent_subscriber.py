"""The protocol's description is enough: a program that knows nothing of this package reads the masks."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lz4.block
import numpy as np
import pytest
import zmq
from numpy.typing import NDArray

from ssa_stream.protocols import (
    Limits,
    MaskMessage,
    decode,
    subscription,
    unpack_labels,
)
from tests.contract.independent_subscriber import unpack_lz4
from tests.support.mask_messages import mask_parts

SCRIPT = Path(__file__).with_name("independent_subscriber.py")
SIZE = (90, 160)
DEADLINE_S = 30


@pytest.fixture
def publisher() -> Iterator[zmq.Socket[bytes]]:
    """An XPUB socket, which tells when somebody has subscribed."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.linger = 0
        socket.bind("tcp://127.0.0.1:0")
        yield socket


def _discs(shift: int) -> list[NDArray[np.bool_]]:
    """Three discs, of which two overlap."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return [(rows - 45) ** 2 + (columns - x) ** 2 < r * r for x, r in ((30 + shift, 20), (60, 25), (130, 15))]


def test_program_without_this_package_reads_masks(publisher: zmq.Socket[bytes]) -> None:
    """Tracks, areas and an empty frame, over a real socket; a prompt whose name begins alike is told apart."""
    frames = [_discs(0), _discs(7), []]
    address = publisher.getsockopt_string(zmq.LAST_ENDPOINT)
    command = [sys.executable, str(SCRIPT), address, "v1/cam0/masks/p1", str(len(frames))]
    reader = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=SCRIPT.parent)
    try:
        assert publisher.poll(1000 * DEADLINE_S), "the subscriber did not connect"
        assert publisher.recv() == b"\x01v1/cam0/masks/p1"
        for seq, masks in enumerate(frames):
            for prompt_id in ("p10", "p1"):
                publisher.send_multipart(mask_parts(seq, masks, size=SIZE, prompt=prompt_id), copy=False)
        output, _ = reader.communicate(timeout=DEADLINE_S)
    finally:
        reader.kill()
        reader.wait()
    assert [json.loads(line) for line in output.splitlines()] == [
        {
            "seq": seq,
            "text": "the sentence p1",
            "areas": {str(i): int(mask.sum()) for i, mask in enumerate(masks, start=1)},
        }
        for seq, masks in enumerate(frames)
    ]


def test_zmq_frames_are_read_where_they_lie(publisher: zmq.Socket[bytes]) -> None:
    """What libzmq received is what the message's buffers show; no copy between."""
    with publisher.context.socket(zmq.SUB) as subscriber:
        subscriber.linger = 0
        subscriber.connect(publisher.getsockopt_string(zmq.LAST_ENDPOINT))
        subscriber.subscribe(subscription("cam0"))
        assert publisher.poll(1000 * DEADLINE_S)
        publisher.recv()
        sent = mask_parts(7, _discs(0))
        publisher.send_multipart(sent, copy=False)
        assert subscriber.poll(1000 * DEADLINE_S)
        frames = subscriber.recv_multipart(copy=False)
        packet = decode(frames, Limits())
    assert isinstance(packet.message, MaskMessage)
    for frame, buffer in zip(frames[2:], packet.buffers, strict=True):
        assert np.shares_memory(np.frombuffer(frame.buffer, dtype=np.uint8), np.frombuffer(buffer, dtype=np.uint8))
    labels = unpack_labels(packet.message, packet.buffers)
    for track, mask in zip(packet.message.tracks, _discs(0), strict=True):
        assert np.array_equal(labels.mask(track), mask)


def test_program_imports_nothing_of_this_package() -> None:
    """pyzmq, msgpack and the standard library."""
    nodes = ast.walk(ast.parse(SCRIPT.read_text(encoding="utf-8")))
    imported = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    assert imported == {"json", "msgpack", "sys", "zmq"}
    assert "import_module" not in SCRIPT.read_text(encoding="utf-8")


def test_its_lz4_is_lz4() -> None:
    """Also where copies are long, close by, or far away."""
    seed = np.random.default_rng(0)
    pictures = [np.zeros(70_000), seed.integers(0, 2, 3000), seed.integers(0, 256, 3000), np.arange(70_000) // 300]
    for picture in pictures:
        raw = picture.astype(np.uint8).tobytes()
        assert unpack_lz4(lz4.block.compress(raw, store_size=False)) == raw
