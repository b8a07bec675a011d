"""`ssa-stream run` end to end by engine, against torch as it was before operator, folds and engines.

    python -m benchmarks.run_speed                      # a file of 60 frames, JSON lines; builds OpenVINO first
    python -m benchmarks.run_speed --engines torch onnxruntime --frames 120

Decoding, the network, masks at the source's size, run lengths and writing are inside the clock, as in `ssa-stream run`
with all cores but one for the network. All ways go in turns in one process; the median of the rounds counts.
`before` is torch with the reference of deformable attention and an unfolded trunk.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.comparison import PROMPT, machine
from ssa_stream.checkpoints import open_network
from ssa_stream.cli.commands.demo import write_scene
from ssa_stream.cli.runner import paced, run_stream
from ssa_stream.engines import build_engines, open_engine
from ssa_stream.model import Stages
from ssa_stream.sinks import Background, SinkGroup, open_sink
from ssa_stream.sources import open_source
from ssa_stream.streaming import ReferSession, SessionConfig

SOURCE = (360, 640)


class RunRow(NamedTuple):
    """One way: median milliseconds a frame, frames per second, and how many times as fast as `before` it is."""

    title: str
    frame_ms: float
    fps: float
    ratio: float


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=["torch", "openvino"], help="besides torch as it was")
    parser.add_argument("--frames", type=int, default=60, help="of the file")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each way")
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="of the network")
    parser.add_argument("--cpu-time", action="store_true", help="processor time: for a machine that others use, too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = "processor time" if options.cpu_time else "time"
    print(f"{machine('cpu')}; {clock}, load {os.getloadavg()[0]:.1f} when it began\n")
    print("| run, file to JSON lines | ms a frame | fps | before / this |")
    print("| --- | --- | --- | --- |")
    for row in run_rows(options):
        print(f"| {row.title} | {row.frame_ms:.1f} | {row.fps:.1f} | {row.ratio:.2f} |")


def run_rows(options: argparse.Namespace) -> list[RunRow]:
    """The shipped network on a file of 640x360, by each engine.

    Args:
        options: `engines`, `frames`, `rounds`, `cpu_time`, as above.
    """
    network = open_network()
    ways: dict[str, Stages] = {"before": open_network(operator="torch", fold=False)}
    for engine in options.engines:
        if engine != "torch":
            padded = SessionConfig().sizes_of(SOURCE, network.config).padded
            build_engines(network, engine, padded, rows=1, say=lambda words: print(f"<!-- {words} -->", flush=True))
        ways[engine] = open_engine(network, engine)
    with tempfile.TemporaryDirectory() as name:
        video = Path(name) / "input.mp4"
        write_scene(video, options.frames)
        taken: dict[str, list[float]] = {title: [] for title in ways}
        for round_ in range(options.rounds + 1):
            for title, model in ways.items():
                clock = time.process_time if options.cpu_time else time.perf_counter
                begin = clock()
                _run(model, video, [Path(name) / "masks.jsonl"])
                if round_:  # the first one warms up
                    taken[title].append(1e3 * (clock() - begin) / options.frames)
    return [
        RunRow(
            title,
            statistics.median(times),
            1e3 / statistics.median(times),
            statistics.median(before / this for before, this in zip(taken["before"], times, strict=True)),
        )
        for title, times in taken.items()
    ]


def _run(model: Stages, video: Path, outputs: Sequence[Path]) -> None:
    session = ReferSession(model, prompts=[PROMPT])
    with Background(SinkGroup([open_sink(path) for path in outputs])) as sink:
        run_stream(paced(open_source(video)), session, sink)


if __name__ == "__main__":
    main()
