"""What makes the network faster, and by how much: ratios for docs/performance.md, as markdown.

    python benchmarks/speed.py                     # this machine's processor, two minutes
    python benchmarks/speed.py --threads 1 --cpu-time --models ssa-tiny
    python benchmarks/speed.py --device cuda

Compared figures are measured in one process, in turns, so that other load hits both alike; the median of the rounds
counts, and the ratio is the median of each round's ratio. Weights and frames are random or drawn: the work does not
depend on them.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from ssa_stream.configs import load_config
from ssa_stream.data import demo_scene, render
from ssa_stream.model import SSA, Operator, SsaConfig, use_operator
from ssa_stream.model.deformable import DeformableAttention
from ssa_stream.streaming import ReferSession

PROMPT = "the red circle"
SIZES = {"ssa-tiny": (128, 224), "ssa-large": (448, 800)}
"""Height and width at the network, of the frames that are usual for it."""
STRIDES = (32, 16, 8)


class Comparison(NamedTuple):
    """One row of a table.

    Attributes:
        title: What is done.
        before_ms: Median time without what is measured.
        after_ms: Median time with it.
        ratio: Median of each round's ratio; above 1 is faster.
    """

    title: str
    before_ms: float
    after_ms: float
    ratio: float

    @classmethod
    def of(cls, title: str, before_ms: Sequence[float], after_ms: Sequence[float]) -> "Comparison":
        """From the times of each round."""
        ratios = [before / after for before, after in zip(before_ms, after_ms, strict=True)]
        return cls(title, *map(statistics.median, (before_ms, after_ms, ratios)))


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=15, help="measurements of each figure")
    parser.add_argument("--threads", type=int, help="CPU threads; default: torch's choice")
    parser.add_argument("--cpu-time", action="store_true", help="processor time: for a machine that others use, too")
    parser.add_argument("--models", nargs="+", default=list(SIZES), choices=list(SIZES), help="default: all")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    clock = "processor time" if options.cpu_time else "time"
    print(f"{machine(options.device)}; {clock}, load {os.getloadavg()[0]:.1f} when it began\n")
    rows = [row for name in options.models for row in operator_rows(name, options)]
    print(table(("deformable attention", "torch, ms", "fused, ms", "torch / fused"), rows))


def operator_rows(name: str, options: argparse.Namespace) -> list[Comparison]:
    """The fused operator against its reference: alone, in the pixel decoder, and in a session's push for ssa-tiny."""
    torch.manual_seed(0)
    network = SSA(SsaConfig.from_mapping(load_config("model", name))).eval().to(options.device)
    chosen = use_operator(network, "fused").name
    height, width = SIZES[name]
    work = {
        "one layer": attention_layer(network, (height, width)),
        "pixel decoder": pixel_decoder(network, height, width),
    }
    if name == "ssa-tiny":  # a push of ssa-large takes seconds
        work["push, one prompt"] = session_push(network)
    return [
        compared(f"{name} {width}x{height}, {title} ({chosen})", partial(switch, network), do, options)
        for title, do in work.items()
    ]


def switch(network: SSA, operator: Operator) -> None:
    """Let a network that has both run by one operator."""
    for layer in network.modules():
        if isinstance(layer, DeformableAttention):
            layer.fused = operator == "fused"


def attention_layer(network: SSA, size: tuple[int, int]) -> Callable[[], object]:
    """Sampling and mixing of one layer, without its linear maps."""
    layer = next(one for one in network.modules() if isinstance(one, DeformableAttention))
    sizes = [(size[0] // stride, size[1] // stride) for stride in STRIDES]
    tokens, samples = sum(h * w for h, w in sizes), layer.num_heads * layer.num_levels * layer.num_points
    value, offsets, logits = (
        torch.randn(1, tokens, columns, device=network.device)
        for columns in (layer.value_proj.out_features, samples * 2, samples)
    )
    offsets *= 2  # cells
    return partial(layer.mix, value, offsets, logits, sizes)


def pixel_decoder(network: SSA, height: int, width: int) -> Callable[[], object]:
    """The whole pixel decoder on one frame."""
    maps = [
        torch.randn(1, module.in_channels, height // stride, width // stride, device=network.device)
        for module, stride in zip(map_projections(network), (4, 8, 16, 32), strict=True)
    ]
    text = torch.randn(1, network.config.hidden_dim, device=network.device)
    return partial(network.pixel_decoder, maps, text)


def map_projections(network: SSA) -> list[torch.nn.Conv2d]:
    """What takes the trunk's maps, from stride 4 to 32."""
    decoder = network.pixel_decoder
    return [decoder.lateral, *(one[0] for one in reversed(decoder.input_proj))]  # type: ignore[index]  # sequences


def session_push(network: SSA) -> Callable[[], object]:
    """One frame of 640x360 with a full window."""
    frames = [render(demo_scene(640, 360), t).image for t in range(10)]
    session = ReferSession(network, prompts=[PROMPT])
    for frame in frames:
        session.push(frame)
    return partial(session.push, frames[0])


@torch.inference_mode()
def compared(
    title: str, switch_to: Callable[[Operator], None], work: Callable[[], object], options: argparse.Namespace
) -> Comparison:
    """Do a piece of work in both ways in turns."""
    clock = time.process_time if options.cpu_time else time.perf_counter
    times: Mapping[Operator, list[float]] = {"torch": [], "fused": []}
    for round_ in range(options.rounds + 1):
        for way, taken in times.items():
            switch_to(way)
            begin = clock()
            work()
            if options.device.startswith("cuda"):
                torch.cuda.synchronize()
            if round_:  # the first one warms up
                taken.append((clock() - begin) * 1e3)
    return Comparison.of(title, times["torch"], times["fused"])


def table(head: Sequence[str], rows: Sequence[Comparison]) -> str:
    """Rows as a table in markdown."""
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += [f"| {row.title} | {row.before_ms:.1f} | {row.after_ms:.1f} | {row.ratio:.2f} |" for row in rows]
    return "\n".join(lines)


def machine(device: str) -> str:
    """What the figures were measured on."""
    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    cpuinfo = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
    ]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, torch {torch.__version__}"


if __name__ == "__main__":
    main()
