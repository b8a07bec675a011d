"""Mask messages as a masks node makes them, and a publisher of them."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from ssa_stream.client import MaskView
from ssa_stream.nodes.runtime.clock import MonotonicClock
from ssa_stream.protocols import (
    NODES,
    STATE,
    Buffers,
    FrameIdentity,
    Limits,
    MaskMessage,
    Prompt,
    StageTime,
    Topic,
    Track,
    decode,
    encode,
    pack_labels,
)

__all__ = ["FakePublisher", "circle", "mask_message", "mask_parts", "mask_view", "publisher", "publishing"]

CLOCK = MonotonicClock()


def circle(size: tuple[int, int] = (36, 64), centre: tuple[int, int] = (18, 30), radius: int = 9) -> NDArray[np.bool_]:
    """A mask, `(H, W)` bool."""
    y, x = np.ogrid[: size[0], : size[1]]
    return np.asarray((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2)


def mask_message(
    masks: list[NDArray[np.bool_]],
    seq: int = 0,
    *,
    size: tuple[int, int] | None = None,
    prompt: str = "p1",
    stream: str = "cam0",
    epoch: int = 0,
    index: int | None = None,
    received_ns: int | None = None,
    clock: str | None = None,
    **fields: Any,
) -> tuple[MaskMessage, Buffers]:
    """A message with a track for each mask, and its buffers; received just now on this machine's clock by default."""
    buffers = Buffers()
    packed = pack_labels(masks, buffers)
    now_ns = CLOCK.monotonic_ns() if received_ns is None else received_ns
    name = clock or CLOCK.name
    tracks = tuple(
        Track(
            id=number,
            score=0.9,
            probability=0.95,
            box_xyxy=_box(mask),
            area_px=int(mask.sum()),
            layer=place.layer,
            label=place.label,
        )
        for number, (mask, place) in enumerate(zip(masks, packed.places, strict=True), start=1)
    )
    height, width = size or (masks[0].shape if masks else (36, 64))
    message = MaskMessage(
        frame=FrameIdentity(
            stream=stream,
            epoch=epoch,
            seq=seq,
            index=seq if index is None else index,
            t=seq / 30,
            t_receive_ns=now_ns,
            receive_clock=name,
        ),
        prompt=Prompt(id=prompt, text=f"the sentence {prompt}", version=1),
        model="ssa-tiny",
        source_size=fields.pop("source_size", (height, width)),
        size=(height, width),
        probability=0.95,
        target_present=bool(tracks),
        tracks=tracks,
        layers=packed.layers,
        times=(
            StageTime(role="ingest", node="i", clock=name, received_ns=now_ns, begin_ns=now_ns, end_ns=now_ns + 10**6),
        ),
        **fields,
    )
    return message, buffers


def mask_parts(seq: int = 0, masks: list[NDArray[np.bool_]] | None = None, **fields: Any) -> list[bytes | memoryview]:
    """The parts of such a message; of one track, a circle, unless told otherwise."""
    message, buffers = mask_message([circle()] if masks is None else masks, seq, **fields)
    return encode(message, buffers, topic=Topic(message.frame.stream, "masks", message.prompt.id))


def mask_view(parts: list[bytes | memoryview], **fields: Any) -> MaskView:
    """What a subscriber gets of a message that arrived just now, unless told otherwise."""
    packet = decode(parts, Limits())
    assert isinstance(packet.message, MaskMessage)
    return MaskView(packet.message, packet.buffers, **{"arrived_ns": CLOCK.monotonic_ns()} | fields)


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    if not mask.any():
        return 0, 0, 0, 0
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


class FakePublisher:
    """A socket that publishes what a test tells it to; waits for subscribers.

    Attributes:
        address: Where to subscribe.
    """

    def __init__(self, address: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.linger = 0
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._socket.rcvtimeo = 20_000
        self._socket.bind(address)
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def wait_for_subscriber(self) -> bytes:
        """The next subscription, but for those to states of nodes, which come beside others and in any order."""
        nodes = Topic(NODES, STATE, "control").encode()
        while True:
            told = self._socket.recv()
            if told[:1] == b"\x01" and told[1:] != nodes:
                return told[1:]

    def send(self, *messages: list[Any]) -> None:
        """Publish."""
        for parts in messages:
            self._socket.send_multipart(parts)

    def close(self) -> None:
        """Go away."""
        self._socket.close()
        self._context.term()


@contextmanager
def publisher(address: str = "tcp://127.0.0.1:*") -> Iterator[FakePublisher]:
    """A publisher until the block ends."""
    made = FakePublisher(address)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def publishing(make: Callable[[int], list[list[Any]]], pause_s: float = 0.005) -> Iterator[str]:
    """Publish for as long as the block runs: `make` gives the messages of each round. Gives the address."""
    stop = threading.Event()
    source = FakePublisher("tcp://127.0.0.1:*")

    def work() -> None:
        for number in itertools.count():
            if stop.wait(pause_s):
                return
            source.send(*make(number))

    thread = threading.Thread(target=work, name="publishing")
    thread.start()
    try:
        yield source.address
    finally:
        stop.set()
        thread.join()
        source.close()
