"""What several streams gain from one batch, and from later stages going first.

    python -m benchmarks.streams                # some minutes
    python -m benchmarks.streams --cpu-time     # processor time: for a machine that others use, too
    python -m benchmarks.streams --device cuda

Ways are measured in turns, in one process. `stages` is encoder and queries alone, on frames that wait together. The
other tables are of the four model nodes of a `fused` graph, which get frames from memory: as many as they take, or the
frames of two live streams that come at the same moment. The first frames of a run are left out: in them the nodes
measure whether a batch pays.
"""

import argparse
import asyncio
import gc
import logging
import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import NamedTuple
from unittest import mock

import numpy as np
import structlog
import torch
from numpy.typing import NDArray

from benchmarks.comparison import Comparison, machine, table
from ssa_stream.checkpoints import open_network
from ssa_stream.data import demo_scene, render
from ssa_stream.model import SSA, resize_frame, to_input
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.nodes.runtime.executor import ModelExecutor
from ssa_stream.nodes.runtime.memory import settle
from ssa_stream.streaming.encoding import Row, encode_newest, encode_rows, generate_joint_rows, generate_rows
from tests.support.model_nodes import ModelNodes, Player, model_nodes, pipeline

PROMPT = "the red circle"
COUNTS = (1, 2, 4, 8)
IN_FLIGHT = 2
SIZE = (128, 224)
_LONGEST_S = 600.0
Clock = Callable[[], float]


class Way(NamedTuple):
    """How the nodes do their work.

    Attributes:
        title: In the table.
        batching: Of the pipeline.
        later_first: Whether later stages go before new frames; False is the order of asking.
    """

    title: str
    batching: str
    later_first: bool

    def executor(self) -> AbstractContextManager[object]:
        """While it is entered, executors work in this way."""
        if self.later_first:
            return nullcontext()
        return mock.patch.object(ModelExecutor, "of_role", lambda executor, role: executor)


