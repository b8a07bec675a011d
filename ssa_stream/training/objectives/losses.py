"""Class, mask, dice and similarity losses of matched queries. Axes as in `matching`, and `M` matched masks."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ssa_stream.training.config import LossConfig
from ssa_stream.training.objectives.matching import MaskTargets, Matches, SetPrediction
from ssa_stream.training.objectives.points import sample_at, uncertain_points

__all__ = [
    "ClassLabels",
    "Reduce",
    "class_labels",
    "class_losses",
    "dice_loss",
    "mask_entropy",
    "mask_losses",
    "set_losses",
    "set_weights",
    "similarity_loss",
]

Reduce = Callable[[Tensor], Tensor]
"""Mean of a number over all devices."""


class ClassLabels(NamedTuple):
    """What is asked of the queries' classes.

    Attributes:
        is_matched: Which queries stand for an object, `(D, I, Q)` bool; they have weight 1.
        is_referred: Which of them for one that the sentence refers to, `(D, I, Q)` bool.
        asked: Of which items classes are asked at all, `(I,)` bool; None for all.
    """

    is_matched: Tensor
    is_referred: Tensor
    asked: Tensor | None = None


def class_labels(matches: Matches, referred: Tensor, num_queries: int) -> ClassLabels:
    """Labels of the matched queries, and of those without an object.

    Args:
        matches: Queries of the objects.
        referred: Which objects the sentence refers to, `(I, G)` bool; the others' queries are not referred to.
        num_queries: `Q`.
    """
    shape = (*matches.matched.shape[:2], num_queries)
    is_matched = torch.zeros(shape, dtype=torch.bool, device=referred.device)
    is_referred = torch.zeros_like(is_matched)
    d, i, g = matches.matched.nonzero(as_tuple=True)
    query = matches.query[d, i, g]
    is_matched[d, i, query] = True
    is_referred[d, i, query] = referred[i, g]
    return ClassLabels(is_matched, is_referred)


def set_losses(
    prediction: SetPrediction,
    targets: MaskTargets,
    matches: Matches,
    labels: ClassLabels,
    config: LossConfig,
    reduce: Reduce,
) -> Tensor:
    """Losses of all depths, unweighted.

    Args:
        prediction: Predictions.
        targets: Objects.
        matches: Of `matching.match`.
        labels: Of the classes.
        config: Points and weights.
        reduce: Mean over devices, for the number of objects.
    Returns:
        Class, mask and dice loss, `(D, 3)` float32.
    """
    classes = class_losses(prediction.class_logits, labels, config.no_object_weight)
    num_masks = reduce(targets.valid.sum().float()).clamp(min=1)
    return torch.cat([classes[:, None], mask_losses(prediction, targets, matches, config) / num_masks], dim=1)


def set_weights(config: LossConfig) -> Tensor:
    """Weights of class, mask and dice loss, `(3,)`."""
    return torch.tensor([config.class_weight, config.mask_weight, config.dice_weight])


def class_losses(class_logits: Tensor, labels: ClassLabels, no_object_weight: float) -> Tensor:
    """Weighted cross-entropy over all queries of all items, `(D,)`.

    Args:
        class_logits: Referred, not referred, `(D, I, Q, 2)`.
        labels: What is right.
        no_object_weight: Weight of the queries without an object.
    """
    log_probability = class_logits.float().log_softmax(dim=-1)
    weight = torch.where(labels.is_matched, 1.0, no_object_weight)
    if labels.asked is not None:
        weight = weight * labels.asked[:, None]
    loss = -weight * torch.where(labels.is_referred, log_probability[..., 0], log_probability[..., 1])
    return loss.sum(dim=(1, 2)) / weight.sum(dim=(1, 2)).clamp(min=1e-6)


def mask_losses(prediction: SetPrediction, targets: MaskTargets, matches: Matches, config: LossConfig) -> Tensor:
    """Cross-entropy and dice, summed over the matched masks of each depth, `(D, 2)`."""
    D, _, _, C = prediction.embeddings.shape
    index = matches.query[..., None].expand(-1, -1, -1, C)
    embeddings = prediction.embeddings.gather(2, index)  # (D, I, G, C)
    maps = torch.einsum("digc,itchw->digthw", embeddings.float(), prediction.features.float())
    d, i, g = matches.matched.nonzero(as_tuple=True)
    logits = maps[d, i, g]  # (M, T, h, w)
    M = len(logits)
    if not M:
        return maps.sum() * prediction.embeddings.new_zeros(D, 2)
    flat = logits.flatten(0, 1)
    points = uncertain_points(flat.detach(), config.num_points)
    at_points = sample_at(flat[:, None], points).view(M, -1)  # (M, T*P)
    with torch.no_grad():
        masks = targets.masks[i, g].flatten(0, 1)[:, None].to(flat.dtype)
        labels = sample_at(masks, points).view(M, -1)
    per_mask = torch.stack([mask_entropy(at_points, labels), dice_loss(at_points, labels)], dim=1)  # (M, 2)
    return per_mask.new_zeros(D, 2).index_add(0, d, per_mask)


def mask_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross-entropy of each mask, `(M, P)` to `(M,)`."""
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(dim=1)


def dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """One minus the dice coefficient of each mask, with 1 added to both of its parts, `(M, P)` to `(M,)`."""
    inside = logits.sigmoid()
    return 1 - (2 * (inside * labels).sum(dim=1) + 1) / (inside.sum(dim=1) + labels.sum(dim=1) + 1)


def similarity_loss(frame: Tensor, frame_matched: Tensor, video: Tensor, video_matched: Tensor) -> Tensor:
    """Queries of one object, in frames and in the video, shall be alike, those of two objects not.

    Binary cross-entropy on inner products of all ordered pairs of one item, pairs with itself included.

    Args:
        frame: Embeddings of the objects' frame queries, `(K, T, G, C)`.
        frame_matched: Which of them there are, `(K, T, G)` bool.
        video: Embeddings of the objects' video queries, `(K, G, C)`.
        video_matched: Which of them there are, `(K, G)` bool.
    Returns:
        Mean over all pairs, a scalar; 0 without any.
    """
    K, T, G, _ = frame.shape
    embeddings = torch.cat([frame.flatten(1, 2), video], dim=1).float()  # (K, (T+1)*G, C)
    matched = torch.cat([frame_matched.flatten(1), video_matched], dim=1)
    objects = torch.arange(G, device=frame.device).repeat(T + 1)
    same = (objects[:, None] == objects).float().expand(K, -1, -1)
    pairs = (matched[:, :, None] & matched[:, None]).float()
    entropy = F.binary_cross_entropy_with_logits(embeddings @ embeddings.transpose(1, 2), same, reduction="none")
    return (entropy * pairs).sum() / (pairs.sum() + 1e-6)
