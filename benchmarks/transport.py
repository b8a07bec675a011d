"""What one hop between two processes costs, beside imagezmq and NetGear of vidgear: pictures of 1080p, one machine.

    python benchmarks/transport.py                # a minute or two

Every way sends the same pictures from one process to another: at 30 a second, which shows latency, and as fast as the
way lets it, which shows throughput. Latency runs from just before sending to when the receiver has an array of the
picture; the receiver then looks at some of its pixels. All ways run in every round, one after the other; figures are
medians over rounds. CPU time is of both processes, per picture. Unthrottled, latency is mostly waiting in queues.

imagezmq and vidgear are in the dependency group `bench`: `uv sync --all-extras --group bench`, or
`pip install --group bench` with pip 25.1 or later. What is not installed is left out, and said. To have them in a
folder apart:

    pip install --target FOLDER --no-deps imagezmq vidgear simplejpeg colorlog tqdm requests
    python benchmarks/transport.py --site FOLDER
"""

import argparse
import asyncio
import importlib
import importlib.util
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import zmq
import zmq.asyncio
from numpy.typing import NDArray

from ssa_stream.nodes.runtime.transport.between_processes import ProcessTransport
from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.protocols import FrameIdentity, PictureMessage

Picture = NDArray[np.uint8]
Send = Callable[[Picture], object]

SIZE = (1080, 1920, 3)
NUM_PICTURES = 8
"""Sent in turn, so that one is not written to while it may still be on its way."""
WARM_UP = 10
LIVE_RATE_HZ = 30.0
RING_BYTES = 48 * 2**20
PATIENCE_S = 120.0
QUIET_S = 5.0
OURS = "ssa_stream, shared memory"


@dataclass(frozen=True)
class Plan:
    """One transmission.

    Attributes:
        way: Which way of sending.
        count: Pictures to send.
        rate_hz: How many a second; None as many as possible.
        folder: For sockets that are files.
        port: For sockets that are not.
        site: Where optional packages may be besides.
    """

    way: str
    count: int
    rate_hz: float | None
    folder: str
    port: int
    site: str | None


@dataclass(frozen=True)
class Received:
    """What the receiver saw, without the first pictures.

    Attributes:
        latencies_ms: Of each picture.
        duration_s: From the first picture to the last one.
        cpu_ms: Processor time per picture.
    """

    latencies_ms: list[float]
    duration_s: float
    cpu_ms: float


class Meter:
    """Processor time of a process per picture, without the first ones."""

    def __init__(self) -> None:
        self._seen = 0
        self._from_s = 0.0

    def tick(self) -> None:
        """One more picture."""
        self._seen += 1
        if self._seen == WARM_UP:
            self._from_s = cpu_s()

    def cpu_ms(self) -> float:
        """Up to now."""
        return (cpu_s() - self._from_s) / max(1, self._seen - WARM_UP) * 1e3


class Watch:
    """Takes the receiver's figures."""

    def __init__(self) -> None:
        self._meter = Meter()
        self._latencies_ms: list[float] = []
        self._times_s: list[float] = []

    def saw(self, picture: Picture) -> None:
        """The picture is there."""
        now_ns = time.monotonic_ns()
        self._meter.tick()
        self._latencies_ms.append((now_ns - stamp_of(picture)) / 1e6)
        self._times_s.append(now_ns / 1e9)
        int(picture[::64, ::64].sum())

    def figures(self) -> Received:
        """Up to now."""
        times_s = self._times_s[WARM_UP:] or [0.0]
        return Received(self._latencies_ms[WARM_UP:], times_s[-1] - times_s[0], self._meter.cpu_ms())


