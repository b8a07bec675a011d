"""How good the network is now: J&F on a fixed set of generated clips, by type of sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from torch import nn

from ssa_stream.data import TYPE_WEIGHTS, ClipSample, SceneConfig, sample_clip
from ssa_stream.evaluation import ClipData, EvaluationConfig, evaluate
from ssa_stream.model import SSA
from ssa_stream.model.clip import encode_text
from ssa_stream.training.config.data import SyntheticData
from ssa_stream.training.config.stages import ClipPretrainStage, SegmentStage, ValidationConfig
from ssa_stream.training.data.batch import CaptionBatch
from ssa_stream.training.tiny.clip.captions import caption_batch
from ssa_stream.training.tiny.clip.contrastive import CLIP_PARTS, ContrastiveObjective, retrieval_accuracy
from ssa_stream.training.tiny.clip.paraphrases import ParaphrasePool

__all__ = ["Validation", "in_evaluation", "validate_clip", "validate_segmentation", "validate_text"]


@dataclass(frozen=True)
class Validation:
    """Figures of one validation, 0..1.

    Attributes:
        score: The one that decides which weights are best.
        figures: All of them, by name.
    """

    score: float
    figures: dict[str, float]


@contextmanager
def in_evaluation(module: nn.Module) -> Iterator[None]:
    """Switch to evaluation, and back to training after it."""
    module.eval()
    try:
        yield
    finally:
        module.train()


def validate_segmentation(model: SSA, config: ValidationConfig, stage: SegmentStage) -> Validation:
    """Evaluate on the validation clips, at their own size.

    Args:
        model: The network, in evaluation mode.
        config: Which clips.
        stage: For `split: train`, whose clips they are.
    """
    settings = EvaluationConfig()
    session = replace(settings.session, short_edge_px=min(config.size), long_edge_px=max(config.size))
    report = evaluate(model, ClipData(_clips(config, stage)), config.mode, replace(settings, session=session))
    overall = report.groups[0]
    figures = {
        "J&F": overall.j_and_f,
        "J": overall.j,
        "F": overall.f,
        "presence": overall.presence_frames,
        **{group.name: group.j_and_f for group in report.groups[1:]},
    }
    return Validation(overall.j_and_f, figures)


def _clips(config: ValidationConfig, stage: SegmentStage) -> list[ClipSample]:
    first, weights = 0, TYPE_WEIGHTS
    scenes = SceneConfig(min_objects=config.min_objects, max_objects=config.max_objects)
    if config.split == "train" and isinstance(stage.data, SyntheticData):
        first, weights = stage.data.first_seed, stage.data.type_weights or TYPE_WEIGHTS
        scenes = SceneConfig(min_objects=stage.data.min_objects, max_objects=stage.data.max_objects)
    return [
        sample_clip(seed, config.frames, config.size, config.split, config=scenes, type_weights=weights)
        for seed in range(first, first + config.clips)
    ]


@torch.no_grad()
def validate_clip(
    objective: ContrastiveObjective, config: ValidationConfig, stage: ClipPretrainStage, device: torch.device
) -> Validation:
    """Retrieve captions, objects and paraphrases, and name attributes, among `config.clips` of the validation split."""
    context_length = objective.clip.context_length
    batch = caption_batch(stage.view, 0, 0, config.clips, config.size, context_length, "val")
    if stage.paraphrases:
        pool = ParaphrasePool(config.clips, 0, "val")
        paraphrases, equal = pool.pairs(config.clips, np.random.default_rng(0), context_length)
        batch = batch._replace(paraphrases=paraphrases, equal=equal)
    parts = objective(CaptionBatch(*(field.to(device) for field in batch))).parts.tolist()
    figures = dict(zip(CLIP_PARTS, parts, strict=True))
    return Validation((figures["image_to_text"] + figures["text_to_image"]) / 2, figures)


@torch.no_grad()
def validate_text(clip: CLIP, config: ValidationConfig, device: torch.device) -> Validation:
    """Sentences said with kept-back phrases, and whether the nearest one without them means the same."""
    pool = ParaphrasePool(config.clips, 0, "val")
    tokens, equal = pool.pairs(config.clips, np.random.default_rng(0), clip.context_length, ("trained", "all"))
    sentences = encode_text(clip, tokens.flatten(0, 1).to(device), 1).sentence.float()
    one, other = F.normalize(sentences, dim=-1).unflatten(0, (-1, 2)).unbind(1)
    found = float(retrieval_accuracy(other, one, equal.to(device))[0])
    distance = (sentences[1::2] - sentences[::2]).square().sum(dim=-1).mean() / sentences[::2].var(dim=0).sum()
    return Validation(found, {"found": found, "distance": float(distance)})
