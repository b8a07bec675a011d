"""From a batch to the total loss of `ssa-tiny`: the losses of SSA, asked of all objects, and further ones."""

import torch
from torch import Tensor, nn

from ssa_stream.model import SSA
from ssa_stream.training.objectives.forward import TrainingOutput, VideoOutput, float32
from ssa_stream.training.objectives.losses import ClassLabels, Reduce, set_weights
from ssa_stream.training.objectives.matching import Matches, clip_targets, frame_targets
from ssa_stream.training.objectives.objective import (
    SEGMENT_PARTS,
    StepLoss,
    frame_losses,
    last_layers,
    make_learnable,
    predict,
    video_losses,
)
from ssa_stream.training.tiny.attributes import TokenHeads, look_loss, reference_loss
from ssa_stream.training.tiny.clips import TinyBatch
from ssa_stream.training.tiny.config import TinyClipsStage, TinyLoss
from ssa_stream.training.tiny.locations import LocationHeads, OutlineHead, TokenLocationHeads
from ssa_stream.training.tiny.slots import duplicates, label_duplicates, share_of_frames

__all__ = ["HEAD_PARTS", "TINY_PARTS", "AuxiliaryHeads", "TinyObjective", "tiny_video_losses"]

HEAD_PARTS = ("location", "motion", "outline", "look", "reference")
"""Losses of the heads, in order."""

TINY_PARTS = (*SEGMENT_PARTS, *HEAD_PARTS)
"""Parts of the loss that are logged: of the last depth, unweighted."""


class AuxiliaryHeads(nn.Module):
    """Readings of what features and queries should hold, thrown away afterwards: those whose losses have a weight.

    Args:
        dim: Hidden width of the network.
        config: Weights.
        steady: Whether frames are as far apart as in a video; velocities mean nothing otherwise.
    """

    def __init__(self, dim: int, config: TinyLoss, *, steady: bool = True) -> None:
        super().__init__()
        velocity_weight = config.location_weight if steady else 0.0
        token_weight = config.token_weight
        self.weights = [config.location_weight, velocity_weight, config.outline_weight, token_weight, token_weight]
        self.locations = LocationHeads(dim) if config.location_weight else None
        self.token_locations = TokenLocationHeads(dim) if config.location_weight else None
        self.outlines = OutlineHead(dim) if config.outline_weight else None
        self.tokens = TokenHeads(dim) if config.token_weight else None

    def forward(self, output: TrainingOutput, batch: TinyBatch, of_frames: Matches) -> tuple[Tensor, Tensor]:
        """Losses of a batch.

        Args:
            output: Predictions for `I` items of `T` frames, float32.
            batch: What they are for.
            of_frames: Queries of the last frame-decoder layers, `(L, I, T, G)`.
        Returns:
            The weighted sum, a scalar, and the losses, `(len(HEAD_PARTS),)`.
        """
        masks = batch.clips.masks
        location = motion = outline = look = reference = output.video.projected.new_zeros(())
        if self.locations is not None and self.token_locations is not None:
            location, motion = self.locations(output.video, of_frames, masks)
            location = location + self.token_locations(output.depths[-1])
        if self.outlines is not None:
            outline = self.outlines(output.video.projected, of_frames, masks)
        if self.tokens is not None:
            look = look_loss(self.tokens, output.depths, batch)
            possible = masks * batch.possible[..., None, None, None]
            reference = reference_loss(self.tokens, output.depths[-1], possible)
        losses = torch.stack([location, motion, outline, look, reference])
        return (losses * losses.new_tensor(self.weights)).sum(), losses


class TinyObjective(nn.Module):
    """SSA with its losses and further ones. CLIP gets no gradient.

    Args:
        model: The network; trained in place.
        stage: Losses.
        reduce: Mean of a number over all devices.
    """

    def __init__(self, model: SSA, stage: TinyClipsStage, reduce: Reduce) -> None:
        super().__init__()
        self.model, self.stage, self.reduce = model, stage, reduce
        self.steady = not stage.data.spread
        self.heads = AuxiliaryHeads(model.config.hidden_dim, stage.loss, steady=self.steady)
        make_learnable(model, stage)
        model.video_decoder.requires_grad_(not stage.freeze_video)

    def forward(self, batch: TinyBatch) -> StepLoss:
        """Loss of a batch on the network's device."""
        model, config, clips = self.model, self.stage.loss, batch.clips
        output = predict(model, clips, config.frame_layers)
        with torch.autocast(clips.images.device.type, enabled=False):
            output = float32(output)
            asked = batch.known if config.all_objects else batch.possible
            targets = frame_targets(clips.masks, asked, batch.possible)
            frame, matches = frame_losses(output.frames, targets, config, self.reduce)
            of_frames = last_layers(matches, config.frame_layers, len(clips.masks))
            video = tiny_video_losses(model, output.video, of_frames, batch, config, self.reduce, steady=self.steady)
            further, parts = self.heads(output, batch, of_frames)
            total = (frame * set_weights(config).to(frame)).sum() + video.total + further
        return StepLoss(total, torch.cat([frame[-1].detach(), video.parts, parts.detach()]))


def tiny_video_losses(
    model: SSA,
    output: VideoOutput,
    of_frames: Matches,
    batch: TinyBatch,
    config: TinyLoss,
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
    meant, prediction = batch.clips.meant, output.prediction
    targets = clip_targets(batch.clips.masks, batch.known if config.all_objects else meant, meant)

    def relabel(labels: ClassLabels) -> ClassLabels:
        if config.duplicate_iou:
            labels = label_duplicates(labels, duplicates(prediction, targets, config), meant)
        return labels if steady else labels._replace(asked=~(batch.possible & ~meant).any(dim=1))

    depths = len(prediction.class_logits) // config.frame_layers
    preference = config.slot_weight * share_of_frames(output.order, of_frames).repeat(depths, 1, 1, 1)
    losses = video_losses(model, output, of_frames, targets, config, reduce, preference=preference, relabel=relabel)
    total = config.video_weight * (losses.of_sets * set_weights(config).to(losses.of_sets)).sum()
    parts = torch.cat([losses.of_sets[-1], losses.similarity.view(1)]).detach()
    return StepLoss(total + config.similarity_weight * losses.similarity, parts)