def cpu_s() -> float:
    """Processor time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def stamp(picture: Picture) -> None:
    """Write the time into the first pixels."""
    picture.reshape(-1)[:8] = np.frombuffer(time.monotonic_ns().to_bytes(8, "little"), np.uint8)


def stamp_of(picture: Picture) -> int:
    """The time that was written."""
    return int.from_bytes(picture[0, :3].tobytes()[:8], "little")


def pictures() -> list[Picture]:
    """A ramp with a patch of noise, as large as real ones."""
    ramp = np.broadcast_to(np.linspace(0, 255, SIZE[1], dtype=np.uint8)[None, :, None], SIZE)
    made = []
    for seed in range(NUM_PICTURES):
        picture = ramp.copy()
        picture[200:400, 300:700] = np.random.default_rng(seed).integers(0, 255, (200, 400, 3), np.uint8)
        made.append(picture)
    return made


# The ways. Each has a sender, which calls back with a function that sends, and a receiver.


def send_ours(plan: Plan, meter: Meter) -> None:
    """Through the nodes' own transport."""

    async def run() -> None:
        context = zmq.asyncio.Context()
        transport = ProcessTransport(context, Path(plan.folder), "a", 0, RING_BYTES)
        outlet = transport.outlet(["b"])
        made, start_s = pictures(), time.monotonic()
        for seq in range(plan.count):
            if plan.rate_hz is not None:
                await asyncio.sleep(max(0.0, start_s + seq / plan.rate_hz - time.monotonic()))
            picture, payload = made[seq % NUM_PICTURES], OutgoingPayload()
            meter.tick()
            stamp(picture)
            frame = FrameIdentity(
                stream="cam0", epoch=0, seq=seq, index=seq, t=seq / 30, t_receive_ns=0, receive_clock="monotonic:host"
            )
            assert await outlet.send(PictureMessage(frame=frame, image=payload.add_array(picture)), payload)
        deadline_s = time.monotonic() + PATIENCE_S
        while transport.ring.depth and time.monotonic() < deadline_s:  # noqa: ASYNC110 receivers write to memory
            await asyncio.sleep(0.01)
        transport.close()
        context.destroy(linger=0)

    asyncio.run(run())


def receive_ours(plan: Plan, listening: Event, watch: Watch) -> None:
    """Reads pictures where they lie."""

    async def run() -> None:
        context = zmq.asyncio.Context()
        transport = ProcessTransport(context, Path(plan.folder), "b", 0, RING_BYTES)
        inlet = transport.inlet("b")
        listening.set()
        for _ in range(plan.count):
            received = await inlet.receive(QUIET_S)
            if received is None:
                break
            with received:
                assert isinstance(received.message, PictureMessage)
                watch.saw(received.array(received.message.image))
        transport.close()
        context.destroy(linger=0)

    asyncio.run(run())


def send_plain(plan: Plan, meter: Meter) -> None:
    """Pyzmq as its manual shows it: pictures through the socket, not copied by pyzmq."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.sndhwm = 2
        socket.connect(f"ipc://{plan.folder}/plain.sock")
        send_all(plan, meter, lambda picture: socket.send(picture.data, copy=False))


def receive_plain(plan: Plan, listening: Event, watch: Watch) -> None:
    """Its other end."""
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.rcvhwm = 2
        socket.bind(f"ipc://{plan.folder}/plain.sock")
        listening.set()
        for _ in range(plan.count):
            if not socket.poll(int(QUIET_S * 1e3)):
                break
            watch.saw(np.frombuffer(socket.recv(copy=False).buffer, np.uint8).reshape(SIZE))


def imagezmq_ends(way: str, plan: Plan) -> tuple[str, bool]:
    """Address and whether every picture is answered, as the sender's of imagezmq takes them."""
    address = f"ipc://{plan.folder}/imagezmq.sock" if "ipc" in way else f"tcp://127.0.0.1:{plan.port}"
    return address, "REQ/REP" in way


def send_imagezmq(plan: Plan, meter: Meter) -> None:
    """Raw pictures."""
    address, is_answered = imagezmq_ends(plan.way, plan)
    with importlib.import_module("imagezmq").ImageSender(address, REQ_REP=is_answered) as sender:
        if not is_answered:
            time.sleep(1.0)  # subscribers arrive when they like
        send_all(plan, meter, lambda picture: sender.send_image("cam0", picture))


def receive_imagezmq(plan: Plan, listening: Event, watch: Watch) -> None:
    """Its other end; reading is bounded, which imagezmq itself does not offer."""
    address, is_answered = imagezmq_ends(plan.way, plan)
    with importlib.import_module("imagezmq").ImageHub(address, REQ_REP=is_answered) as broker:
        listening.set()
        for _ in range(plan.count):
            if not broker.zmq_socket.poll(int(QUIET_S * 1e3)):
                break
            watch.saw(broker.recv_image()[1])
            if is_answered:
                broker.send_reply()


