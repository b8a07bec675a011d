"""What folds, bfloat16 and the fast pixel decoder change: time and numbers, as tables for docs/performance.md.

    python -m benchmarks.precision --threads 1 --cpu-time                    # ten minutes, most of them ssa-large
    python -m benchmarks.precision --threads 1 --cpu-time --models ssa-tiny --rounds 15

Time is that of a frame and a window of eight under one prompt, in turns in one process; `before` has no folds and the
published pixel decoder. Weights of ssa-large are random: the work does not depend on them. Deviations are those of the
shipped ssa-tiny on the demo's frames, and of the golden network, from float32 as published.
"""

import argparse
import copy
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.speed import SIZES, Comparison, machine, table
from ssa_stream.checkpoints import DEFAULT_CHECKPOINT, load_checkpoint, open_network
from ssa_stream.checkpoints.golden import build_golden
from ssa_stream.checkpoints.golden_folder import read_case, read_folder
from ssa_stream.checkpoints.golden_trace import trace_case
from ssa_stream.data import demo_scene, render
from ssa_stream.model import (
    SSA,
    Precision,
    TextFeatures,
    fold_weights,
    resize_frame,
    segment_clip,
    to_input,
    use_operator,
)

GOLDEN = Path(__file__).parents[1] / "tests" / "contract" / "golden" / "small"
PROMPT = "the red circle"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
WINDOW = 8


class Way(NamedTuple):
    """A type and a precision."""

    dtype: torch.dtype
    precision: Precision

    def __str__(self) -> str:
        return f"{str(self.dtype).removeprefix('torch.')}, {self.precision}"


PUBLISHED = Way(torch.float32, "published")
OTHERS = (Way(torch.float32, "fast"), Way(torch.bfloat16, "published"), Way(torch.bfloat16, "fast"))
STAGES = ("adapter3_slice", "ms2_slice", "fpn_out_slice", "text_fused", "frame_queries", "pred_fg_prob", "mask_logits")
"""Of the golden cases. From the frame queries on they depend on decisions (which keys are blocked), which random
weights make with hardly any margin: there a deviation says which way one fell."""


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each figure")
    parser.add_argument("--threads", type=int, help="CPU threads; default: torch's choice")
    parser.add_argument("--cpu-time", action="store_true", help="processor time: for a machine that others use, too")
    parser.add_argument("--models", nargs="*", default=list(SIZES), choices=list(SIZES), help="of the times")
    parser.add_argument("--dtypes", nargs="+", default=list(DTYPES), choices=list(DTYPES), help="of the times")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    clock = "processor time" if options.cpu_time else "time"
    print(f"{machine(options.device)}; {clock}, load {os.getloadavg()[0]:.1f} when it began\n")
    rows = [row for name in options.models for row in time_rows(name, options)]
    if rows:
        print(table(("a frame and its window", "before, ms", "after, ms", "before / after"), rows), "\n")
    print(golden_table(options.device), "\n")
    print(demo_table(options.device))


def time_rows(name: str, options: argparse.Namespace) -> list[Comparison]:
    """The folds alone, and all together in bfloat16."""
    rows = []
    for dtype in (DTYPES[one] for one in options.dtypes):
        before = open_network(
            random_weights=name, device=options.device, dtype=dtype, precision="published", fold=False
        )
        reference = copy.deepcopy(before)
        use_operator(reference, "torch")
        folded = fold_weights(copy.deepcopy(before))
        fast = copy.deepcopy(folded).cast(dtype, "fast")
        works = [frame_work(network, SIZES[name]) for network in (before, folded, fast, reference)]
        times = timed(works, options)
        height, width = SIZES[name]
        for what, taken in (("folded", times[1]), ("folded, fast", times[2])):
            title = f"{name} {width}x{height}, {Way(dtype, 'published').dtype}, {what}".replace("torch.", "")
            rows.append(Comparison.of(title, times[0], taken))
        rows.append(Comparison.of(f"{title}, fused operator", times[3], times[2]))
    return rows


