"""The stages that only `ssa-tiny` has: CLIP from nothing, SSA with further losses, its video decoder on what moves."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset

from ssa_stream.model.clip import encode_text
from ssa_stream.training.config import Stage
from ssa_stream.training.data.clip_batches import share_of_batch
from ssa_stream.training.loop.optimizer import build_optimizer
from ssa_stream.training.loop.stage_runner import StageContext, StageRunner
from ssa_stream.training.loop.validation import Validation, in_evaluation, validate_segmentation
from ssa_stream.training.tiny.clip.captions import CaptionBatch, CaptionBatches, caption_batch
from ssa_stream.training.tiny.clip.contrastive import CLIP_PARTS, ContrastiveObjective, retrieval_accuracy
from ssa_stream.training.tiny.clip.paraphrases import ParaphrasePool
from ssa_stream.training.tiny.clip.text import TEXT_PARTS, TextBatches, TextObjective
from ssa_stream.training.tiny.clips import TinyBatches
from ssa_stream.training.tiny.config import (
    ClipPretrainStage,
    ClipTextStage,
    MotionStage,
    TinyClipsStage,
    TinySegmentStage,
)
from ssa_stream.training.tiny.motion.objective import DECISION_PARTS, SLOT_PARTS, MotionObjective
from ssa_stream.training.tiny.motion.windows import KeptClips, MotionBatches
from ssa_stream.training.tiny.objective import TINY_PARTS, TinyObjective

__all__ = ["RUNNERS", "ClipPretrainRunner", "ClipTextRunner", "MakeRunner", "MotionRunner", "TinyClipsRunner"]

_ORDINARY_SENTENCES: Final = 2
"""About each of the other clips of motion stages."""


class _ClipRunner:
    """What both stages that train CLIP share."""

    loads_aside = True
    chooses_best = False
    objective: nn.Module
    _stage: Stage

    def optimizer(self, *, fused: bool) -> torch.optim.Optimizer:
        """AdamW over what is learnable; biases and gains do not decay."""
        return build_optimizer(self.objective, self._stage.optimizer, decay_vectors=False, fused=fused)


class ClipPretrainRunner(_ClipRunner):
    """CLIP, contrastively."""

    parts = CLIP_PARTS
    objective: ContrastiveObjective
    _stage: ClipPretrainStage

    def __init__(self, stage: ClipPretrainStage, context: StageContext, previous: StageRunner | None = None) -> None:
        self._stage, self._context = stage, context
        self.objective = ContrastiveObjective(context.model.clip, freeze_images=stage.freeze_images)
        self.extra = self.objective.attributes

    def batches(self) -> Dataset[Any]:
        """Captioned images."""
        context = self._context
        context_length = self.objective.clip.context_length
        return CaptionBatches(self._stage, context.seed, context_length, context.rank, context.world_size)

    @torch.no_grad()
    def validate(self, device: torch.device) -> Validation:
        """Retrieve captions, objects and paraphrases, and name attributes, on the validation split."""
        stage, config = self._stage, self._context.validation
        context_length = self.objective.clip.context_length
        batch = caption_batch(stage.view, 0, 0, config.clips, config.size, context_length, "val")
        if stage.paraphrases:
            pool = ParaphrasePool(config.clips, 0, "val")
            paraphrases, equal = pool.pairs(config.clips, np.random.default_rng(0), context_length)
            batch = batch._replace(paraphrases=paraphrases, equal=equal)
        with in_evaluation(self.objective):
            parts = self.objective(CaptionBatch(*(field.to(device) for field in batch))).parts.tolist()
        figures = dict(zip(CLIP_PARTS, parts, strict=True))
        return Validation((figures["image_to_text"] + figures["text_to_image"]) / 2, figures)


class ClipTextRunner(_ClipRunner):
    """CLIP's text tower, beside the one that it was."""

    parts = TEXT_PARTS
    objective: TextObjective
    _stage: ClipTextStage

    def __init__(self, stage: ClipTextStage, context: StageContext, previous: StageRunner | None = None) -> None:
        self._stage, self._context = stage, context
        self.objective = TextObjective(context.model.clip, context.model.config.clip.num_words)
        self.extra = self.objective.before

    def batches(self) -> Dataset[Any]:
        """Sentences as they are and with unknown words."""
        stage, context = self._stage, self._context
        share, context_length = share_of_batch(stage, context.world_size), self.objective.clip.context_length
        return TextBatches(stage.scenes, stage.steps, share, context.seed, context_length, context.rank)

    @torch.no_grad()
    def validate(self, device: torch.device) -> Validation:
        """Sentences said with kept-back phrases, and whether the nearest one without them means the same."""
        config, clip = self._context.validation, self.objective.clip
        pool = ParaphrasePool(config.clips, 0, "val")
        tokens, equal = pool.pairs(config.clips, np.random.default_rng(0), clip.context_length, ("trained", "all"))
        with in_evaluation(self.objective):
            sentences = encode_text(clip, tokens.flatten(0, 1).to(device), 1).sentence.float()
        one, other = F.normalize(sentences, dim=-1).unflatten(0, (-1, 2)).unbind(1)
        found = float(retrieval_accuracy(other, one, equal.to(device))[0])
        distance = (sentences[1::2] - sentences[::2]).square().sum(dim=-1).mean() / sentences[::2].var(dim=0).sum()
        return Validation(found, {"found": found, "distance": float(distance)})


class _SegmentRunner:
    """What both stages that train SSA share."""

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


MakeRunner = Callable[[Any, StageContext, StageRunner | None], StageRunner]
"""Of a stage's settings, where it is run, and the stage before it."""
RUNNERS: Final[Mapping[type[Stage], MakeRunner]] = {
    ClipPretrainStage: ClipPretrainRunner,
    ClipTextStage: ClipTextRunner,
    TinyClipsStage: TinyClipsRunner,
    MotionStage: MotionRunner,
}
