"""What the image trunk knows of single objects: their features, and heads that name what they look like.

`R` objects in `B` pictures; `Cs` channels of a trunk stage.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from torch import Tensor, nn

from ssa_stream.data import ASPECTS
from ssa_stream.model.clip import trunk_stages

__all__ = ["AspectHeads", "object_features"]


def object_features(clip: CLIP, pixels: Tensor, masks: Tensor, picture: Tensor) -> list[Tensor]:
    """Mean of each trunk stage's map over the objects' masks.

    Args:
        clip: The model.
        pixels: Normalised, `(B, 3, H, W)`.
        masks: `(R, H, W)` uint8; a cell of a map counts by how much of it is covered.
        picture: `(R,)` int64.
    Returns:
        `(R, Cs)` for each of the four stages.
    """
    stem, stages = trunk_stages(clip)
    h, means = stem(pixels), []
    for stage in stages:
        h = stage(h)
        weights = F.interpolate(masks[:, None].to(h.dtype), size=h.shape[-2:], mode="area")[:, 0]
        weights = weights / weights.sum(dim=(1, 2), keepdim=True)
        means.append(torch.einsum("rhw,rchw->rc", weights, h[picture]))
    return means


class AspectHeads(nn.Module):
    """Names shape, colour and texture from each of the trunk's later stages; not part of CLIP.

    Args:
        channels: Of the four trunk stages. The first stage sees too little of an object to name it.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self._sizes = [len(values) for values in ASPECTS.values()]
        self.heads = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), self._classifier(width)) for width in channels[1:]
        )

    def _classifier(self, width: int) -> nn.Linear:
        """Zero at first: a resumed run makes these heads anew, so there must be no chance in them."""
        linear = nn.Linear(width, sum(self._sizes))
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
        return linear

    def forward(self, features: Sequence[Tensor], aspects: Tensor) -> tuple[Tensor, Tensor]:
        """Judge features of `R` objects.

        Args:
            features: Of each of the four stages, `(R, Cs)`.
            aspects: What is right, `(R, 3)` int64.
        Returns:
            Cross-entropy, summed over aspects and stages; and the part of the objects that is named rightly, mean over
            stages, `(3,)`.
        """
        losses, right = [], []
        for head, feature in zip(self.heads, features[1:], strict=True):
            for logits, answer in zip(head(feature).float().split(self._sizes, dim=1), aspects.unbind(1), strict=True):
                losses.append(F.cross_entropy(logits, answer))
                right.append((logits.detach().argmax(dim=1) == answer).float().mean())
        return torch.stack(losses).sum(), torch.stack(right).view(len(self.heads), -1).mean(dim=0)