def timed(works: list[Callable[[], object]], options: argparse.Namespace) -> list[list[float]]:
    """Times of pieces of work in milliseconds, in turns."""
    clock = time.process_time if options.cpu_time else time.perf_counter
    times: list[list[float]] = [[] for _ in works]
    for round_ in range(options.rounds + 1):
        for work, taken in zip(works, times, strict=True):
            begin_s = clock()
            work()
            if round_:  # the first one warms up
                taken.append((clock() - begin_s) * 1e3)
    return times


def frame_work(network: SSA, size: tuple[int, int]) -> Callable[[], object]:
    """All stages for a frame, and the window that it ends."""
    images = torch.randn(1, 3, *size).to(network.device, network.dtype)
    return partial(_frame, network, images, network.encode_text([PROMPT]))


@torch.inference_mode()
def _frame(network: SSA, images: Tensor, text: TextFeatures) -> Tensor:
    made = network.generate_queries(network.encode_frame(images, text), text)
    aligned = network.project_queries(made.queries)[None].expand(-1, WINDOW, -1, -1)
    window = network.decode_window(aligned, made.text[None].expand(-1, WINDOW, -1))
    masks: Tensor = network.predict_masks(window.mask_embedding[:, :1], made.mask_features).float().cpu()
    return masks


def golden_table(device: str) -> str:
    """Root mean square of the deviation of the golden network's stages, of that of the stage."""
    folder = read_folder(GOLDEN)
    case = read_case(next(file for file in folder.cases if file.stem == "T12_odd"))
    traced = {}
    for way in (PUBLISHED, *OTHERS):
        traced[way] = trace_case(build_golden(folder).cast(*way).to(device), folder, case)
    lines = [
        f"| golden {case.name}, rms | {' | '.join(one.removesuffix('_slice') for one in STAGES)} |",
        f"| --- {'| --- ' * len(STAGES)}|",
    ]
    for way in OTHERS:
        deviations = []
        for name in STAGES:
            ours, exact = (torch.from_numpy(traced[one][name]).float() for one in (way, PUBLISHED))
            deviations.append(f"{float((ours - exact).norm() / exact.norm()):.1e}")
        lines.append(f"| {way} | {' | '.join(deviations)} |")
    return "\n".join(lines)


@torch.inference_mode()
def demo_table(device: str) -> str:
    """Deviations of the shipped ssa-tiny on twelve frames of the demo, which it was trained for."""
    frames = [render(demo_scene(640, 360), 4 * t).image for t in range(12)]
    found = {way: _demo(way, frames, device) for way in (PUBLISHED, *OTHERS)}
    exact = found[PUBLISHED]
    lines = [
        "| ssa-tiny, demo | queries, rms | probability, max | mask logits, rms | mask logits, max | mask IoU |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for way in OTHERS:
        queries, probability, logits, masks = found[way]
        union, both = (masks | exact[3]).sum(), (masks & exact[3]).sum()
        deviation = (logits - exact[2]).abs()
        lines.append(
            f"| {way} | {float((queries - exact[0]).norm() / exact[0].norm()):.1e} "
            f"| {float((probability - exact[1]).abs().max()):.1e} "
            f"| {float(deviation.norm() / exact[2].norm()):.1e} | {float(deviation.max() / exact[2].abs().max()):.1e} "
            f"| {float(both / union):.4f} |"
        )
    return "\n".join(lines)


def _demo(way: Way, frames: list[NDArray[np.uint8]], device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    network = load_checkpoint(DEFAULT_CHECKPOINT, device=device, dtype=way.dtype, precision=way.precision)
    images = to_input([resize_frame(frame, (128, 224)) for frame in frames], device, way.dtype)
    clip = network(images, network.encode_text([PROMPT]))
    best = clip.window.probability[0].argmax()
    logits = torch.einsum("c,tchw->thw", clip.window.mask_embedding[0, best].float(), clip.mask_features.float())
    masks = segment_clip(network, frames, PROMPT).merged()
    return clip.aligned.float(), clip.window.probability.float(), logits, masks


if __name__ == "__main__":
    main()
