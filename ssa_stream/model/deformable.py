"""Multi-scale deformable attention in pure torch: each token samples a few learned points of every level."""

import functools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["DeformableAttention", "reference_points"]


def reference_points(sizes: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
    """Cell centres of all levels' tokens, `(S, 2)` as x, y in 0..1, float32."""
    points = []
    for height, width in sizes:
        y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) / height
        x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) / width
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        points.append(torch.stack([grid_x, grid_y], dim=-1).reshape(-1, 2))
    return torch.cat(points)


class DeformableAttention(nn.Module):
    """Deformable attention over feature levels.

    Args:
        dim: Width `C`.
        num_heads: Heads; divides `dim`.
        num_levels: Feature levels.
        num_points: Sampling points per head and level.
    Source: Deformable DETR (Zhu et al. 2021), eq. 3.
    """

    def __init__(self, dim: int, num_heads: int, num_levels: int, num_points: int) -> None:
        super().__init__()
        self.num_heads, self.num_levels, self.num_points = num_heads, num_levels, num_points
        self.sampling_offsets = nn.Linear(dim, num_heads * num_levels * num_points * 2)
        self.attention_weights = nn.Linear(dim, num_heads * num_levels * num_points)
        self.value_proj = nn.Linear(dim, dim)
        self.output_proj = nn.Linear(dim, dim)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Heads look in evenly spread directions, point k at distance k; weights start equal."""
        angle = torch.arange(self.num_heads, dtype=torch.float32) * (2 * math.pi / self.num_heads)
        direction = torch.stack([angle.cos(), angle.sin()], dim=-1)
        direction = direction / direction.abs().amax(dim=-1, keepdim=True)
        distance = torch.arange(1, self.num_points + 1, dtype=torch.float32)
        offsets = direction[:, None, None] * distance[:, None]  # (heads, 1, points, 2)
        offsets = offsets.expand(self.num_heads, self.num_levels, self.num_points, 2)
        nn.init.zeros_(self.sampling_offsets.weight)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(offsets.reshape(-1))
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for linear in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, query: Tensor, value: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """Sample and mix.

        Args:
            query: Tokens with their position code, `(B, S, C)`.
            value: Tokens without it, `(B, S, C)`, levels one after the other.
            sizes: `(height, width)` of each level.
        Returns:
            `(B, S, C)`.
        """
        B, S, C = query.shape
        H, L, P = self.num_heads, self.num_levels, self.num_points
        # Everything small (head, level, point, xy) is moved in front of the long token axis, where loops run fast.
        centre, scale = _sampling_grid(tuple(sizes), H, P, query.device)
        grid = torch.addcmul(centre, self.sampling_offsets(query), scale)
        grid = grid.view(B, S, H, L, P, 2).permute(3, 0, 2, 4, 1, 5).reshape(L, B * H, P, S, 2)
        weights = self.attention_weights(query).view(B, S, H, L * P).permute(0, 2, 3, 1).softmax(dim=2)
        levels = weights.reshape(B * H, 1, L, P, S).unbind(2)
        values = self.value_proj(value).transpose(1, 2).reshape(B * H, C // H, S)

        mixed = values.new_zeros(())
        for level, part in enumerate(values.split([h * w for h, w in sizes], dim=-1)):
            points = F.grid_sample(part.unflatten(-1, sizes[level]), grid[level], align_corners=False)
            mixed = mixed + (points * levels[level]).sum(dim=2)  # (B*H, C/H, P, S) -> (B*H, C/H, S)
        out: Tensor = self.output_proj(mixed.view(B, C, S).transpose(1, 2))
        return out


@functools.lru_cache(maxsize=32)
def _sampling_grid(
    sizes: tuple[tuple[int, int], ...], num_heads: int, num_points: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Where tokens sample without any offset, and what an offset of one cell moves, both in -1..1 units.

    Returns:
        `(S, heads*levels*points*2)` and `(heads*levels*points*2,)`, float32; kept and shared, do not write to them.
    """
    with torch.inference_mode(False), torch.no_grad():
        extent = torch.tensor([[width, height] for height, width in sizes], dtype=torch.float32)
        scale = (2 / extent)[:, None].expand(num_heads, len(sizes), num_points, 2).reshape(-1)
        centre = (2 * reference_points(sizes, torch.device("cpu")) - 1).repeat(1, len(scale) // 2)
        return centre.to(device), scale.to(device)
