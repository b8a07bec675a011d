"""From a batch to the total loss of SSA: the module that is trained, with the network inside."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ssa_stream.model import SSA
from ssa_stream.model.adapter import StageAdapter
from ssa_stream.model.clip import encode_text
from ssa_stream.training.config.data import SyntheticData
from ssa_stream.training.config.loss import LossConfig
from ssa_stream.training.config.stages import ClipsStage, LongClipsStage, SegmentStage
from ssa_stream.training.data.batch import ClipBatch, normalize
from ssa_stream.training.objectives.forward import TrainingOutput, VideoOutput, forward_clips
from ssa_stream.training.objectives.losses import Reduce, set_losses
from ssa_stream.training.objectives.matching import Matches, SetPrediction, duplicates, match
from ssa_stream.training.objectives.similarity import matched_rows, similarity_loss
from ssa_stream.training.objectives.targets import clip_targets, frame_targets
from ssa_stream.training.tiny.auxiliary import AUXILIARY_PARTS, AuxiliaryHeads
from ssa_stream.training.tiny.slots import share_of_frames

__all__ = [
    "SEGMENT_PARTS",
    "SegmentObjective",
    "StepLoss",
    "criterion",
    "set_dropout",
    "video_float32",
    "video_losses",
]

SEGMENT_PARTS = (
    *("frame_class", "frame_mask", "frame_dice"),
    *("video_class", "video_mask", "video_dice"),
    "similarity",
    *AUXILIARY_PARTS,
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
        stage: Losses and window.
        reduce: Mean of a number over all devices.
    """

    def __init__(self, model: SSA, stage: SegmentStage, reduce: Reduce) -> None:
        super().__init__()
        self.model = model
        self.stage = stage
        self.reduce = reduce
        steady = not (isinstance(stage.data, SyntheticData) and stage.data.spread)
        self.auxiliary = AuxiliaryHeads(model.config.hidden_dim, stage.loss, steady=steady)
        model.requires_grad_(True)
        model.clip.requires_grad_(False)
        model.video_decoder.requires_grad_(not (isinstance(stage, ClipsStage) and stage.freeze_video))
        self.steady = steady
        set_dropout(model, model.config.dropout if stage.dropout is None else stage.dropout)

    def train(self, mode: bool = True) -> "SegmentObjective":
        """Switch to training; the stage decides whether CLIP's stochastic depth wakes up."""
        super().train(mode)
        if self.stage.stochastic_depth:
            self.model.clip.train(mode)
        return self

    def forward(self, batch: ClipBatch) -> StepLoss:
        """Loss of a batch on the network's device."""
        model, stage = self.model, self.stage
        with torch.no_grad():
            text = encode_text(model.clip, batch.tokens, model.config.clip.num_words)
        window, decay = (stage.window, stage.decay) if isinstance(stage, LongClipsStage) else (None, 1.0)
        output = forward_clips(
            model,
            normalize(batch.images, batch.extents),
            text,
            batch.clip_index,
            frame_layers=stage.loss.frame_layers,
            window=window,
            decay=decay,
        )
        if window:
            batch = batch._replace(
                images=batch.images[:, -window:],
                masks=batch.masks[:, :, -window:],
                object_masks=batch.object_masks[:, -window:],
            )
        with torch.autocast(batch.images.device.type, enabled=False):
            return criterion(
                model, self.auxiliary, _float32(output), batch, stage.loss, self.reduce, steady=self.steady
            )


def set_dropout(model: SSA, dropout: float) -> None:
    """Set the dropout of everything but CLIP."""
    for name, child in model.named_children():
        for module in child.modules() if name != "clip" else ():
            if isinstance(module, nn.Dropout):
                module.p = dropout
            elif isinstance(module, StageAdapter):
                module.attention.dropout = dropout


