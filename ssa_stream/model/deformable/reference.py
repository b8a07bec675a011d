"""Deformable attention in pure torch: what gradients go through, and what the fused kernels are compared with."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ssa_stream.model.kept import kept

__all__ = ["deformable_attention_reference", "reference_points"]


def reference_points(sizes: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
    """Cell centres of all levels' tokens, `(S, 2)` as x, y in 0..1, float32."""
    points = []
    for height, width in sizes:
        y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) / height
        x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) / width
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        points.append(torch.stack([grid_x, grid_y], dim=-1).reshape(-1, 2))
    return torch.cat(points)


def deformable_attention_reference(
    value: Tensor,
    offsets: Tensor,
    logits: Tensor,
    sizes: Sequence[tuple[int, int]],
    *,
    num_heads: int,
    num_points: int,
) -> Tensor:
    """Sample and mix; arguments and result as of `operator.deformable_attention`."""
    B, S, C = value.shape
    H, L, P = num_heads, len(sizes), num_points
    # Everything small (head, level, point, xy) is moved in front of the long token axis, where loops run fast.
    is_plain = type(offsets) is Tensor  # else a graph is being written down, whose tensors must not be kept
    centre, scale = (_kept_grid if is_plain else _sampling_grid)(tuple(sizes), H, P, value.device)
    grid = torch.addcmul(centre, offsets, scale)
    grid = grid.view(B, S, H, L, P, 2).permute(3, 0, 2, 4, 1, 5).reshape(L, B * H, P, S, 2)
    weights = logits.view(B, S, H, L * P).permute(0, 2, 3, 1).softmax(dim=2)
    levels = weights.reshape(B * H, 1, L, P, S).unbind(2)
    values = value.transpose(1, 2).reshape(B * H, C // H, S)

    mixed = values.new_zeros(())
    for level, part in enumerate(values.split([h * w for h, w in sizes], dim=-1)):
        points = F.grid_sample(part.unflatten(-1, sizes[level]), grid[level], align_corners=False)
        mixed = mixed + (points * levels[level]).sum(dim=2)  # (B*H, C/H, P, S) -> (B*H, C/H, S)
    return mixed.view(B, C, S).transpose(1, 2)


def _sampling_grid(
    sizes: tuple[tuple[int, int], ...], num_heads: int, num_points: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Where tokens sample without any offset, and what an offset of one cell moves, both in -1..1 units.

    Returns:
        `(S, heads*levels*points*2)` and `(heads*levels*points*2,)`, float32.
    """
    scale = torch.cat(  # of ones: engines read no tensors without axes
        [torch.full((1,), 2 / side, dtype=torch.float32) for height, width in sizes for side in (width, height)]
    )
    scale = scale.view(len(sizes), 1, 2).expand(num_heads, len(sizes), num_points, 2).reshape(-1)
    centre = (2 * reference_points(sizes, torch.device("cpu")) - 1).repeat(1, len(scale) // 2)
    return centre.to(device), scale.to(device)


@kept(32)
def _kept_grid(
    sizes: tuple[tuple[int, int], ...], num_heads: int, num_points: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The same, kept and shared: do not write to them."""
    with torch.inference_mode(False), torch.no_grad():
        return _sampling_grid(sizes, num_heads, num_points, device)
