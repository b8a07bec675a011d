"""Selection of the queries that a sentence refers to (eq. 9) and their masks (eq. 10)."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ssa_stream.model.preprocess import MaskSizes

__all__ = [
    "MaskConfidence",
    "SelectionMode",
    "mask_confidence",
    "mask_logits",
    "resize_logits",
    "resize_to_output",
    "select_queries",
]

SelectionMode = Literal["multi", "single"]


def select_queries(probability: Tensor, mode: SelectionMode, threshold: float) -> Tensor:
    """Choose the referred queries of one prompt.

    Args:
        probability: `(N,)`.
        mode: `multi` keeps all above `threshold` and may keep none; `single` keeps the most probable one if it is
            above `threshold` (0 always keeps it).
        threshold: In 0..1.
    Returns:
        Indices in ascending order, `(K,)` int64.
    Source: paper, eq. 9.
    """
    if mode == "single":
        best = probability.argmax().view(1)
        return best[probability[best] > threshold]
    return (probability > threshold).nonzero()[:, 0]


def mask_logits(embeddings: Tensor, mask_features: Tensor) -> Tensor:
    """Mask logits at stride 4.

    Args:
        embeddings: `(B, N, C)`.
        mask_features: `(B, C, H/4, W/4)`.
    Returns:
        `(B, N, H/4, W/4)`.
    Source: paper, eq. 10.
    """
    return torch.einsum("bnc,bchw->bnhw", embeddings, mask_features)


def resize_logits(logits: Tensor, sizes: MaskSizes) -> Tensor:
    """Bring stride-4 logits `(K, T, H/4, W/4)` to the un-padded network size, `(K, T, h, w)` float32."""
    full = F.interpolate(logits.float(), size=sizes.padded, mode="bilinear", align_corners=False)
    return full[..., : sizes.network[0], : sizes.network[1]]


def resize_to_output(logits: Tensor, output: tuple[int, int]) -> Tensor:
    """Bring logits `(K, T, h, w)` at network size to the wanted size; a mask is where they are above 0."""
    if logits.shape[-2:] == output:
        return logits
    return F.interpolate(logits, size=output, mode="bilinear", align_corners=False)


class MaskConfidence(NamedTuple):
    """Sum of the confidences of a mask's pixels and their number, `(K,)` float32 each; sums over frames add up."""

    total: Tensor
    pixels: Tensor

    def score(self, probability: Tensor) -> Tensor:
        """Probability times mean confidence inside the mask, `(K,)`; 0 for an empty mask."""
        return probability * self.total / (self.pixels + 1e-6)


def mask_confidence(logits: Tensor) -> MaskConfidence:
    """Confidence of masks from logits `(K, ...)` at network size, over all other axes."""
    confidence = logits.sigmoid().flatten(1)
    inside = (confidence > 0.5).float()
    return MaskConfidence((confidence * inside).sum(dim=1), inside.sum(dim=1))
