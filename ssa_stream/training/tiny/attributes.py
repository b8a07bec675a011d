"""What maps know of single objects: means over their masks, and heads that name what they look like.

`R` objects in `B` pictures; `Cs` channels of a map.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from torch import Tensor, nn

from ssa_stream.data import ATTRIBUTES
from ssa_stream.model.clip import trunk_stages

__all__ = ["AttributeHeads", "head_layer", "mean_over_masks", "object_features"]


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
