"""How old a picture's masks are when a robot that is too slow acts on them, beside a plain socket and imagezmq.

    python benchmarks/slow_subscriber.py            # half a minute

One publisher sends masks of three tracks at 1080p, 30 times a second. All readers run at the same time, each in a
process of its own, and take 100 ms for every frame, so that they can use one of three. The age of a frame is from when
it was made to when the reader gets it. A queue that never empties makes it grow; the slope says by how many seconds
a second. The plain socket gets the same messages and the defaults of libzmq; imagezmq gets the label map as a picture,
uncompressed, published (`REQ_REP=False`), which is its way of not blocking the sender.

imagezmq is in the dependency group `bench`: `uv sync --all-extras --group bench`, or `pip install --group bench` with
pip 25.1 or later. If it is not installed it is left out, and said. To have it in a folder apart:

    pip install --target FOLDER --no-deps imagezmq
    python benchmarks/slow_subscriber.py --site FOLDER
"""

import argparse
import importlib
import importlib.util
import itertools
import json
import multiprocessing
import os
import platform
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing.synchronize import Event
from typing import Any, NamedTuple

import numpy as np
import zmq
from numpy.typing import NDArray

from ssa_stream.client import MaskSubscription
from ssa_stream.protocols import (
    Buffers,
    FrameIdentity,
    Limits,
    MaskMessage,
    PackedLabels,
    Prompt,
    Topic,
    Track,
    decode,
    encode,
    host_clock_name,
    pack_labels,
    unpack_labels,
)

SIZE = (1080, 1920)
RATE_HZ, WORK_S = 30.0, 0.1
NUM_PICTURES = 8
OURS, PLAIN, IMAGEZMQ = "ssa_stream.client", "plain SUB socket", "imagezmq PUB/SUB"
CONNECT_S = 3.0
PATIENCE_S = 60.0
Send = Callable[[int, int], object]
"""Publishes a frame of that number, made at that time."""


class Handled(NamedTuple):
    """A frame that a reader got."""

    at_s: float
    age_s: float
    number: int


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to measure")
    parser.add_argument("--site", help="folder where imagezmq is installed")
    options = parser.parse_args()
    if options.site:
        sys.path.append(options.site)
    ways = [OURS, PLAIN]
    if importlib.util.find_spec("imagezmq") is None or importlib.util.find_spec("cv2") is None:
        print("imagezmq (with OpenCV) is not installed and left out; this program's docstring says how to get it")
    else:
        ways.append(IMAGEZMQ)
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}"
    )
    print(f"{RATE_HZ:g} messages a second for {options.seconds:g} s; readers take {WORK_S * 1e3:.0f} ms for each\n")
    for line in table(measure(ways, options.seconds, options.site)):
        print(line)


def measure(ways: list[str], seconds: float, site: str | None) -> dict[str, list[Handled]]:
    """Publish to all readers at once; what each of them got."""
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    stop = spawn.Event()
    with ExitStack() as opened:
        senders: list[Send] = []
        readers = []
        for way in ways:
            address, send = opened_sender(way, opened)
            senders.append(send)
            readers.append(spawn.Process(target=read, args=(way, address, site, stop, results), name=way))
        for reader in readers:
            reader.start()
        for number in paced(CONNECT_S + seconds):
            made_ns = time.monotonic_ns()
            for send in senders:
                send(number, made_ns)
        stop.set()
        found = dict(results.get(timeout=PATIENCE_S) for _ in readers)
        for reader in readers:
            reader.join()
    return {way: found[way] for way in ways}


def paced(seconds: float) -> Iterator[int]:
    """Numbers at the rate of the publisher."""
    begin_s = time.monotonic()
    for number in itertools.count():
        time.sleep(max(0.0, begin_s + number / RATE_HZ - time.monotonic()))
        if time.monotonic() > begin_s + seconds:
            return
        yield number


def opened_sender(way: str, opened: ExitStack) -> tuple[str, Send]:
    """A publisher's socket: where to subscribe, and how to send."""
    if way == IMAGEZMQ:
        imagezmq: Any = importlib.import_module("imagezmq")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        sender = imagezmq.ImageSender(connect_to=address, REQ_REP=False)
        opened.callback(sender.close)
        labels = [picture_of(number) for number in range(NUM_PICTURES)]
        return address, lambda number, made_ns: sender.send_image(
            json.dumps([number, made_ns]), labels[number % NUM_PICTURES]
        )
    context = zmq.Context()
    opened.callback(context.destroy, linger=0)
    published = context.socket(zmq.PUB)
    if way == OURS:
        published.sndhwm = 100  # as the broker has it
    published.bind("tcp://127.0.0.1:*")
    scenes = [scene(number) for number in range(NUM_PICTURES)]
    return published.getsockopt_string(zmq.LAST_ENDPOINT), lambda number, made_ns: published.send_multipart(
        message(number, made_ns, *scenes[number % NUM_PICTURES])
    )


