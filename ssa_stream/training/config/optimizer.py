"""Settings of the optimiser and its schedule, and the learning rate as a pure function of the step."""

import math
from typing import Literal

from ssa_stream.training.config import Settings, require

__all__ = ["OptimizerConfig"]


class OptimizerConfig(Settings, frozen=True, kw_only=True):
    """AdamW, clipping and schedule.

    Attributes:
        lr: Base learning rate.
        adapter_lr_factor: Factor on the rate of the stage adapters; 0.1 in the published fine-tuning.
        weight_decay: Of all but normalisation parameters and embedding tables.
        clip_norm: Limit of the total gradient norm.
        warmup_steps: Steps in which the rate rises linearly from `warmup_factor`.
        warmup_factor: Factor at the first step.
        schedule: `steps` multiplies by `factor` at each milestone; `cosine` falls to `final_factor` at the stage's end.
        milestones: Steps of `steps`.
        factor: Of `steps`.
        final_factor: Of `cosine`.
    """

    lr: float
    adapter_lr_factor: float = 1.0
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    warmup_steps: int = 0
    warmup_factor: float = 0.0
    schedule: Literal["cosine", "steps"] = "cosine"
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    final_factor: float = 0.02

    def __post_init__(self) -> None:
        require(
            self.lr > 0 and self.clip_norm > 0 and self.weight_decay >= 0 and self.warmup_steps >= 0,
            f"optimizer: lr {self.lr} and clip_norm {self.clip_norm} must be positive, weight_decay "
            f"{self.weight_decay} and warmup_steps {self.warmup_steps} not negative",
        )

    def lr_factor(self, step: int, steps: int) -> float:
        """Factor on the learning rate.

        Args:
            step: Number of optimiser steps done before this one.
            steps: Length of the stage.
        """
        factor = 1.0
        if step < self.warmup_steps:
            factor = self.warmup_factor + (1 - self.warmup_factor) * (step + 1) / self.warmup_steps
            factor = min(1.0, factor)
        if self.schedule == "steps":
            return factor * self.factor ** sum(step >= milestone for milestone in self.milestones)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
        return factor * (self.final_factor + (1 - self.final_factor) * cosine)
