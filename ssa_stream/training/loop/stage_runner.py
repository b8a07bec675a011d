"""A stage, ready to be run: what is trained, on which batches, and how it is judged."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from ssa_stream.model import SSA
from ssa_stream.training.config import ClipsStage, ValidationConfig
from ssa_stream.training.data.clip_batches import ClipBatches, open_clips
from ssa_stream.training.loop.optimizer import build_optimizer
from ssa_stream.training.loop.validation import Validation, in_evaluation, validate_segmentation
from ssa_stream.training.objectives.losses import Reduce
from ssa_stream.training.objectives.objective import SEGMENT_PARTS, SegmentObjective

__all__ = ["ClipsRunner", "StageContext", "StageRunner"]


class StageRunner(Protocol):
    """What the trainer knows of a stage; `recipe.prepare_stage` makes one of its settings."""

    @property
    def objective(self) -> nn.Module:
        """Maps a batch to a `StepLoss`."""

    @property
    def extra(self) -> nn.Module | None:
        """What a resumed run needs beside the network, such as heads that are trained with it."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts of the loss."""

    @property
    def loads_aside(self) -> bool:
        """Whether processes of their own can make the batches."""

    @property
    def chooses_best(self) -> bool:
        """Whether the score says which checkpoint is best."""

    def optimizer(self, *, fused: bool) -> torch.optim.Optimizer:
        """A fresh optimiser of what is trained."""

    def batches(self) -> Dataset[Any]:
        """Batches of this device by step."""

    def validate(self, device: torch.device) -> Validation:
        """Judge the present weights."""


def _alone(value: Tensor) -> Tensor:
    return value


@dataclass(frozen=True)
class StageContext:
    """Where a stage is run.

    Attributes:
        model: The network, trained in place.
        validation: How it is judged.
        number: Number of the stage.
        seed: Of the run.
        rank: Number of this device.
        world_size: Number of devices.
        reduce: Mean of a number over all devices.
    """

    model: SSA
    validation: ValidationConfig
    number: int = 0
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    reduce: Reduce = _alone


class ClipsRunner:
    """SSA on clips, CLIP frozen.

    Args:
        stage: Its settings.
        context: Where it is run.
        previous: Not needed.
    """

    parts = SEGMENT_PARTS
    extra: nn.Module | None = None
    loads_aside = True
    chooses_best = True

    def __init__(self, stage: ClipsStage, context: StageContext, previous: StageRunner | None = None) -> None:
        self._stage, self._context = stage, context
        self.objective = SegmentObjective(context.model, stage, context.reduce)

    def optimizer(self, *, fused: bool) -> torch.optim.Optimizer:
        """AdamW over all that gets a gradient, which CLIP does not."""
        return build_optimizer(self.objective, self._stage.optimizer, fused=fused)

    def batches(self) -> Dataset[Any]:
        """Clips with sentences and masks."""
        stage, context = self._stage, self._context
        source = open_clips(stage, context.seed, context.number)
        context_length = context.model.clip.context_length
        return ClipBatches(stage, source, context.seed, context_length, context.rank, context.world_size)

    def validate(self, device: torch.device) -> Validation:
        """J&F on the validation clips."""
        with in_evaluation(self.objective):
            return validate_segmentation(self._context.model, self._context.validation, self._stage)