def picture_of(number: int) -> NDArray[np.uint8]:
    """A label map of three discs with rough edges."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    rough = np.random.default_rng(number).normal(0, 4, SIZE)
    labels = np.zeros(SIZE, dtype=np.uint8)
    for label, (y, x) in enumerate(((300, 400), (500, 1000), (700, 1500)), start=1):
        labels[np.hypot(rows - y, columns - x - 5 * number) + rough < 150] = label
    return labels


def scene(number: int) -> tuple[PackedLabels, Buffers]:
    """The same as it is sent."""
    labels, buffers = picture_of(number), Buffers()
    return pack_labels([labels == label for label in (1, 2, 3)], buffers), buffers


def message(number: int, made_ns: int, packed: PackedLabels, buffers: Buffers) -> list[bytes | memoryview]:
    """The parts that a masks node makes."""
    tracks = tuple(
        Track(
            id=label,
            score=0.9,
            probability=0.9,
            box_xyxy=(0, 0, SIZE[1], SIZE[0]),
            area_px=70_000,
            layer=place.layer,
            label=place.label,
        )
        for label, place in enumerate(packed.places, start=1)
    )
    frame = FrameIdentity(
        stream="cam0",
        epoch=0,
        seq=number,
        index=number,
        t=number / RATE_HZ,
        t_receive_ns=made_ns,
        receive_clock=host_clock_name(),
    )
    made = MaskMessage(
        frame=frame,
        prompt=Prompt(id="p1", text="the discs", version=1),
        model="ssa-tiny",
        source_size=SIZE,
        size=SIZE,
        probability=0.9,
        target_present=True,
        tracks=tracks,
        layers=packed.layers,
    )
    return encode(made, buffers, topic=Topic("cam0", "masks", "p1"))


def read(way: str, address: str, site: str | None, stop: Event, results: Any) -> None:
    """A reader's process: get a frame, unpack its masks, work for a while, until the publisher is done."""
    if site:
        sys.path.append(site)
    handled: list[Handled] = []
    with ExitStack() as opened:
        receive = opened_reader(way, address, opened)
        while not stop.is_set():
            came = receive()
            if came is None:
                continue
            number, made_ns = came
            now_ns = time.monotonic_ns()
            handled.append(Handled(now_ns * 1e-9, (now_ns - made_ns) * 1e-9, number))
            time.sleep(WORK_S)
    results.put((way, handled))


def opened_reader(way: str, address: str, opened: ExitStack) -> Callable[[], tuple[int, int] | None]:
    """How to get the next frame: its number and when it was made; None if there is none for a moment."""
    if way == IMAGEZMQ:
        imagezmq: Any = importlib.import_module("imagezmq")
        broker = imagezmq.ImageHub(open_port=address, REQ_REP=False)
        opened.callback(broker.close)
        broker.zmq_socket.rcvtimeo = 1000

        def receive_picture() -> tuple[int, int] | None:
            try:
                text, picture = broker.recv_image()
            except zmq.Again:
                return None
            _ = picture == 1
            number, made_ns = json.loads(text)
            return number, made_ns

        return receive_picture
    if way == OURS:
        subscribed = opened.enter_context(MaskSubscription(address, "cam0"))

        def receive_view() -> tuple[int, int] | None:
            view = subscribed.next(1.0)
            if view is None:
                return None
            view.mask(view.tracks[0])
            return view.frame.seq, view.frame.t_receive_ns

        return receive_view
    context = zmq.Context()
    opened.callback(context.destroy, linger=0)
    plain = context.socket(zmq.SUB)
    plain.rcvtimeo = 1000
    plain.subscribe(b"v1/cam0/masks/p1")
    plain.connect(address)

    def receive_message() -> tuple[int, int] | None:
        try:
            packet = decode(plain.recv_multipart(copy=False), Limits())
        except zmq.Again:
            return None
        assert isinstance(packet.message, MaskMessage)
        unpack_labels(packet.message, packet.buffers).mask(packet.message.tracks[0])
        return packet.message.frame.seq, packet.message.frame.t_receive_ns

    return receive_message


def table(found: dict[str, list[Handled]]) -> Iterator[str]:
    """Figures of every reader."""
    yield f"{'reader':<20} {'frames':>7} {'age p50':>9} {'age p95':>9} {'at the end':>11} {'slope':>10}"
    for way, handled in found.items():
        if len(handled) < 2:
            yield f"{way:<20} {len(handled):>7}  too few to tell"
            continue
        times, ages = np.array([[item.at_s, item.age_s] for item in handled]).T
        p50, p95 = np.percentile(ages, [50, 95]) * 1e3
        slope = np.polyfit(times - times[0], ages, 1)[0]
        yield (
            f"{way:<20} {len(handled):>7} {p50:>6.0f} ms {p95:>6.0f} ms {ages[-1] * 1e3:>8.0f} ms "
            f"{slope * 1e3:>+5.0f} ms/s"
        )


if __name__ == "__main__":
    main()
