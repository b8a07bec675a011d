"""Which slots objects are in. A video query starts from its slot, but is free to stand for another one's object.

Axes: `L` frame-decoder layers, `I` items, `T` frames, `N` slots and queries, `G` objects.
"""

import torch.nn.functional as F
from torch import Tensor

from ssa_stream.training.matching import Matches

__all__ = ["share_of_frames", "slots_of"]


def slots_of(order: Tensor, of_frames: Matches) -> Matches:
    """Slots that hold the objects' frame queries.

    Args:
        order: Which query each slot holds, `(L, I, T, N)` int64.
        of_frames: Queries of the objects, `(L, I, T, G)`.
    Returns:
        Slots instead of queries, `(L, I, T, G)`.
    """
    return Matches(order.argsort(dim=-1).gather(-1, of_frames.query), of_frames.matched)


def share_of_frames(order: Tensor, of_frames: Matches) -> Tensor:
    """Part of an object's frames in which each slot holds its frame query, `(L, I, N, G)`; 0 for an object without any.

    Args:
        order: Which query each slot holds, `(L, I, T, N)` int64.
        of_frames: Queries of the objects, `(L, I, T, G)`.
    """
    slots, matched = slots_of(order, of_frames)
    held = F.one_hot(slots, order.shape[-1]).float() * matched[..., None]  # (L, I, T, G, N)
    share: Tensor = held.sum(dim=2) / matched.sum(dim=2).clamp(min=1)[..., None]
    return share.transpose(-1, -2)
