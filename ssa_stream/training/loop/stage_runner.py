"""What differs between the kinds of stages: what is trained, on which batches, and how it is judged."""

from typing import Any, Protocol

import msgspec
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from ssa_stream.errors import ConfigError
from ssa_stream.model import SSA
from ssa_stream.training.config.stages import (
    ClipPretrainStage,
    ClipTextStage,
    MotionStage,
    SegmentStage,
    Stage,
    ValidationConfig,
)
from ssa_stream.training.data.clip_batches import ClipBatches, open_source
from ssa_stream.training.loop.optimizer import build_optimizer
from ssa_stream.training.loop.validation import (
    Validation,
    in_evaluation,
    validate_clip,
    validate_segmentation,
    validate_text,
)
from ssa_stream.training.objectives.losses import Reduce
from ssa_stream.training.objectives.objective import SEGMENT_PARTS, SegmentObjective
from ssa_stream.training.tiny.clip.captions import CaptionBatches
from ssa_stream.training.tiny.clip.contrastive import CLIP_PARTS, ContrastiveObjective
from ssa_stream.training.tiny.clip.text_objective import TEXT_PARTS, TextObjective
from ssa_stream.training.tiny.clip.unknown_words import TextBatches
from ssa_stream.training.tiny.motion.objective import DECISION_PARTS, SLOT_PARTS, MotionObjective
from ssa_stream.training.tiny.motion.windows import KeptClips, MotionBatches

__all__ = ["ClipPretrainRunner", "ClipTextRunner", "MotionRunner", "SegmentRunner", "StageRunner", "prepare_stage"]


class StageRunner(Protocol):
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
    def loads_aside(self) -> bool:
        """Whether processes of their own can make the batches."""

    @property
    def chooses_best(self) -> bool:
        """Whether the score says which checkpoint is best."""

    def optimizer(self, *, fused: bool) -> torch.optim.Optimizer:
        """A fresh optimiser of what is trained."""

    def batches(self, seed: int, rank: int, world_size: int) -> Dataset[Any]:
        """Batches by step."""

    def validate(self, device: torch.device) -> Validation:
        """Judge the present weights."""


class _ClipRunner:
    """What both ways of training CLIP share."""

    loads_aside = True
    chooses_best = False
    objective: nn.Module
    _stage: ClipPretrainStage | ClipTextStage

    def optimizer(self, *, fused: bool) -> torch.optim.Optimizer:
        """AdamW over what is learnable; biases and gains do not decay."""
        return build_optimizer(self.objective, self._stage.optimizer, decay_vectors=False, fused=fused)


class ClipPretrainRunner(_ClipRunner):
    """CLIP, contrastively."""

    parts = CLIP_PARTS
    objective: ContrastiveObjective
    _stage: ClipPretrainStage

    def __init__(self, model: SSA, stage: ClipPretrainStage, validation: ValidationConfig) -> None:
        self._stage, self._validation = stage, validation
        self.objective = ContrastiveObjective(
            model.clip, attribute_weight=stage.attribute_weight, freeze_images=stage.freeze_images
        )
        self.own = self.objective.attributes

    def batches(self, seed: int, rank: int, world_size: int) -> Dataset[Any]:
        """Captioned images."""
        return CaptionBatches(self._stage, seed, self.objective.clip.context_length, rank, world_size)

    def validate(self, device: torch.device) -> Validation:
        """Retrieval on the validation split."""
        with in_evaluation(self.objective):
            return validate_clip(self.objective, self._validation, self._stage, device)


