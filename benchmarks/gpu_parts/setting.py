"""What all parts share: device and sizes, networks, frames, and how time is measured."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ssa_stream.configs import load_config
from ssa_stream.data import demo_scene, render
from ssa_stream.model import SSA, SsaConfig, use_operator
from tests.support.tiny_model import tiny_config

__all__ = ["PROMPTS", "Row", "Setting"]

PROMPTS = ["the red circle", "the blue square", "the circle on the left", "the largest thing"]
_SIZES = {"ssa-tiny": (360, 640), "ssa-large": (720, 1280)}
_SMALL = {"tiny-test": (54, 96)}


class Row(NamedTuple):
    """A line of the table."""

    what: str
    figure: float | str
    unit: str = ""


class Setting(NamedTuple):
    """Where it runs, and whether it only has to run.

    Attributes:
        device: As torch names it.
        small: The network of the tests, small pictures, few rounds.
    """

    device: str
    small: bool = False

    @property
    def is_cuda(self) -> bool:
        """Whether time is that of a GPU."""
        return self.device.startswith("cuda")

    @property
    def models(self) -> list[str]:
        """Networks to be measured, smallest first."""
        return list(_SMALL if self.small else _SIZES)

    @property
    def rounds(self) -> int:
        """Measurements of each figure."""
        return 1 if self.small else 30

    @property
    def window(self) -> int:
        """Frames of a session's window."""
        return 2 if self.small else 8

    @property
    def dtypes(self) -> list[torch.dtype]:
        """Types of the weights."""
        return [torch.float32] if self.small else [torch.bfloat16, torch.float32]

    def network(self, name: str, dtype: torch.dtype = torch.float32) -> SSA:
        """A network with random weights, as a program for live video prepares it."""
        torch.manual_seed(0)
        config = tiny_config() if self.small else SsaConfig.from_mapping(load_config("model", name))
        model = SSA(config).eval().requires_grad_(False)
        model = model.cast(dtype).to(self.device).to(memory_format=torch.channels_last)
        use_operator(model)
        return model

    def frames(self, name: str, count: int) -> list[NDArray[np.uint8]]:
        """Pictures of the size that is usual for a network's sources."""
        height, width = (_SMALL if self.small else _SIZES)[name]
        return [render(demo_scene(width, height), i).image for i in range(count)]

    def finish(self) -> None:
        """Wait until the device has done all that it was given."""
        if self.is_cuda:
            torch.cuda.synchronize()

    def median_ms(self, work: Callable[[], object]) -> float:
        """Median time of a piece of work, with all that it leaves to the device; recorded by then if it can be."""
        warm_up = 1 if self.small else 4
        taken = []
        for round_ in range(self.rounds + warm_up):
            self.finish()
            begin_s = time.perf_counter()
            work()
            self.finish()
            if round_ >= warm_up:
                taken.append((time.perf_counter() - begin_s) * 1e3)
        return statistics.median(taken)

    def peak_mib(self) -> float:
        """Most device memory that tensors took since the last call; 0 on a processor."""
        if not self.is_cuda:
            return 0.0
        peak = torch.cuda.max_memory_allocated() / 2**20
        torch.cuda.reset_peak_memory_stats()
        return peak
