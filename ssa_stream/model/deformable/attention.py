"""Deformable attention as a layer of the network."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from ssa_stream.model.deformable.operator import deformable_attention
from ssa_stream.model.deformable.reference import deformable_attention_reference

__all__ = ["ONNX_NODE", "DeformableAttention", "keeping_operator"]

ONNX_NODE = "ssa_stream::DeformableAttention"
"""Domain and name of the node that stands for the fused operator; attributes `sizes` and `num_heads`."""
_KEEPS_OPERATOR: ContextVar[bool] = ContextVar("keeps_operator", default=False)


@contextmanager
def keeping_operator() -> Iterator[None]:
    """Graphs that are written down in the body hold the fused operator as one node, instead of the reference."""
    token = _KEEPS_OPERATOR.set(True)
    try:
        yield
    finally:
        _KEEPS_OPERATOR.reset(token)


class DeformableAttention(nn.Module):
    """Deformable attention over feature levels.

    Args:
        dim: Width `C`.
        num_heads: Heads; divides `dim`.
        num_levels: Feature levels.
        num_points: Sampling points per head and level.
    Attributes:
        fused: Use the fused operator where no gradient is asked for; `choice.use_operator` sets it.
    Source: Deformable DETR (Zhu et al. 2021), eq. 3.
    """

    def __init__(self, dim: int, num_heads: int, num_levels: int, num_points: int) -> None:
        super().__init__()
        self.num_heads, self.num_levels, self.num_points = num_heads, num_levels, num_points
        self.fused = False
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
        offsets, logits = self.sampling_offsets(query), self.attention_weights(query)
        values = self.value_proj(value.to(self.value_proj.weight.dtype))
        out: Tensor = self.output_proj(self.mix(values, offsets, logits, sizes))
        return out

    def mix(self, values: Tensor, offsets: Tensor, logits: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """Sample and mix what was projected; see `operator.deformable_attention`."""
        sides = [side for size in sizes for side in size]
        if _KEEPS_OPERATOR.get():
            settings: dict[str, Any] = {"sizes": sides, "num_heads": self.num_heads}
            return torch.onnx.ops.symbolic(
                ONNX_NODE, (values, offsets, logits), settings, dtype=values.dtype, shape=values.shape, version=1
            )
        if self.fused and not _needs_reference(values, offsets, logits):
            mixed: Tensor = deformable_attention(values, offsets, logits, sides, self.num_heads)
            return mixed
        kind = torch.promote_types(values.dtype, offsets.dtype)
        mixed = deformable_attention_reference(
            values.to(kind), offsets, logits, sizes, num_heads=self.num_heads, num_points=self.num_points
        )
        return mixed.to(values.dtype)


def _needs_reference(*tensors: Tensor) -> bool:
    """Whether gradients are asked for, or what runs is written down for other engines, which lack the operator."""
    if torch.compiler.is_exporting() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]  # public
        return True
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
