"""Readings of what features and queries should hold, taught beside the losses of SSA and thrown away afterwards."""

import torch
from torch import Tensor, nn

from ssa_stream.training.config.loss import LossConfig
from ssa_stream.training.data.batch import ClipBatch
from ssa_stream.training.objectives.forward import TrainingOutput
from ssa_stream.training.objectives.matching import Matches
from ssa_stream.training.tiny.locations import LocationHeads, TokenLocationHeads
from ssa_stream.training.tiny.outlines import OutlineHead
from ssa_stream.training.tiny.tokens import TokenHeads, look_loss, reference_loss

__all__ = ["AUXILIARY_PARTS", "AuxiliaryHeads"]

AUXILIARY_PARTS = ("location", "motion", "outline", "look", "reference")
"""Names of the losses, in order."""


class AuxiliaryHeads(nn.Module):
    """The heads whose losses have a weight.

    Args:
        dim: Hidden width of the network.
        config: Weights.
        steady: Whether frames are as far apart as in a video; velocities mean nothing otherwise.
    """

    def __init__(self, dim: int, config: LossConfig, *, steady: bool = True) -> None:
        super().__init__()
        velocity_weight = config.location_weight if steady else 0.0
        token_weight = config.token_weight
        self.weights = [config.location_weight, velocity_weight, config.outline_weight, token_weight, token_weight]
        self.locations = LocationHeads(dim) if config.location_weight else None
        self.token_locations = TokenLocationHeads(dim) if config.location_weight else None
        self.outlines = OutlineHead(dim) if config.outline_weight else None
        self.tokens = TokenHeads(dim) if config.token_weight else None

    def forward(self, output: TrainingOutput, batch: ClipBatch, of_frames: Matches) -> tuple[Tensor, Tensor]:
        """Losses of a batch.

        Args:
            output: Predictions for `I` items of `T` frames, float32.
            batch: What they are for, no longer than the window.
            of_frames: Queries of the last frame-decoder layers, `(L, I, T, G)`.
        Returns:
            The weighted sum, a scalar, and the losses, `(len(AUXILIARY_PARTS),)`.
        """
        masks = batch.masks
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
