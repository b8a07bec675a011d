"""The stages that train CLIP: its pre-training, and its text tower alone."""

from typing import Any

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
from ssa_stream.training.loop.validation import Validation, in_evaluation
from ssa_stream.training.tiny.clip.captions import CaptionBatch, CaptionBatches, caption_batch
from ssa_stream.training.tiny.clip.contrastive import CLIP_PARTS, ContrastiveObjective, retrieval_accuracy
from ssa_stream.training.tiny.clip.paraphrases import ParaphrasePool
from ssa_stream.training.tiny.clip.text import TEXT_PARTS, TextBatches, TextObjective
from ssa_stream.training.tiny.config import ClipPretrainStage, ClipTextStage

__all__ = ["ClipPretrainRunner", "ClipTextRunner"]


class _ClipRunner:
    """What both share."""

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