def netgear(plan: Plan, **options: Any) -> Any:
    """Raw pictures, as `jpeg_compression` says."""
    return importlib.import_module("vidgear.gears").NetGear(
        address="127.0.0.1",
        port=str(plan.port),
        protocol="tcp",
        pattern=1 if "REQ/REP" in plan.way else 0,
        logging=False,
        **options,
        jpeg_compression=False,
        max_retries=20,
    )


def send_netgear(plan: Plan, meter: Meter) -> None:
    """Pictures by its own thread; not closed, which throws in that thread."""
    send_all(plan, meter, netgear(plan).send)


def receive_netgear(plan: Plan, listening: Event, watch: Watch) -> None:
    """Reads in a thread of its own."""
    receiver = netgear(plan, receive_mode=True)
    listening.set()
    for _ in range(plan.count):
        picture = receiver.recv()
        if picture is None:
            break
        watch.saw(picture)


def send_all(plan: Plan, meter: Meter, send: Send) -> None:
    """Send pictures in turn at the rate."""
    made, start_s = pictures(), time.monotonic()
    for seq in range(plan.count):
        if plan.rate_hz is not None:
            time.sleep(max(0.0, start_s + seq / plan.rate_hz - time.monotonic()))
        picture = made[seq % NUM_PICTURES]
        meter.tick()
        stamp(picture)
        send(picture)


@dataclass(frozen=True)
class Way:
    """A way of sending.

    Attributes:
        send: Run in one process.
        receive: Run in the other one.
        package: What it needs.
    """

    send: Callable[[Plan, Meter], None]
    receive: Callable[[Plan, Event, Watch], None]
    package: str = "zmq"


WAYS = {
    OURS: Way(send_ours, receive_ours),
    "pyzmq PUSH/PULL ipc, raw": Way(send_plain, receive_plain),
    "imagezmq REQ/REP tcp, raw": Way(send_imagezmq, receive_imagezmq, "imagezmq"),
    "imagezmq REQ/REP ipc, raw": Way(send_imagezmq, receive_imagezmq, "imagezmq"),
    "imagezmq PUB/SUB tcp, raw": Way(send_imagezmq, receive_imagezmq, "imagezmq"),
    "NetGear PAIR tcp, raw": Way(send_netgear, receive_netgear, "vidgear"),
    "NetGear REQ/REP tcp, raw": Way(send_netgear, receive_netgear, "vidgear"),
}


def sender_process(plan: Plan, answers: "Queue[float]", received: Event) -> None:
    """The sending process; stays until all was received, since some ways drop what is not sent at their end."""
    _prepare(plan)
    meter = Meter()
    WAYS[plan.way].send(plan, meter)
    answers.put(meter.cpu_ms())
    answers.close()
    answers.join_thread()
    received.wait(PATIENCE_S)
    os._exit(0)  # some ways leave threads that never end


def receiver_process(plan: Plan, answers: "Queue[Received]", listening: Event, received: Event) -> None:
    """The receiving process."""
    _prepare(plan)
    watch = Watch()
    WAYS[plan.way].receive(plan, listening, watch)
    received.set()
    answers.put(watch.figures())
    answers.close()
    answers.join_thread()
    os._exit(0)


def _prepare(plan: Plan) -> None:
    if plan.site is not None:
        sys.path.append(plan.site)


@dataclass(frozen=True)
class Outcome:
    """Figures of one transmission.

    Attributes:
        p50_ms: Median latency.
        p95_ms: 95th percentile of it.
        rate_hz: Pictures a second.
        cpu_ms: Processor time of both processes, per picture.
        lost: Pictures that did not come.
    """

    p50_ms: float
    p95_ms: float
    rate_hz: float
    cpu_ms: float
    lost: int


