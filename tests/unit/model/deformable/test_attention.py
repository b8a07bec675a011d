"""Deformable attention equals a loop over heads, levels and points that samples pixel by pixel."""

import math

import pytest
import torch
from torch import Tensor

from ssa_stream.model.deformable import DeformableAttention, reference_points

DIM, HEADS, LEVELS, POINTS = 8, 2, 3, 2
SIZES = [(2, 3), (3, 4), (5, 7)]


def sample(plane: Tensor, x: float, y: float) -> Tensor:
    """Bilinear sample of `(C, h, w)` at pixel coordinates whose centres are whole numbers; zero outside."""
    _, h, w = plane.shape
    x0, y0 = math.floor(x), math.floor(y)
    mixed = torch.zeros(plane.shape[0])
    for column, row in ((x0, y0), (x0 + 1, y0), (x0, y0 + 1), (x0 + 1, y0 + 1)):
        if 0 <= column < w and 0 <= row < h:
            mixed = mixed + (1 - abs(x - column)) * (1 - abs(y - row)) * plane[:, row, column]
    return mixed


def naive(module: DeformableAttention, query: Tensor, value: Tensor) -> Tensor:
    """Equation 3 of Deformable DETR, one token of one item at a time."""
    B, S, C = query.shape
    reference = reference_points(SIZES, query.device)
    offsets = module.sampling_offsets(query).view(B, S, HEADS, LEVELS, POINTS, 2)
    weights = module.attention_weights(query).view(B, S, HEADS, -1).softmax(dim=-1).view(B, S, HEADS, LEVELS, POINTS)
    levels = module.value_proj(value).split([h * w for h, w in SIZES], dim=1)
    out = torch.zeros(B, S, HEADS, C // HEADS)
    for b, s, head, level, point in torch.cartesian_prod(*map(torch.arange, (B, S, HEADS, LEVELS, POINTS))).tolist():
        h, w = SIZES[level]
        plane = levels[level][b].T.view(HEADS, C // HEADS, h, w)[head]
        dx, dy = offsets[b, s, head, level, point].tolist()
        x, y = reference[s, 0].item() * w + dx - 0.5, reference[s, 1].item() * h + dy - 0.5
        out[b, s, head] += weights[b, s, head, level, point] * sample(plane, x, y)
    result: Tensor = module.output_proj(out.flatten(2))
    return result


@torch.no_grad()
def test_deformable_attention_equals_naive_loop() -> None:
    """Offsets are in pixels of the level sampled, weights are shared over levels and points, outside is zero."""
    module = DeformableAttention(DIM, HEADS, LEVELS, POINTS)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    tokens = sum(h * w for h, w in SIZES)
    query, value = torch.randn(2, tokens, DIM), torch.randn(2, tokens, DIM)
    ours = module(query, value, SIZES)
    torch.testing.assert_close(ours, naive(module, query, value), rtol=1e-4, atol=1e-4)


def test_deformable_attention_starts_with_points_in_eight_directions() -> None:
    """A fresh module looks one pixel away in a direction per head, two pixels with its second point, and so on."""
    bias = DeformableAttention(16, 8, 1, 2).sampling_offsets.bias.view(8, 1, 2, 2)
    assert bias[0, 0].tolist() == [[1.0, 0.0], [2.0, 0.0]]
    torch.testing.assert_close(bias[:, 0, 1], 2 * bias[:, 0, 0])
    torch.testing.assert_close(bias[:, 0, 0].abs().amax(dim=-1), torch.ones(8))


@pytest.mark.parametrize(
    ("size", "first", "last"), [((1, 1), (0.5, 0.5), (0.5, 0.5)), ((2, 4), (0.125, 0.25), (0.875, 0.75))]
)
def test_reference_points_are_cell_centres(
    size: tuple[int, int], first: tuple[float, float], last: tuple[float, float]
) -> None:
    """X comes first, rows are scanned one after the other."""
    points = reference_points([size], torch.device("cpu"))
    assert tuple(points[0].tolist()) == first
    assert tuple(points[-1].tolist()) == last
