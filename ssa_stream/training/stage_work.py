"""What differs between the kinds of stages: what is trained, on which batches, and how it is judged."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from ssa_stream.model import SSA
from ssa_stream.training.caption_batches import CaptionBatches
from ssa_stream.training.clip_batches import ClipBatches, open_source
from ssa_stream.training.config import ClipPretrainStage, SegmentStage, Stage, ValidationConfig
from ssa_stream.training.contrastive import CLIP_PARTS, ContrastiveObjective
from ssa_stream.training.losses import Reduce
from ssa_stream.training.objective import SEGMENT_PARTS, SegmentObjective
from ssa_stream.training.optimizer import build_optimizer
from ssa_stream.training.validation import Validation, in_evaluation, validate_clip, validate_segmentation

__all__ = ["ClipPretrainWork", "SegmentWork", "StageWork", "stage_work"]


class StageWork(Protocol):
    """A stage, ready to be run."""

    @property
    def objective(self) -> nn.Module:
        """Maps a batch to a `StepLoss`."""

    @property
    def own(self) -> nn.Module | None:
        """What is trained beside the network and is not part of it."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts of the loss."""

    @property
    def chooses_best(self) -> bool:
        """Whether the score says which checkpoint is best."""

    def optimizer(self, *, fused: bool) -> torch.optim.Optimizer:
        """A fresh optimiser of what is trained."""

    def batches(self, seed: int, rank: int, world_size: int) -> Dataset[Any]:
        """Batches by step."""

    def validate(self, device: torch.device) -> Validation:
        """Judge the present weights."""


class ClipPretrainWork:
    """CLIP, contrastively."""

    parts = CLIP_PARTS
    chooses_best = False

    def __init__(self, model: SSA, stage: ClipPretrainStage, validation: ValidationConfig) -> None:
        self._stage, self._validation = stage, validation
        self.objective = ContrastiveObjective(
            model.clip, aspect_weight=stage.aspect_weight, freeze_images=stage.freeze_images
        )
        self.own = self.objective.aspects

    def optimizer(self, *, fused: bool) -> torch.optim.Optimizer:
        """AdamW over all of CLIP; biases and gains do not decay."""
        return build_optimizer(self.objective, self._stage.optimizer, decay_vectors=False, fused=fused)

    def batches(self, seed: int, rank: int, world_size: int) -> Dataset[Any]:
        """Captioned images."""
        return CaptionBatches(self._stage, seed, self.objective.clip.context_length, rank, world_size)

    def validate(self, device: torch.device) -> Validation:
        """Retrieval on the validation split."""
        with in_evaluation(self.objective):
            return validate_clip(self.objective, self._validation, self._stage, device)


class SegmentWork:
    """SSA on images or clips, CLIP frozen."""

    parts = SEGMENT_PARTS
    chooses_best = True

    def __init__(
        self, model: SSA, stage: SegmentStage, validation: ValidationConfig, number: int, reduce: Reduce
    ) -> None:
        self._model, self._stage, self._validation, self._number = model, stage, validation, number
        self.objective = SegmentObjective(model, stage, reduce)
        self.own = self.objective.auxiliary

    def optimizer(self, *, fused: bool) -> torch.optim.Optimizer:
        """AdamW over all but CLIP."""
        return build_optimizer(self.objective, self._stage.optimizer, fused=fused)

    def batches(self, seed: int, rank: int, world_size: int) -> Dataset[Any]:
        """Clips with sentences and masks."""
        source = open_source(self._stage, seed, self._number)
        return ClipBatches(self._stage, source, seed, self._model.clip.context_length, rank, world_size)

    def validate(self, device: torch.device) -> Validation:
        """J&F on the validation clips."""
        with in_evaluation(self.objective):
            return validate_segmentation(self._model, self._validation, self._stage)


def _alone(value: Tensor) -> Tensor:
    return value


def stage_work(
    model: SSA, stage: Stage, validation: ValidationConfig, number: int, reduce: Reduce = _alone
) -> StageWork:
    """Prepare stage number `number` of a run on `model`."""
    if isinstance(stage, ClipPretrainStage):
        return ClipPretrainWork(model, stage, validation)
    return SegmentWork(model, stage, validation, number, reduce)