def transmit(plan: Plan) -> Outcome | None:
    """Run both processes; None if the way did not come to an end."""
    spawn = multiprocessing.get_context("spawn")
    sent, seen, listening, received = spawn.Queue(), spawn.Queue(), spawn.Event(), spawn.Event()
    receiver = spawn.Process(target=receiver_process, args=(plan, seen, listening, received), daemon=True)
    sender = spawn.Process(target=sender_process, args=(plan, sent, received), daemon=True)
    try:
        receiver.start()
        if not listening.wait(PATIENCE_S):
            return None
        sender.start()
        figures: Received = seen.get(timeout=PATIENCE_S)
        cpu_ms: float = figures.cpu_ms + sent.get(timeout=PATIENCE_S)
    except OSError:
        return None
    except Exception as error:  # of another package's way: it is left out, and said; the others go on
        print(f"  {plan.way}: {type(error).__name__} {error}", file=sys.stderr)
        return None
    finally:
        for process in (receiver, sender):
            if process.pid is not None:
                process.kill()
                process.join()
    latencies_ms = sorted(figures.latencies_ms)
    count = len(latencies_ms)
    if count < 2:
        return None
    return Outcome(
        p50_ms=statistics.median(latencies_ms),
        p95_ms=latencies_ms[int(0.95 * count)],
        rate_hz=(count - 1) / figures.duration_s,
        cpu_ms=cpu_ms,
        lost=plan.count - WARM_UP - count,
    )


def median(outcomes: list[Outcome]) -> Outcome:
    """Of each figure over rounds."""
    return Outcome(
        p50_ms=statistics.median(item.p50_ms for item in outcomes),
        p95_ms=statistics.median(item.p95_ms for item in outcomes),
        rate_hz=statistics.median(item.rate_hz for item in outcomes),
        cpu_ms=statistics.median(item.cpu_ms for item in outcomes),
        lost=sum(item.lost for item in outcomes),
    )


def installed(site: str | None) -> list[str]:
    """The ways whose packages are there; says which are not."""
    if site is not None:
        sys.path.append(site)
    missing = sorted({way.package for way in WAYS.values() if importlib.util.find_spec(way.package) is None})
    if missing:
        print(f"left out, not installed: {', '.join(missing)}; see --help\n")
    return [name for name, way in WAYS.items() if way.package not in missing]


def machine() -> str:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    load = os.getloadavg()[0]
    return (
        f"{model}, {os.cpu_count()} cores, load {load:.1f} before; {platform.system()} {platform.release()}, Python "
        f"{platform.python_version()}, pyzmq {zmq.__version__}, libzmq {zmq.zmq_version()}"
    )


def show(title: str, outcomes: dict[str, list[Outcome]]) -> None:
    """Print a table, each way beside ours."""
    ours = median(outcomes[OURS]) if outcomes.get(OURS) else None
    print(f"\n{title}")
    print(
        f"{'':<28}{'p50 ms':>9}{'p95 ms':>9}{'fps':>9}{'cpu ms':>9}{'lost':>6}   beside ours: p50    p95    fps    cpu"
    )
    for way, rounds in outcomes.items():
        if not rounds:
            print(f"{way:<28}  did not come to an end")
            continue
        it = median(rounds)
        row = f"{way:<28}{it.p50_ms:>9.2f}{it.p95_ms:>9.2f}{it.rate_hz:>9.1f}{it.cpu_ms:>9.2f}{it.lost:>6}"
        if ours is not None:
            ratios = (
                it.p50_ms / ours.p50_ms,
                it.p95_ms / ours.p95_ms,
                it.rate_hz / ours.rate_hz,
                it.cpu_ms / ours.cpu_ms,
            )
            row += " " * 13 + "".join(f"{ratio:>6.2f}x" for ratio in ratios)
        print(row)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--live-frames", type=int, default=90, help="pictures at 30 a second")
    parser.add_argument("--frames", type=int, default=300, help="pictures as fast as possible")
    parser.add_argument("--port", type=int, default=18_555, help="first of a few on 127.0.0.1")
    parser.add_argument("--site", help="folder with imagezmq and vidgear")
    options = parser.parse_args()
    ways = installed(options.site)
    print(machine())
    rates = {"at 30 fps": (LIVE_RATE_HZ, options.live_frames), "unthrottled": (None, options.frames)}
    outcomes: dict[str, dict[str, list[Outcome]]] = {title: {way: [] for way in ways} for title in rates}
    port = options.port
    for _ in range(options.rounds):
        for title, (rate_hz, count) in rates.items():
            for way in ways:
                port += 1
                with tempfile.TemporaryDirectory(prefix="ssa-bench") as folder:
                    outcome = transmit(Plan(way, count + WARM_UP, rate_hz, folder, port, options.site))
                outcomes[title][way] += [] if outcome is None else [outcome]
    for title, by_way in outcomes.items():
        show(f"1920x1080 RGB, 6.2 MB a picture, {title}; medians of {options.rounds} rounds", by_way)


if __name__ == "__main__":
    main()
