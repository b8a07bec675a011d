"""From a batch to the total loss of SSA: the module that is trained, with the network inside."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ssa_stream.model import SSA
from ssa_stream.model.adapter import StageAdapter
from ssa_stream.model.clip import encode_text
from ssa_stream.training.config import ClipsStage, LossConfig, SegmentStage
from ssa_stream.training.data.batch import ClipBatch, normalize
from ssa_stream.training.objectives.forward import TrainingOutput, VideoOutput, float32, forward_clips
from ssa_stream.training.objectives.losses import (
    ClassLabels,
    Reduce,
    class_labels,
    set_losses,
    set_weights,
    similarity_loss,
)
from ssa_stream.training.objectives.matching import (
    MaskTargets,
    Matches,
    SetPrediction,
    clip_targets,
    frame_targets,
    match,
    matched_rows,
)

__all__ = [
    "SEGMENT_PARTS",
    "SegmentObjective",
    "StepLoss",
    "VideoLosses",
    "frame_losses",
    "last_layers",
    "make_learnable",
    "predict",
    "set_dropout",
    "video_losses",
]

SEGMENT_PARTS = (
    *("frame_class", "frame_mask", "frame_dice"),
    *("video_class", "video_mask", "video_dice"),
    "similarity",
)
"""Parts of the loss that are logged: of the last depth, unweighted."""


class StepLoss(NamedTuple):
    """Loss of one step.

    Attributes:
        total: What is minimised, a scalar.
        parts: Unweighted parts for the log, `(P,)`, detached.
    """

    total: Tensor
    parts: Tensor


class SegmentObjective(nn.Module):
    """SSA with its losses. CLIP gets no gradient.

    Args:
        model: The network; trained in place.
        stage: Losses.
        reduce: Mean of a number over all devices.
    """

    def __init__(self, model: SSA, stage: ClipsStage, reduce: Reduce) -> None:
        super().__init__()
        self.model = model
        self.stage = stage
        self.reduce = reduce
        make_learnable(model, stage)

    def train(self, mode: bool = True) -> "SegmentObjective":
        """Switch to training; the stage decides whether CLIP's stochastic depth wakes up."""
        super().train(mode)
        if self.stage.stochastic_depth:
            self.model.clip.train(mode)
        return self

    def forward(self, batch: ClipBatch) -> StepLoss:
        """Loss of a batch on the network's device."""
        model, config = self.model, self.stage.loss
        output = predict(model, batch, config.frame_layers)
        with torch.autocast(batch.images.device.type, enabled=False):
            output = float32(output)
            targets = frame_targets(batch.masks, batch.meant, batch.meant)
            frame, matches = frame_losses(output.frames, targets, config, self.reduce)
            of_frames = last_layers(matches, config.frame_layers, len(batch.masks))
            targets = clip_targets(batch.masks, batch.meant, batch.meant)
            video = video_losses(model, output.video, of_frames, targets, config, self.reduce)
            weights = set_weights(config).to(frame)
            total = (video.of_sets * weights).sum() + config.similarity_weight * video.similarity
            total = (frame * weights).sum() + total
        return StepLoss(total, torch.cat([frame[-1], video.of_sets[-1], video.similarity.view(1)]).detach())


def make_learnable(model: SSA, stage: SegmentStage) -> None:
    """Let everything but CLIP be trained, with the dropout of the stage."""
    model.requires_grad_(True)
    model.clip.requires_grad_(False)
    set_dropout(model, model.config.dropout if stage.dropout is None else stage.dropout)


def set_dropout(model: SSA, dropout: float) -> None:
    """Set the dropout of everything but CLIP."""
    for name, child in model.named_children():
        for module in child.modules() if name != "clip" else ():
            if isinstance(module, nn.Dropout):
                module.p = dropout
            elif isinstance(module, StageAdapter):
                module.attention.dropout = dropout


def predict(model: SSA, batch: ClipBatch, frame_layers: int) -> TrainingOutput:
    """The network's forward on a batch, see `forward_clips`."""
    with torch.no_grad():
        text = encode_text(model.clip, batch.tokens, model.config.clip.num_words)
    pixels = normalize(batch.images, batch.extents)
    return forward_clips(model, pixels, text, batch.clip_index, frame_layers=frame_layers)


def frame_losses(
    frames: SetPrediction, targets: MaskTargets, config: LossConfig, reduce: Reduce
) -> tuple[Tensor, Matches]:
    """Losses of single frames at all depths, `(D, 3)`, unweighted; and the queries of the objects, `(D, I * T, G)`."""
    matches = match(frames, targets, config)
    labels = class_labels(matches, targets.referred, frames.class_logits.shape[2])
    return set_losses(frames, targets, matches, labels, config, reduce), matches


def last_layers(matches: Matches, frame_layers: int, num_items: int) -> Matches:
    """Matches of the last layers of the frame decoder, frame by frame, `(L, I, T, G)`."""
    return Matches(*(field[-frame_layers:].unflatten(1, (num_items, -1)) for field in matches))


class VideoLosses(NamedTuple):
    """Losses of whole clips, unweighted.

    Attributes:
        of_sets: Class, mask and dice loss of all depths, `(D, 3)`.
        similarity: A scalar.
    """

    of_sets: Tensor
    similarity: Tensor


def video_losses(
    model: SSA,
    output: VideoOutput,
    of_frames: Matches,
    targets: MaskTargets,
    config: LossConfig,
    reduce: Reduce,
    *,
    preference: Tensor | None = None,
    relabel: Callable[[ClassLabels], ClassLabels] | None = None,
) -> VideoLosses:
    """Losses of what the video decoder makes of clips.

    Args:
        model: For the projections of the similarity loss.
        output: Predictions for `I` items of `T` frames, float32.
        of_frames: Frame queries of the objects, `(L, I, T, G)`.
        targets: Objects of the clips.
        config: Points and weights.
        reduce: Mean over devices.
        preference: See `match`.
        relabel: Changes what is asked of the classes.
    """
    prediction, L = output.prediction, config.frame_layers
    matches = match(prediction, targets, config, preference)
    labels = class_labels(matches, targets.referred, prediction.class_logits.shape[2])
    if relabel is not None:
        labels = relabel(labels)
    # The L copies of a layer have the same targets, so the mean over copies is what one loss over all of them gives.
    losses = set_losses(prediction, targets, matches, labels, config, reduce).unflatten(0, (-1, L)).mean(dim=1)
    queries = output.aligned if config.misordered_similarity else output.projected  # (L, I, T, N, C)
    last = Matches(*(field[-L:] for field in matches))  # (L, I, G)
    decoder = model.video_decoder
    similarity = similarity_loss(
        matched_rows(decoder.frame_similarity(queries), of_frames).flatten(0, 1),
        of_frames.matched.flatten(0, 1),
        matched_rows(decoder.video_similarity(output.queries), last).flatten(0, 1),
        last.matched.flatten(0, 1),
    )
    return VideoLosses(losses, similarity)
