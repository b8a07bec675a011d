"""Masks are compared at points, not at all pixels. `I` items, `T` frames, `M` masks, `P` points, `C` channels."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["random_points", "sample_at", "uncertain_points"]

_OVERSAMPLING, _UNCERTAIN_FRACTION = 3.0, 0.75


def random_points(count: int, num_points: int, device: torch.device) -> Tensor:
    """Draw points uniformly, `(count, P, 2)` as x, y in 0..1."""
    return torch.rand(count, num_points, 2, device=device)


def sample_at(maps: Tensor, points: Tensor) -> Tensor:
    """Read maps at points, bilinearly, zeros outside.

    Args:
        maps: `(M, C, H, W)`, floating point.
        points: `(M, P, 2)`, x and y in 0..1; (0, 0) is the corner of the first pixel, not its centre.
    Returns:
        `(M, C, P)`.
    """
    grid = (2 * points - 1)[:, :, None]  # (M, P, 1, 2)
    return F.grid_sample(maps, grid.to(maps.dtype), align_corners=False)[..., 0]


@torch.no_grad()
def uncertain_points(
    logits: Tensor,
    num_points: int,
    oversampling: float = _OVERSAMPLING,
    uncertain_fraction: float = _UNCERTAIN_FRACTION,
) -> Tensor:
    """Draw points where predictions are undecided.

    Args:
        logits: Mask logits, `(M, H, W)`.
        num_points: How many points per mask.
        oversampling: Candidates per point.
        uncertain_fraction: Part of the points that are the candidates of smallest absolute logit; the others are
            drawn uniformly.
    Returns:
        `(M, P, 2)`.
    Source: PointRend (Kirillov et al. 2020), section 3.1.
    """
    candidates = random_points(len(logits), int(num_points * oversampling), logits.device)
    num_uncertain = int(uncertain_fraction * num_points)
    certainty = sample_at(logits[:, None], candidates)[:, 0].abs()
    index = certainty.topk(num_uncertain, dim=1, largest=False).indices
    chosen = candidates.gather(1, index[..., None].expand(-1, -1, 2))
    return torch.cat([chosen, random_points(len(logits), num_points - num_uncertain, logits.device)], dim=1)
