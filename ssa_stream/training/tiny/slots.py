"""Which slots and queries stand for which objects, beside the matched ones.

A video query starts from its slot, but is free to stand for another one's object.

Axes: `L` frame-decoder layers, `D` prediction depths, `I` items, `T` frames, `N` slots and queries, `Q` queries, `P`
points, `G` objects.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ssa_stream.training.objectives.losses import ClassLabels
from ssa_stream.training.objectives.matching import MaskTargets, Matches, SetPrediction, at_points
from ssa_stream.training.tiny.config import TinyLoss

__all__ = ["duplicates", "label_duplicates", "objects_of_slots", "pairwise_iou", "share_of_frames", "slots_of"]

_FEWEST_FRAMES = 3
_STANDS_SHARE, _EMPTY_SHARE = 0.5, 0.15
"""Part of an object's frames in which a slot has to be over it to stand for it, and below which it is not."""


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


def objects_of_slots(order: Tensor, covers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which object each slot is over; several may be over one, since nothing keeps frame queries from it.

    Args:
        order: Which query each slot holds, `(I, T, N)` int64.
        covers: Which queries' masks lie over which object, `(I, T, N, G)` bool.
    Returns:
        The object, `(I, N)` int64; whether the slot is over it in most of the frames in which any is, and whether in
        hardly one, `(I, N)` bool. A slot may be neither.
    """
    held = covers.gather(2, order[..., None].expand_as(covers)).float()  # (I, T, N, G)
    seen = covers.any(dim=2).sum(dim=1).clamp(min=_FEWEST_FRAMES)  # (I, G)
    share, number = (held.sum(dim=1) / seen[:, None]).max(dim=-1)
    return number, share >= _STANDS_SHARE, share < _EMPTY_SHARE


@torch.no_grad()
def duplicates(prediction: SetPrediction, targets: MaskTargets, config: TinyLoss) -> Tensor:
    """Objects that queries' masks overlap by more than `config.duplicate_iou`, matched or not, at random points.

    Returns:
        Number of the object that a query's mask overlaps most, `(D, I, Q)` int64; -1 where it is not enough.
    """
    features, masks = at_points(prediction, targets, config)
    masks = (masks > 0.5).to(features.dtype) * targets.valid[..., None]
    found = []
    for embeddings in prediction.embeddings:
        inside = (embeddings @ features > 0).to(features.dtype)  # (I, Q, T*P)
        iou, number = pairwise_iou(inside, masks).max(dim=-1)
        found.append(torch.where(iou > config.duplicate_iou, number, -1))
    return torch.stack(found)


def label_duplicates(labels: ClassLabels, numbers: Tensor, referred: Tensor) -> ClassLabels:
    """Treat duplicates as if they were matched.

    Args:
        labels: Of the matched queries.
        numbers: Objects of the queries, `(D, I, Q)` int64; -1 for none.
        referred: Which objects the sentence refers to, `(I, G)` bool.
    """
    is_duplicate = numbers >= 0
    of_object = referred[None].expand(len(numbers), -1, -1).gather(2, numbers.clamp(min=0))
    return labels._replace(
        is_matched=labels.is_matched | is_duplicate,
        is_referred=torch.where(labels.is_matched, labels.is_referred, of_object & is_duplicate),
    )


def pairwise_iou(ours: Tensor, theirs: Tensor) -> Tensor:
    """Intersection over union of masks `(..., Q, P)` and `(..., G, P)` of 0 and 1, `(..., Q, G)`; 0 for empty ones."""
    both = ours @ theirs.transpose(-1, -2)
    either = ours.sum(dim=-1)[..., None] + theirs.sum(dim=-1)[..., None, :] - both
    return both / either.clamp(min=1)
