"""Which slot a pixel belongs to: the masks of a prompt show different objects, so that they do not overlap."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["own_masks", "owners"]


def own_masks(logits: Tensor, weight: Tensor) -> Tensor:
    """Give every pixel to the mask that claims it most: its weight times its confidence there.

    Args:
        logits: Of `K` masks, `(K, h, w)`; a mask claims what is above 0.
        weight: `(K,)`, positive.
    Returns:
        Masks that do not overlap and cover together what they claimed, `(K, h, w)` bool.
    Source: the panoptic inference of Cheng et al., "Masked-attention Mask Transformer" (CVPR 2022).
    """
    masks = logits > 0
    contested = masks.sum(dim=0) > 1
    if not contested.any():
        return masks
    claims = weight[:, None] * logits[:, contested].sigmoid()
    owner = torch.where(masks[:, contested], claims, -1.0).argmax(dim=0)
    masks[:, contested] = F.one_hot(owner, len(masks)).T.bool()
    return masks


def owners(logits: Tensor, weight: Tensor, min_share: float) -> list[int]:
    """Choose the masks that keep enough of what they claim; what the others claim shows the objects of these.

    The mask that keeps the least goes first, and what it had is shared out anew.

    Args:
        logits: `(K, h, w)`.
        weight: `(K,)`, positive.
        min_share: Least share of a mask's pixels that it must keep.
    Returns:
        Indices in ascending order. Masks that claim nothing are not among them.
    """
    claimed = (logits > 0).flatten(1).sum(dim=1)
    kept: list[int] = claimed.nonzero()[:, 0].tolist()
    while len(kept) > 1:
        share = own_masks(logits[kept], weight[kept]).flatten(1).sum(dim=1) / claimed[kept]
        least = int(share.argmin())
        if share[least] >= min_share:
            break
        del kept[least]
    return kept
