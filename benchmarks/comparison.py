"""What benchmarks that compare two ways of doing the same share: rows, tables, and the machine in words."""

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

__all__ = ["PROMPT", "SIZES", "Comparison", "machine", "table"]

PROMPT = "the red circle"
SIZES = {"ssa-tiny": (128, 224), "ssa-large": (448, 800)}
"""Height and width at the network, of the frames that are usual for it."""


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
