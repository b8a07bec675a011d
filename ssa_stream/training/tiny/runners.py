"""The stages that train SSA with further losses, and its video decoder on what moves."""

from typing import Any, Final

import msgspec
import torch
from torch import nn
from torch.utils.data import Dataset

from ssa_stream.training.loop.optimizer import build_optimizer
from ssa_stream.training.loop.stage_runner import StageContext, StageRunner
from ssa_stream.training.loop.validation import Validation, in_evaluation, validate_segmentation
from ssa_stream.training.tiny.clips import TinyBatches
from ssa_stream.training.tiny.config import MotionStage, TinyClipsStage, TinySegmentStage
from ssa_stream.training.tiny.motion.objective import DECISION_PARTS, SLOT_PARTS, MotionObjective
from ssa_stream.training.tiny.motion.windows import KeptClips, MotionBatches
from ssa_stream.training.tiny.objective import TINY_PARTS, TinyObjective

__all__ = ["MotionRunner", "TinyClipsRunner"]

_ORDINARY_SENTENCES: Final = 2


class _SegmentRunner:
    """What both share."""

    chooses_best = True
    objective: nn.Module
    _stage: TinySegmentStage
    _context: StageContext

    def optimizer(self, *, fused: bool) -> torch.optim.Optimizer:
        """AdamW over all that gets a gradient, which CLIP does not."""
        return build_optimizer(self.objective, self._stage.optimizer, fused=fused)

    def validate(self, device: torch.device) -> Validation:
        """J&F on the validation clips."""
        with in_evaluation(self.objective):
            return validate_segmentation(self._context.model, self._context.validation, self._stage)

    def _clips(self, stage: TinySegmentStage) -> TinyBatches:
        context = self._context
        context_length = context.model.clip.context_length
        return TinyBatches(stage, context.seed, context.number, context_length, context.rank, context.world_size)


class TinyClipsRunner(_SegmentRunner):
    """SSA on clips with all their objects, CLIP frozen."""

    parts = TINY_PARTS
    loads_aside = True

    def __init__(self, stage: TinyClipsStage, context: StageContext, previous: StageRunner | None = None) -> None:
        self._stage, self._context = stage, context
        self.objective = objective = TinyObjective(context.model, stage, context.reduce)
        self.extra = objective.heads

    def batches(self) -> Dataset[Any]:
        """Clips with sentences and masks."""
        return self._clips(self._stage)


class MotionRunner(_SegmentRunner):
    """SSA's video decoder on windows of clips whose frames are computed once.

    Stages that follow each other share the clips that are kept.
    """

    loads_aside = False
    _stage: MotionStage

    def __init__(self, stage: MotionStage, context: StageContext, previous: StageRunner | None = None) -> None:
        self._stage, self._context = stage, context
        self.objective = objective = MotionObjective(context.model, stage, context.reduce)
        self.extra = objective.heads
        self.parts = DECISION_PARTS if objective.decides else SLOT_PARTS
        self.kept: KeptClips = previous.kept if isinstance(previous, MotionRunner) else KeptClips(context.seed)

    def batches(self) -> Dataset[Any]:
        """Windows with sentences, and other clips."""
        stage, context, ordinary = self._stage, self._context, None
        if stage.ordinary:
            data = msgspec.structs.replace(stage.data, sentences=_ORDINARY_SENTENCES)
            ordinary = self._clips(msgspec.structs.replace(stage, batch=stage.ordinary, data=data))
        return MotionBatches(ordinary, context.model, stage, context.seed, context.rank, context.world_size, self.kept)
