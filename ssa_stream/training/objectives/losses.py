"""Class, mask and dice losses of matched queries. Axes as in `matching`, and `M` matched masks."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ssa_stream.training.config.loss import LossConfig
from ssa_stream.training.objectives.matching import Matches, SetPrediction
from ssa_stream.training.objectives.points import sample_at, uncertain_points
from ssa_stream.training.objectives.targets import MaskTargets

__all__ = ["Reduce", "class_losses", "dice_loss", "mask_entropy", "mask_losses", "set_losses"]

Reduce = Callable[[Tensor], Tensor]
"""Mean of a number over all devices."""


def set_losses(
    prediction: SetPrediction,
    targets: MaskTargets,
    matches: Matches,
    config: LossConfig,
    reduce: Reduce,
    doubles: Tensor | None = None,
    clear: Tensor | None = None,
) -> Tensor:
    """Losses of all depths, unweighted.

    Args:
        prediction: Predictions.
        targets: Objects.
        matches: Of `matching.match`.
        config: Points and weights.
        reduce: Mean over devices, for the number of objects.
        doubles: Of `matching.duplicates`; None for none.
        clear: Of which items classes are asked, `(I,)` bool; None for all.
    Returns:
        Class, mask and dice loss, `(D, 3)` float32.
    """
    classes = class_losses(prediction.class_logits, matches, targets.referred, config.no_object_weight, doubles, clear)
    num_masks = reduce(targets.valid.sum().float()).clamp(min=1)
    return torch.cat([classes[:, None], mask_losses(prediction, targets, matches, config) / num_masks], dim=1)


def class_losses(
    class_logits: Tensor,
    matches: Matches,
    referred: Tensor,
    no_object_weight: float,
    doubles: Tensor | None = None,
    clear: Tensor | None = None,
) -> Tensor:
    """Weighted cross-entropy over all queries of all items, `(D,)`.

    Args:
        class_logits: Referred, not referred, `(D, I, Q, 2)`.
        matches: Queries of the objects; each of them has weight 1.
        referred: Which objects the sentence refers to, `(I, G)` bool; the others' queries are not referred to.
        no_object_weight: Weight of the queries without an object.
        doubles: Objects of further queries, which are treated as if matched, `(D, I, Q)` int64; -1 for none.
        clear: Of which items classes are asked, `(I,)` bool; None for all.
    """
    is_matched = torch.zeros(class_logits.shape[:3], dtype=torch.bool, device=class_logits.device)
    is_referred = torch.zeros_like(is_matched)
    if doubles is not None:
        is_matched = doubles >= 0
        of_query = referred[None].expand(len(doubles), -1, -1).gather(2, doubles.clamp(min=0))
        is_referred = of_query & is_matched
    d, i, g = matches.matched.nonzero(as_tuple=True)
    query = matches.query[d, i, g]
    is_matched[d, i, query] = True
    is_referred[d, i, query] = referred[i, g]
    log_probability = class_logits.float().log_softmax(dim=-1)
    weight = torch.where(is_matched, 1.0, no_object_weight)
    if clear is not None:
        weight = weight * clear[:, None]
    loss = -weight * torch.where(is_referred, log_probability[..., 0], log_probability[..., 1])
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
    points = uncertain_points(flat.detach(), config.num_points, config.oversampling, config.uncertain_fraction)
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
