"""How good the network is now: J&F on a fixed set of generated clips, by type of sentence."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ssa_stream.data import TYPE_WEIGHTS, ClipSample, SceneConfig, sample_clip
from ssa_stream.metrics import JAndF, score_clip
from ssa_stream.model import SSA, segment_clip
from ssa_stream.training.batch import ImageBatch
from ssa_stream.training.caption_batches import caption_batch
from ssa_stream.training.config import ClipPretrainStage, SegmentStage, ValidationConfig
from ssa_stream.training.contrastive import CLIP_PARTS, ContrastiveObjective
from ssa_stream.training.data_config import SyntheticData

__all__ = ["Validation", "in_evaluation", "validate_clip", "validate_segmentation"]


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
    """Segment the validation clips offline and score the unions of the masks.

    Args:
        model: The network, in evaluation mode.
        config: Which clips.
        stage: For `split: train`, whose clips they are.
    """
    by_type: dict[str, list[JAndF]] = defaultdict(list)
    for sample in _clips(config, stage):
        height, width = sample.frames.shape[1:3]
        found = segment_clip(
            model, list(sample.frames), sample.text, short_edge_px=min(height, width), long_edge_px=max(height, width)
        )
        by_type[sample.type].append(score_clip(found.merged().numpy(), np.asarray(sample.masks.any(axis=0))))
    all_scores = [score for scores in by_type.values() for score in scores]
    figures = {
        "J&F": _mean([score.j_and_f for score in all_scores]),
        "J": _mean([score.j for score in all_scores]),
        "F": _mean([score.f for score in all_scores]),
    }
    for kind in sorted(by_type):
        figures[f"J&F {kind}"] = _mean([score.j_and_f for score in by_type[kind]])
    return Validation(figures["J&F"], figures)


def _clips(config: ValidationConfig, stage: SegmentStage) -> Iterator[ClipSample]:
    scenes = SceneConfig(min_objects=config.min_objects, max_objects=config.max_objects)
    first, weights = 0, TYPE_WEIGHTS
    if config.split == "train" and isinstance(stage.data, SyntheticData):
        first = stage.data.first_seed
        scenes = SceneConfig(min_objects=stage.data.min_objects, max_objects=stage.data.max_objects)
        weights = stage.data.type_weights or TYPE_WEIGHTS
    for number in range(config.clips):
        yield sample_clip(first + number, config.frames, config.size, config.split, config=scenes, type_weights=weights)


def _mean(values: list[float]) -> float:
    return float(np.mean(values))


@torch.no_grad()
def validate_clip(
    objective: ContrastiveObjective, config: ValidationConfig, stage: ClipPretrainStage, device: torch.device
) -> Validation:
    """Retrieve captions and images among `config.clips` of the validation split."""
    batch = caption_batch(stage, 0, 0, config.clips, objective.clip.context_length, "val")
    parts = objective(ImageBatch(*(field.to(device) for field in batch))).parts.tolist()
    figures = dict(zip(CLIP_PARTS, parts, strict=True))
    return Validation((figures["image_to_text"] + figures["text_to_image"]) / 2, figures)
