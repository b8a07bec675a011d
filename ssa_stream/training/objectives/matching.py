"""What predictions are compared with, and which query stands for which object.

Matching is Hungarian, by class and mask, for every prediction depth on its own.

Axes: `D` prediction depths, `I` items, `Q` queries, `G` objects, `T` frames, `P` points, `C` channels.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ssa_stream.training.config import LossConfig
from ssa_stream.training.objectives.points import random_points, sample_at

__all__ = [
    "MaskTargets",
    "Matches",
    "SetPrediction",
    "at_points",
    "clip_targets",
    "frame_targets",
    "match",
    "matched_rows",
    "matching_costs",
]


class SetPrediction(NamedTuple):
    """Predictions that are compared with targets; a frame is a clip of one frame.

    Attributes:
        class_logits: Referred, not referred, `(D, I, Q, 2)`.
        embeddings: Mask embeddings, `(D, I, Q, C)`.
        features: Mask features, `(I, T, C, h, w)`; mask logits are inner products with them.
    """

    class_logits: Tensor
    embeddings: Tensor
    features: Tensor


class MaskTargets(NamedTuple):
    """Objects to find, padded to one number per item.

    Attributes:
        masks: `(I, G, T, H, W)` uint8, 0 or 1, at the network's padded input size.
        valid: Which of the objects there are, `(I, G)` bool.
        referred: Which of them the sentence refers to, `(I, G)` bool.
    """

    masks: Tensor
    valid: Tensor
    referred: Tensor


class Matches(NamedTuple):
    """The query of each object.

    Attributes:
        query: `(D, I, G)` int64; 0 where there is none.
        matched: Whether there is one, `(D, I, G)` bool.
    """

    query: Tensor
    matched: Tensor


def clip_targets(masks: Tensor, present: Tensor, referred: Tensor) -> MaskTargets:
    """Targets of whole clips: objects that are visible in at least one frame.

    Args:
        masks: `(I, G, T, H, W)` uint8.
        present: Which objects there are, `(I, G)` bool.
        referred: Which of them the sentence refers to, `(I, G)` bool.
    """
    return MaskTargets(masks, present & masks.flatten(2).amax(dim=2).bool(), referred)


def frame_targets(masks: Tensor, present: Tensor, referred: Tensor) -> MaskTargets:
    """Targets of single frames, items clip-major: objects that are visible in the very frame.

    Args:
        masks: `(I, G, T, H, W)` uint8.
        present: Which objects there are, `(I, G)` bool.
        referred: Which of them the sentence refers to, `(I, G)` bool.
    Returns:
        Targets with `I * T` items of one frame.
    """
    T = masks.shape[2]
    visible = present[..., None] & masks.flatten(3).amax(dim=3).bool()  # (I, G, T)
    return MaskTargets(
        masks.transpose(1, 2).flatten(0, 1)[:, :, None],
        visible.transpose(1, 2).flatten(0, 1),
        referred.repeat_interleave(T, dim=0),
    )


def matched_rows(values: Tensor, matches: Matches) -> Tensor:
    """Rows of the matched queries: values `(..., Q, C)`, matches `(..., G)`, gives `(..., G, C)`."""
    return values.gather(-2, matches.query[..., None].expand(*matches.query.shape, values.shape[-1]))


@torch.no_grad()
def match(
    prediction: SetPrediction, targets: MaskTargets, config: LossConfig, preference: Tensor | None = None
) -> Matches:
    """Match queries to objects at points drawn at random, the same ones for all depths and masks of an item.

    Args:
        prediction: Predictions.
        targets: Objects.
        config: Points and weights.
        preference: Subtracted from the cost of each pair, `(D, I, Q, G)`.
    """
    features, masks = at_points(prediction, targets, config)
    costs = [
        matching_costs(logits, embeddings @ features, masks, targets.referred, config)
        for logits, embeddings in zip(prediction.class_logits, prediction.embeddings, strict=True)
    ]
    total = torch.stack(costs) if preference is None else torch.stack(costs) - preference
    query, matched = _assign(total.cpu().numpy(), targets.valid.cpu().numpy())
    device = prediction.features.device
    return Matches(torch.from_numpy(query).to(device), torch.from_numpy(matched).to(device))


def at_points(prediction: SetPrediction, targets: MaskTargets, config: LossConfig) -> tuple[Tensor, Tensor]:
    """Features `(I, C, T * P)` and masks `(I, G, T * P)` at points drawn at random, the same ones in all frames."""
    num_items, T, C = prediction.features.shape[:3]
    points = random_points(num_items, config.num_points, prediction.features.device)
    per_frame = points[:, None].expand(-1, T, -1, -1).flatten(0, 1)
    features = sample_at(prediction.features.flatten(0, 1), per_frame)  # (I*T, C, P)
    features = features.view(num_items, T, C, -1).transpose(1, 2).flatten(2)
    masks = sample_at(targets.masks.transpose(1, 2).flatten(0, 1).to(features.dtype), per_frame)  # (I*T, G, P)
    return features, masks.unflatten(0, (num_items, T)).transpose(1, 2).flatten(2)


def matching_costs(
    class_logits: Tensor, mask_logits: Tensor, masks: Tensor, referred: Tensor, config: LossConfig
) -> Tensor:
    """Cost of each pair.

    Args:
        class_logits: `(I, Q, 2)`.
        mask_logits: At the points, `(I, Q, P)`.
        masks: At the points, `(I, G, P)` in 0..1.
        referred: Which objects the sentence refers to, `(I, G)` bool: their class is "referred", the others' is not.
        config: Weights.
    Returns:
        `(I, Q, G)`: class, cross-entropy and dice, weighted.
    """
    to_masks = masks.transpose(1, 2)
    probability = class_logits.float().softmax(dim=-1)
    of_class = torch.where(referred[:, None], probability[..., :1], probability[..., 1:])  # (I, Q, G)
    # Cross-entropy is softplus(x) - x * t, so that no (Q, G, P) tensor is needed.
    entropy = (F.softplus(mask_logits).sum(dim=-1, keepdim=True) - mask_logits @ to_masks) / masks.shape[-1]
    inside = mask_logits.sigmoid()
    total = inside.sum(dim=-1, keepdim=True) + masks.sum(dim=-1)[:, None]
    dice = 1 - (2 * (inside @ to_masks) + 1) / (total + 1)
    return -config.class_weight * of_class + config.mask_weight * entropy + config.dice_weight * dice


def _assign(costs: NDArray[np.float32], valid: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Solve all assignments: costs `(D, I, Q, G)`, valid `(I, G)`."""
    depths, num_items, _, num_objects = costs.shape
    shape = (depths, num_items, num_objects)
    query, matched = np.zeros(shape, np.int64), np.zeros(shape, bool)
    costs = np.nan_to_num(costs, nan=1e9, posinf=1e9, neginf=-1e9)
    for i in range(num_items):
        objects = np.flatnonzero(valid[i])
        if not len(objects):
            continue
        for d in range(depths):
            rows, columns = linear_sum_assignment(costs[d, i][:, objects])
            query[d, i, objects[columns]] = rows
            matched[d, i, objects[columns]] = True
    return query, matched
