"""What each token of the pixel decoder knows: what its object looks like, and whether the sentence means it.

Text is fused into the features that SSA decodes, layer by layer. With losses on queries alone, looks go with each
layer, and what is left is one guess at whether an object is meant.

Axes: `I` items on `B` clips of `T` frames, `G` meant objects, `R` known objects, `C` channels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssa_stream.model.pixel_decoder import NUM_LEVELS
from ssa_stream.training.tiny.attributes import AttributeHeads, head_layer, mean_over_masks
from ssa_stream.training.tiny.clips import TinyBatch

__all__ = ["TokenHeads", "look_loss", "reference_loss"]


class TokenHeads(nn.Module):
    """Linear readings of looks and of being meant; not part of the network.

    Args:
        dim: `C`.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.looks = AttributeHeads([dim] * NUM_LEVELS)
        self.is_meant = nn.ModuleList(head_layer(dim, 1) for _ in range(NUM_LEVELS))


def look_loss(heads: TokenHeads, depths: Sequence[Sequence[Tensor]], batch: TinyBatch) -> Tensor:
    """Cross-entropy of the shapes, colours and textures of all known objects, whatever the sentence is about.

    Args:
        heads: Name them, alike at all depths: looks shall be passed on.
        depths: Three maps `(I * T, C, h, w)` after each layer, items clip-major.
        batch: The objects.
    Returns:
        Sum over attributes, maps and depths, a scalar; 0 without objects.
    """
    T = batch.clips.images.shape[1]
    in_clip = batch.clips.clip_index[:, None] == batch.object_clip  # (I, R)
    visible = batch.object_masks.flatten(2).amax(dim=2) > 0  # (R, T)
    item, known, frame = (in_clip[..., None] & visible).nonzero(as_tuple=True)
    if not len(item):
        return depths[0][0].new_zeros(())
    masks, picture = batch.object_masks[known, frame], item * T + frame
    losses = []
    for maps in depths:
        means = [mean_over_masks(level, masks, picture) for level in maps]
        losses.append(heads.looks(means, batch.object_attributes[known])[0])
    return torch.stack(losses).sum()


def reference_loss(heads: TokenHeads, memories: Sequence[Tensor], masks: Tensor) -> Tensor:
    """Binary cross-entropy of being meant, of every token.

    Args:
        heads: Tell it.
        memories: Three of `(I * T, C, h, w)`, items clip-major.
        masks: Of the meant objects, `(I, G, T, H, W)` uint8; a token is meant as far as it is covered.
    Returns:
        Sum over the memories, a scalar; each is divided by the number of its tokens that are meant.
    """
    covered = masks.amax(dim=1).flatten(0, 1)[:, None].to(memories[0].dtype)  # (I * T, 1, H, W)
    loss = memories[0].new_zeros(())
    for head, memory in zip(heads.is_meant, memories, strict=True):
        target = F.interpolate(covered, size=memory.shape[-2:], mode="area")[:, 0]
        logits = head(memory.movedim(1, -1))[..., 0]
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
        loss = loss + entropy / target.sum().clamp(min=1)
    return loss
