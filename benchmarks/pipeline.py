"""What the node graph costs: fused and as processes, against the model alone on the same frames.

    python benchmarks/pipeline.py                 # the shipped checkpoint, about three minutes on two cores
    python benchmarks/pipeline.py --random ssa-base --frames 30 --rounds 1     # what a larger network makes of it

The model alone is a session that is given frames from memory, one by one. Graphs decode the same frames from a video
file and publish masks, which a subscriber receives. All are measured in turns, so that other load hits them alike; read
the ratios. A hop is the time from the end of one node's work to the arrival of its message at the next; it is measured
with one frame on its way at a time, so that no hop holds the wait for a busy node.
"""

import argparse
import asyncio
import json
import logging
import os
import platform
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import structlog
import torch
import zmq

from ssa_stream.checkpoints import load_checkpoint, save_checkpoint
from ssa_stream.cli.commands.demo import write_scene
from ssa_stream.configs import load_config
from ssa_stream.model import SSA, SsaConfig
from ssa_stream.nodes.launcher import Graph
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.protocols import Limits, MaskMessage, StageTime, decode
from ssa_stream.sources import open_source
from ssa_stream.streaming import ReferSession

PROMPT = "the red circle"
PLACEMENTS = ("fused", "processes")
WARM_UP = 15
END = "subscriber"


class Arrival(NamedTuple):
    """A mask message and when it came, on this machine's monotonic clock."""

    message: MaskMessage
    at_ns: int


def main() -> None:
    """Measure in turns, print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="ssa-tiny", help="weight file, or the name of a shipped checkpoint")
    parser.add_argument(
        "--random", metavar="MODEL", help="random weights of this configuration in place of a checkpoint"
    )
    parser.add_argument("--frames", type=int, default=120, help="of each run")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each figure; the median counts")
    parser.add_argument("--threads", type=int, default=1, help="of the model, in each process")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "scene.mp4"
        write_scene(video, options.frames)
        if options.random:
            options.checkpoint = str(random_checkpoint(options.random, Path(folder) / "random.safetensors"))
        figures = measure(video, options)
    show(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def random_checkpoint(name: str, path: Path) -> Path:
    """Weights that nobody trained: what a network costs does not depend on them."""
    torch.manual_seed(0)
    config = SsaConfig.from_mapping(load_config("model", name))
    save_checkpoint(path, SSA(config), config)
    return path


def measure(video: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Frames per second of each way, and milliseconds of each hop."""
    rates: dict[str, list[float]] = defaultdict(list)
    hops: dict[str, dict[str, list[float]]] = {placement: defaultdict(list) for placement in PLACEMENTS}
    for _ in range(options.rounds):
        rates["model alone"].append(model_alone(video, options.checkpoint))
        for placement in PLACEMENTS:
            rates[placement].append(rate(run(video, options, placement, None)))
            for arrival in run(video, options, placement, 1)[WARM_UP:]:
                for name, milliseconds in hop_times(arrival):
                    hops[placement][name].append(milliseconds)
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, {options.threads} thread",
        "fps": {name: statistics.median(values) for name, values in rates.items()},
        "hops_ms": {
            placement: {
                name: {f"p{p}": float(np.percentile(values, p)) for p in (50, 95)} for name, values in found.items()
            }
            for placement, found in hops.items()
        },
    }


def model_alone(video: Path, checkpoint: str) -> float:
    """Frames per second of a session that is given frames from memory."""
    with open_source(video) as source:
        frames = [(frame.image, frame.t) for frame in source.frames()]
    session = ReferSession(load_checkpoint(checkpoint), prompts=[PROMPT])
    for image, t in frames[:WARM_UP]:
        session.push(image, t)
    started = time.perf_counter()
    for image, t in frames[WARM_UP:]:
        session.push(image, t)
    return (len(frames) - WARM_UP) / (time.perf_counter() - started)


def run(video: Path, options: argparse.Namespace, placement: str, in_flight: int | None) -> list[Arrival]:
    """Run a graph to the end of the video; all that a subscriber got."""
    config = PipelineConfig.from_mapping(
        {
            "placement": placement,
            "model": {"checkpoint": options.checkpoint, "device": "cpu", "threads": options.threads},
            "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"},
            "flow": {"in_flight": in_flight},
            "streams": {"scene": {"source": str(video), "prompts": [PROMPT]}},
        }
    )
    return asyncio.run(_run(Graph(config)))


async def _run(graph: Graph) -> list[Arrival]:
    arrivals: list[Arrival] = []
    over = threading.Event()
    running = asyncio.create_task(graph.run(asyncio.Event()))
    await graph.bound.wait()
    listener = threading.Thread(target=_listen, args=(graph.publish_address, arrivals, over))
    listener.start()
    try:
        await running
    finally:
        over.set()
        listener.join()
    return arrivals


def _listen(address: str, arrivals: list[Arrival], over: threading.Event) -> None:
    """Take every mask message until the graph is over; in a thread, so that it waits for nobody."""
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.set_hwm(0)
        socket.subscribe(b"v1/scene/masks")
        socket.connect(address)
        while socket.poll(200) or not over.is_set():
            if socket.poll(0):
                parts = socket.recv_multipart(copy=False)
                at_ns = time.monotonic_ns()
                message = decode(parts, Limits()).message
                if isinstance(message, MaskMessage):
                    arrivals.append(Arrival(message, at_ns))


def rate(arrivals: Sequence[Arrival]) -> float:
    """Frames per second after warming up."""
    steady = arrivals[WARM_UP:]
    return (len(steady) - 1) / ((steady[-1].at_ns - steady[0].at_ns) / 1e9)


def hop_times(arrival: Arrival) -> list[tuple[str, float]]:
    """Hops of a frame by name, in milliseconds."""
    times: tuple[StageTime, ...] = arrival.message.times
    hops = [(f"{one.role} to {other.role}", other.received_ns - one.end_ns) for one, other in pairwise(times)]
    hops.append((f"{times[-1].role} to {END}", arrival.at_ns - times[-1].end_ns))
    return [(name, nanoseconds / 1e6) for name, nanoseconds in hops]


def show(figures: dict[str, Any]) -> None:
    """Print both tables."""
    print(figures["machine"])
    alone = figures["fps"]["model alone"]
    print(f"\n{'':14s} {'fps':>7s} {'of the model alone':>20s} {'ms per frame':>14s} {'more':>7s}")
    for name, fps in figures["fps"].items():
        print(f"{name:14s} {fps:7.2f} {fps / alone:20.3f} {1e3 / fps:14.1f} {1e3 / fps - 1e3 / alone:7.1f}")
    print(
        f"\n{'hop, ms':24s}"
        + "".join(f"{placement + ' ' + p:>16s}" for placement in PLACEMENTS for p in ("p50", "p95"))
    )
    for name in figures["hops_ms"]["fused"]:
        cells = [figures["hops_ms"][placement][name][p] for placement in PLACEMENTS for p in ("p50", "p95")]
        print(f"{name:24s}" + "".join(f"{cell:16.2f}" for cell in cells))


if __name__ == "__main__":
    main()
