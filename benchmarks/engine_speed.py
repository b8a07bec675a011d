"""How much faster an engine is than torch: ratios for docs/performance.md, as markdown.

    python -m benchmarks.engine_speed                                  # ssa-tiny by OpenVINO; builds it first
    python -m benchmarks.engine_speed --threads 1 --cpu-time --prompts 1 2

All ways of a row are measured in one process, in turns; the median of the rounds counts, and a ratio is the median of
each round's ratio. `torch` is torch with the reference of deformable attention, `fused` torch with the fused operator.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch

from benchmarks.speed import machine
from ssa_stream.checkpoints import open_network
from ssa_stream.data import demo_scene, render
from ssa_stream.engines import EngineName, build_engines, open_engine
from ssa_stream.model import Stages
from ssa_stream.streaming import ReferSession, SessionConfig

PROMPTS = ("the red circle", "the blue square", "a green triangle", "what moves")
SOURCE = (360, 640)
FULL = 10
"""Frames until windows are full and every shape has come."""


class EngineRow(NamedTuple):
    """One row: medians of the three ways in milliseconds, and how many times as fast the engine is as each other."""

    title: str
    torch_ms: float
    fused_ms: float
    engine_ms: float
    to_torch: float
    to_fused: float


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="openvino", choices=["openvino", "onnxruntime"])
    parser.add_argument("--models", nargs="+", default=["ssa-tiny"])
    parser.add_argument("--prompts", nargs="+", type=int, default=[1], choices=range(1, 5))
    parser.add_argument("--rounds", type=int, default=25, help="measurements of each figure")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; run takes all cores but one")
    parser.add_argument("--cpu-time", action="store_true", help="processor time: for a machine that others use, too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = "processor time" if options.cpu_time else "time"
    print(f"{machine('cpu')}; {clock}, load {os.getloadavg()[0]:.1f} when it began\n")
    rows = [row for name in options.models for row in engine_rows(name, options)]
    print(f"| push, {options.engine} | torch, ms | fused, ms | engine, ms | torch / engine | fused / engine |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        times = " | ".join(f"{value:.1f}" for value in row[1:4])
        print(f"| {row.title} | {times} | {row.to_torch:.2f} | {row.to_fused:.2f} |")


def engine_rows(name: str, options: argparse.Namespace) -> list[EngineRow]:
    """A session's push by the engine against torch, with the reference and with the fused operator.

    Args:
        name: A model configuration; weights are random.
        options: `engine`, `prompts`, `rounds`, `cpu_time`, as above.
    """
    engine: EngineName = options.engine
    reference = open_network(random_weights=name, operator="torch")
    fused = open_network(random_weights=name, operator="fused")
    padded = SessionConfig().sizes_of(SOURCE, fused.config).padded
    build_engines(fused, engine, padded, rows=max(options.prompts), say=lambda words: print(f"<!-- {words} -->"))
    opened = open_engine(fused, engine)
    return [
        _compared(f"{name} {padded[1]}x{padded[0]}, {count} prompts", (reference, fused, opened), count, options)
        for count in options.prompts
    ]


def _compared(title: str, ways: Sequence[Stages], prompts: int, options: argparse.Namespace) -> EngineRow:
    clock: Callable[[], float] = time.process_time if options.cpu_time else time.perf_counter
    frames = [render(demo_scene(SOURCE[1], SOURCE[0]), t).image for t in range(FULL)]
    sessions = [ReferSession(way, prompts=PROMPTS[:prompts]) for way in ways]
    for session in sessions:
        for frame in frames:
            session.push(frame)
    taken: Mapping[int, list[float]] = {number: [] for number in range(len(ways))}
    for round_ in range(options.rounds):
        for number, session in enumerate(sessions):
            begin = clock()
            session.push(frames[round_ % FULL])
            taken[number].append(1e3 * (clock() - begin))
    before, fused, after = taken.values()
    return EngineRow(
        title,
        *(statistics.median(times) for times in (before, fused, after)),
        *(statistics.median(a / b for a, b in zip(times, after, strict=True)) for times in (before, fused)),
    )


if __name__ == "__main__":
    main()