ONE_BY_ONE, TOGETHER = Way("one by one", "never", True), Way("together", "auto", True)
IN_ORDER = Way("in the order of asking, one by one", "never", False)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of the model")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each figure")
    parser.add_argument("--frames", type=int, default=20, help="of each stream and run, beside the first ones")
    parser.add_argument("--warm-up", type=int, default=160, help="frames of all streams that are left out")
    parser.add_argument("--rate", type=float, default=5.0, help="of the two streams whose frames come together, in Hz")
    parser.add_argument("--counts", nargs="+", type=int, default=COUNTS, help="numbers of streams")
    parser.add_argument("--cpu-time", action="store_true", help="processor time: for a machine that others use, too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    clock = time.process_time if options.cpu_time else time.perf_counter
    network = open_network("ssa-tiny", device=options.device)
    settle()  # as the nodes do when they are ready
    pictures = [render(demo_scene(640, 360), t).image for t in range(0, 80, 4)]
    named = "processor time" if options.cpu_time else "time"
    print(f"{machine(options.device)}; {named}, load {os.getloadavg()[0]:.1f} when it began\n")
    head = ("streams", "one by one, ms a frame", "together, ms a frame", "one by one / together")
    rows = [stages(network, pictures, count, clock, 4 * options.rounds) for count in options.counts]
    print(table(("stages: " + head[0], *head[1:]), rows), flush=True)
    rows = [throughput(network, pictures, count, clock, options) for count in options.counts if count > 1]
    print("\n" + table(("nodes: " + head[0], *head[1:]), rows), flush=True)
    print("\n" + latencies(network, pictures, clock, options))
    gc.unfreeze()


@torch.inference_mode()
def stages(network: SSA, pictures: Sequence[NDArray[np.uint8]], count: int, clock: Clock, rounds: int) -> Comparison:
    """Encoder and queries on frames that wait together."""
    text = network.encode_text([PROMPT])
    inputs = to_input([resize_frame(one, SIZE) for one in pictures[:count]], network.device, network.dtype)

    def one_by_one() -> None:
        for picture in inputs:
            generate_rows(network, encode_rows(network, [network.encode_stem(picture[None])], [text], [Row(0, 0)]))

    def together() -> None:
        generate_joint_rows(network, encode_newest(network, network.encode_stem(inputs), [[text]] * count))

    times: dict[Callable[[], None], list[float]] = {one_by_one: [], together: []}
    for round_ in range(rounds + 1):
        for work, taken in times.items():
            begin = clock()
            work()
            if network.device.type == "cuda":
                torch.cuda.synchronize(network.device)
            if round_:
                taken.append((clock() - begin) * 1e3 / count)
    return compared(str(count), times[one_by_one], times[together])


def throughput(
    network: SSA, pictures: Sequence[NDArray[np.uint8]], count: int, clock: Clock, options: argparse.Namespace
) -> Comparison:
    """Milliseconds for each frame of streams whose next frame always waits."""
    times: dict[Way, list[float]] = {ONE_BY_ONE: [], TOGETHER: []}
    for _ in range(options.rounds):
        for way, taken in times.items():
            taken.append(asyncio.run(_as_fast_as_possible(network, pictures, way, count, clock, options)))
    return compared(str(count), times[ONE_BY_ONE], times[TOGETHER])


def compared(title: str, before: list[float], after: list[float]) -> Comparison:
    """Medians, and the median of the ratios of each round."""
    ratios = [one / other for one, other in zip(before, after, strict=True)]
    return Comparison(title, *map(statistics.median, (before, after, ratios)))


def latencies(network: SSA, pictures: Sequence[NDArray[np.uint8]], clock: Clock, options: argparse.Namespace) -> str:
    """From the moment when two streams have a frame each to the masks of each, as a table."""
    times: dict[Way, list[tuple[float, float]]] = {IN_ORDER: [], ONE_BY_ONE: [], TOGETHER: []}
    for _ in range(options.rounds):
        for way, taken in times.items():
            taken += asyncio.run(_at_the_same_moment(network, pictures, way, clock, options))
    lines = [
        "| two streams | first out, p50 ms | p95 | second out, p50 ms | p95 | both, p50 ms | p95 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for way, pairs in times.items():
        title = "later stages first, " + way.title if way.later_first else way.title
        outs = [min(pair) for pair in pairs], [max(pair) for pair in pairs], [one for pair in pairs for one in pair]
        cells = [f"{float(np.percentile(values, p)):.1f}" for values in outs for p in (50, 95)]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def settings_of(way: Way, names: Sequence[str], *, live: bool) -> PipelineConfig:
    """A pipeline of streams that are played."""
    return pipeline(
        names=names,
        stream={"flow": "freshest" if live else "every_frame"},
        flow={"batching": way.batching, "staleness_s": 60.0, "in_flight": IN_FLIGHT},
        placement="fused",
    )


def players_of(network: SSA, settings: PipelineConfig) -> dict[str, Player]:
    """One for each stream, with the prompt."""
    players = {name: Player(network, settings, name) for name in settings.streams}
    for player in players.values():
        player.set_prompts([PROMPT])
    return players


def is_out(stand: ModelNodes, name: str, number: int) -> bool:
    """Whether so many frames of a stream have masks."""
    return len(stand.results_of[name]) >= number


async def _as_fast_as_possible(
    network: SSA,
    pictures: Sequence[NDArray[np.uint8]],
    way: Way,
    count: int,
    clock: Clock,
    options: argparse.Namespace,
) -> float:
    settings = settings_of(way, [f"s{k}" for k in range(count)], live=False)
    first, last = options.warm_up, options.warm_up + count * options.frames
    with way.executor():
        async with model_nodes(settings, network) as stand, asyncio.TaskGroup() as group:
            is_over = asyncio.Event()

            async def play(name: str, player: Player) -> None:
                while not is_over.is_set():
                    await stand.until(partial(is_out, stand, name, player.index + 1 - IN_FLIGHT))
                    picture = pictures[player.index % len(pictures)]
                    assert await stand.encoders.send(*player.frame(picture, player.index / 10))
                await stand.until(partial(is_out, stand, name, player.index))

            for name, player in players_of(network, settings).items():
                group.create_task(play(name, player))
            await stand.until(lambda: len(stand.results) >= first, timeout_s=_LONGEST_S)
            begin, begun = clock(), len(stand.results)
            await stand.until(lambda: len(stand.results) >= last, timeout_s=_LONGEST_S)
            taken, made = clock() - begin, len(stand.results) - begun
            is_over.set()
        return taken * 1e3 / made


async def _at_the_same_moment(
    network: SSA, pictures: Sequence[NDArray[np.uint8]], way: Way, clock: Clock, options: argparse.Namespace
) -> list[tuple[float, float]]:
    settings, out = settings_of(way, ["a", "b"], live=True), list[tuple[float, float]]()
    warm_up = options.warm_up // 4
    with way.executor():
        async with model_nodes(settings, network) as stand:
            players = players_of(network, settings)
            for k in range(warm_up + options.frames):
                begin = clock()
                for player in players.values():
                    assert await stand.encoders.send(*player.frame(pictures[k % len(pictures)], k / 10))
                first, second = await asyncio.gather(*(_out(stand, name, k + 1, clock) for name in players))
                if k >= warm_up:
                    out.append(((first - begin) * 1e3, (second - begin) * 1e3))
                await asyncio.sleep(1 / options.rate)  # the pace of the streams, from when both are out
    return out


async def _out(stand: ModelNodes, name: str, number: int, clock: Clock) -> float:
    """When a frame has masks."""
    await stand.until(partial(is_out, stand, name, number))
    return clock()


if __name__ == "__main__":
    main()