class ClipTextRunner(_ClipRunner):
    """CLIP's text tower, beside the one that it was."""

    parts = TEXT_PARTS
    objective: TextObjective
    _stage: ClipTextStage

    def __init__(self, model: SSA, stage: ClipTextStage, validation: ValidationConfig) -> None:
        self._stage, self._validation = stage, validation
        self.objective = TextObjective(model.clip, model.config.clip.num_words)
        self.own = self.objective.before

    def batches(self, seed: int, rank: int, world_size: int) -> Dataset[Any]:
        """Sentences as they are and with unknown words."""
        stage, context_length = self._stage, self.objective.clip.context_length
        if stage.batch % world_size:
            raise ConfigError(f"stage {stage.name}: batch {stage.batch} cannot be shared by {world_size} devices")
        return TextBatches(stage.scenes, stage.steps, stage.batch // world_size, seed, context_length, rank)

    def validate(self, device: torch.device) -> Validation:
        """Sentences with kept-back phrases, found again among all others of their scene."""
        with in_evaluation(self.objective):
            return validate_text(self.objective.clip, self._validation, device)


class _ClipsRunner:
    """What both ways of training SSA on clips share."""

    chooses_best = True
    objective: nn.Module

    def __init__(self, model: SSA, stage: SegmentStage, validation: ValidationConfig, number: int) -> None:
        self._model, self._stage, self._validation, self._number = model, stage, validation, number

    def optimizer(self, *, fused: bool) -> torch.optim.Optimizer:
        """AdamW over all that gets a gradient, which CLIP does not."""
        return build_optimizer(self.objective, self._stage.optimizer, fused=fused)

    def validate(self, device: torch.device) -> Validation:
        """J&F on the validation clips."""
        with in_evaluation(self.objective):
            return validate_segmentation(self._model, self._validation, self._stage)

    def _clips(self, seed: int, rank: int, world_size: int, stage: SegmentStage) -> ClipBatches:
        source = open_source(stage, seed, self._number)
        return ClipBatches(stage, source, seed, self._model.clip.context_length, rank, world_size)


class SegmentRunner(_ClipsRunner):
    """SSA on images or clips, CLIP frozen."""

    parts = SEGMENT_PARTS
    loads_aside = True

    def __init__(
        self, model: SSA, stage: SegmentStage, validation: ValidationConfig, number: int, reduce: Reduce
    ) -> None:
        super().__init__(model, stage, validation, number)
        self.objective = objective = SegmentObjective(model, stage, reduce)
        self.own = objective.auxiliary

    def batches(self, seed: int, rank: int, world_size: int) -> Dataset[Any]:
        """Clips with sentences and masks."""
        return self._clips(seed, rank, world_size, self._stage)


class MotionRunner(_ClipsRunner):
    """SSA's video decoder on windows of clips whose frames are computed once."""

    loads_aside = False

    def __init__(
        self,
        model: SSA,
        stage: MotionStage,
        validation: ValidationConfig,
        number: int,
        reduce: Reduce,
        kept: KeptClips | None,
    ) -> None:
        super().__init__(model, stage, validation, number)
        self._motion_stage, self._kept = stage, kept
        self.objective = objective = MotionObjective(model, stage, reduce)
        self.own = objective.heads
        self.parts = DECISION_PARTS if objective.decides else SLOT_PARTS

    def batches(self, seed: int, rank: int, world_size: int) -> Dataset[Any]:
        """Windows with sentences, and other clips."""
        stage, ordinary = self._motion_stage, None
        if stage.ordinary:
            data = msgspec.structs.replace(stage.data, sentences=stage.ordinary_sentences)
            others = msgspec.structs.replace(stage, batch=stage.ordinary, data=data)
            ordinary = self._clips(seed, rank, world_size, others)
        return MotionBatches(ordinary, self._model, stage, seed, rank, world_size, self._kept)


def _alone(value: Tensor) -> Tensor:
    return value


def prepare_stage(
    model: SSA,
    stage: Stage,
    validation: ValidationConfig,
    number: int,
    reduce: Reduce = _alone,
    kept: KeptClips | None = None,
) -> StageRunner:
    """Prepare stage number `number` of a run on `model`; `kept` are the clips of motion stages right before it."""
    if isinstance(stage, ClipPretrainStage):
        return ClipPretrainRunner(model, stage, validation)
    if isinstance(stage, ClipTextStage):
        return ClipTextRunner(model, stage, validation)
    if isinstance(stage, MotionStage):
        return MotionRunner(model, stage, validation, number, reduce, kept)
    return SegmentRunner(model, stage, validation, number, reduce)