def criterion(
    model: SSA,
    auxiliary: AuxiliaryHeads,
    output: TrainingOutput,
    batch: ClipBatch,
    config: LossConfig,
    reduce: Reduce,
    *,
    steady: bool = True,
) -> StepLoss:
    """All losses of SSA.

    Args:
        model: For the projections of the similarity loss.
        auxiliary: Further losses.
        output: Predictions for `I` items of `T` frames, float32.
        batch: What they are for, no longer than the window.
        config: Weights.
        reduce: Mean over devices.
        steady: See `video_losses`.
    """
    asked = batch.known if config.all_objects else batch.possible
    of_frames = frame_targets(batch.masks, asked, batch.possible)
    frame_matches = match(output.frames, of_frames, config)
    frame = set_losses(output.frames, of_frames, frame_matches, config, reduce)  # (D, 3)
    last = (field[-config.frame_layers :].unflatten(1, (len(batch.masks), -1)) for field in frame_matches)
    last_frames = Matches(*last)  # (L, I, T, G)
    video = video_losses(model, output.video, last_frames, batch, config, reduce, steady=steady)
    further, parts = auxiliary(output, batch, last_frames)
    total = config.frame_weight * (frame * set_weights(config).to(frame)).sum() + video.total + further
    return StepLoss(total, torch.cat([frame[-1].detach(), video.parts, parts.detach()]))


def video_losses(
    model: SSA,
    output: VideoOutput,
    of_frames: Matches,
    batch: ClipBatch,
    config: LossConfig,
    reduce: Reduce,
    *,
    steady: bool = True,
) -> StepLoss:
    """Losses of what the video decoder makes of clips; the parts are class, mask, dice and similarity loss.

    Args:
        model: For the projections of the similarity loss.
        output: Predictions for `I` items of `T` frames, float32.
        of_frames: Frame queries of the objects, `(L, I, T, G)`.
        batch: What the predictions are for.
        config: Weights.
        reduce: Mean over devices.
        steady: Whether the frames follow each other, so that they show motion; otherwise nothing is asked of the
            classes of sentences that single frames leave open.
    """
    asked = batch.known if config.all_objects else batch.meant
    L, targets = config.frame_layers, clip_targets(batch.masks, asked, batch.meant)
    depths = len(output.prediction.class_logits) // L
    of_slots = config.slot_weight * share_of_frames(output.order, of_frames).repeat(depths, 1, 1, 1)
    matches = match(output.prediction, targets, config, of_slots)
    # The L copies of a layer have the same targets, so the mean over copies is what one loss over all of them gives.
    doubles = duplicates(output.prediction, targets, config) if config.duplicate_iou else None
    clear = None if steady else ~(batch.possible & ~batch.meant).any(dim=1)
    losses = set_losses(output.prediction, targets, matches, config, reduce, doubles, clear)
    losses = losses.unflatten(0, (-1, L)).mean(dim=1)
    queries = output.aligned if config.misordered_similarity else output.projected  # (L, I, T, N, C)
    last = Matches(*(field[-L:] for field in matches))  # (L, I, G)
    decoder = model.video_decoder
    similarity = similarity_loss(
        matched_rows(decoder.frame_similarity(queries), of_frames).flatten(0, 1),
        of_frames.matched.flatten(0, 1),
        matched_rows(decoder.video_similarity(output.queries), last).flatten(0, 1),
        last.matched.flatten(0, 1),
    )
    total = config.video_weight * (losses * set_weights(config).to(losses)).sum()
    parts = torch.cat([losses[-1], similarity.view(1)]).detach()
    return StepLoss(total + config.similarity_weight * similarity, parts)


def set_weights(config: LossConfig) -> Tensor:
    """Weights of class, mask and dice loss, `(3,)`."""
    return torch.tensor([config.class_weight, config.mask_weight, config.dice_weight])


def float32(prediction: SetPrediction) -> SetPrediction:
    """Predictions in float32: losses are computed in it whatever the network runs in."""
    return SetPrediction(*(field.float() for field in prediction))


def video_float32(output: VideoOutput) -> VideoOutput:
    """The same in float32."""
    return VideoOutput(
        prediction=float32(output.prediction),
        projected=output.projected.float(),
        aligned=output.aligned.float(),
        order=output.order,
        enhanced=output.enhanced.float(),
        queries=output.queries.float(),
    )


def _float32(output: TrainingOutput) -> TrainingOutput:
    depths = tuple(tuple(level.float() for level in levels) for levels in output.depths)
    return TrainingOutput(float32(output.frames), video_float32(output.video), depths)
