"""What maps know of single objects: means over their masks, heads that name what they look like, and tokens.

Text is fused into the features that SSA decodes, layer by layer. With losses on queries alone, looks go with each
layer, and what is left is one guess at whether an object is meant. So each token of the pixel decoder is asked what its
object looks like, and whether the sentence means it.

`R` objects in `B` pictures; `Cs` channels of a map. `I` items on clips of `T` frames, `G` meant objects, `C` channels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from torch import Tensor, nn

from ssa_stream.data import ATTRIBUTES
from ssa_stream.model.clip import trunk_stages
from ssa_stream.model.pixel_decoder import NUM_LEVELS
from ssa_stream.training.tiny.clips import TinyBatch

__all__ = [
    "AttributeHeads",
    "TokenHeads",
    "head_layer",
    "look_loss",
    "mean_over_masks",
    "object_features",
    "reference_loss",
]


def object_features(clip: CLIP, pixels: Tensor, masks: Tensor, picture: Tensor) -> list[Tensor]:
    """Mean of each trunk stage's map over the objects' masks.

    Args:
        clip: The model.
        pixels: Normalised, `(B, 3, H, W)`.
        masks: `(R, H, W)` uint8.
        picture: `(R,)` int64.
    Returns:
        `(R, Cs)` for each of the four stages.
    """
    stem, stages = trunk_stages(clip)
    h, means = stem(pixels), []
    for stage in stages:
        h = stage(h)
        means.append(mean_over_masks(h, masks, picture))
    return means


def mean_over_masks(maps: Tensor, masks: Tensor, picture: Tensor) -> Tensor:
    """Means of maps over masks; a cell counts by how much of it is covered.

    Args:
        maps: `(B, Cs, h, w)`.
        masks: `(R, H, W)` uint8, none of them empty.
        picture: Which map each is about, `(R,)` int64.
    Returns:
        `(R, Cs)`.
    """
    weights = F.interpolate(masks[:, None].to(maps.dtype), size=maps.shape[-2:], mode="area")[:, 0]
    weights = weights / weights.sum(dim=(1, 2), keepdim=True)
    return torch.einsum("rhw,rchw->rc", weights, maps[picture])


def head_layer(width: int, num_outputs: int) -> nn.Linear:
    """Make the linear layer of a head that is thrown away after training.

    Its weights are drawn from a chance of their own, equal in each run, since a resumed run makes them anew. They are
    not zero: features that do not hold what is asked for yet would get no gradient from zeros, and give none to them.
    """
    linear = nn.Linear(width, num_outputs)
    nn.init.normal_(linear.weight, std=width**-0.5, generator=torch.Generator().manual_seed(0))
    nn.init.zeros_(linear.bias)
    return linear


class AttributeHeads(nn.Module):
    """Names shape, colour and texture from each of several maps; not part of the network.

    Args:
        channels: Of the maps.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self._sizes = [len(values) for values in ATTRIBUTES.values()]
        self.heads = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), head_layer(width, sum(self._sizes))) for width in channels
        )

    def forward(self, features: Sequence[Tensor], attributes: Tensor) -> tuple[Tensor, Tensor]:
        """Judge features of `R` objects.

        Args:
            features: Of each map, `(R, Cs)`.
            attributes: What is right, `(R, 3)` int64.
        Returns:
            Cross-entropy, summed over attributes and maps; and the part of the objects that is named rightly, mean over
            maps, `(3,)`.
        """
        losses, right = [], []
        for head, feature in zip(self.heads, features, strict=True):
            for logits, answer in zip(
                head(feature).float().split(self._sizes, dim=1), attributes.unbind(1), strict=True
            ):
                losses.append(F.cross_entropy(logits, answer))
                right.append((logits.detach().argmax(dim=1) == answer).float().mean())
        return torch.stack(losses).sum(), torch.stack(right).view(len(self.heads), -1).mean(dim=0)


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
