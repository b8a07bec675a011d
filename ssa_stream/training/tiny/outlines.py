"""Which way things are turned and how large they are, read from frame queries: what turning and growing changes.

A mask's moments say it without words: those that a shape has turn with it, and a circle has none.

Axes: `L` frame-decoder layers, `I` items, `G` objects, `T` frames, `C` channels.
"""

import math

import torch
from torch import Tensor, nn

from ssa_stream.training.objectives.matching import Matches, matched_rows
from ssa_stream.training.tiny.attributes import head_layer

__all__ = ["NUM_FIGURES", "OutlineHead", "outlines"]

_ORDERS = range(2, 6)
"""Shapes that look the same after a turn by half, a third, a quarter, a fifth: an arrow has all but the last."""
NUM_FIGURES = 2 * len(_ORDERS) + 1
_USUAL_EXTENT = 0.15


class OutlineHead(nn.Module):
    """A linear reading, not part of the network.

    Args:
        dim: `C`.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.outline = head_layer(dim, NUM_FIGURES)

    def forward(self, projected: Tensor, of_frames: Matches, masks: Tensor) -> Tensor:
        """Mean absolute error, summed over the figures; a scalar, 0 without any object.

        Args:
            projected: Frame queries, `(L, I, T, N, C)`.
            of_frames: Queries of the objects, `(L, I, T, G)`.
            masks: `(I, G, T, H, W)` uint8.
        """
        wanted = outlines(masks).transpose(1, 2)  # (I, T, G, F)
        error = (self.outline(matched_rows(projected, of_frames)) - wanted).abs().sum(dim=-1)
        total: Tensor = (error * of_frames.matched).sum() / of_frames.matched.sum().clamp(min=1)
        return total


def outlines(masks: Tensor) -> Tensor:
    """Size and complex moments of masks about their centres.

    Moment `k` is the mean of `r^3 exp(i k phi)` over the mask's pixels, with `r` in radii of the circle of the same
    area; a turn by an angle multiplies it by `exp(i k angle)`.

    Args:
        masks: `(..., H, W)` uint8, 0 or 1.
    Returns:
        `(..., 9)` float32: real and imaginary parts of moments 2 to 5, -1..1, and the binary logarithm of the root of
        the covered part of the picture, as a part of a usual one. Of an empty mask, zeros.
    """
    height, width = masks.shape[-2:]
    inside = masks.float()
    rows, columns = (torch.arange(size, device=masks.device) + 0.5 for size in (height, width))
    area = inside.sum(dim=(-2, -1))
    number = area.clamp(min=1)
    y, x = (inside.sum(dim=-1) @ rows) / number, (inside.sum(dim=-2) @ columns) / number
    radius = (number / math.pi).sqrt()[..., None]
    up, along = torch.broadcast_tensors(
        ((rows - y[..., None]) / radius)[..., :, None], ((columns - x[..., None]) / radius)[..., None, :]
    )
    point = torch.complex(along.contiguous(), up.contiguous())  # (..., H, W)
    distance = point.abs()
    unit = point / distance.clamp(min=1e-6)
    turned = inside * distance.square() * point  # r^3 exp(i phi)
    sums = []
    for _ in _ORDERS:
        turned = turned * unit  # far cheaper than powers
        sums.append(turned.sum(dim=(-2, -1)))
    moments = torch.stack(sums, dim=-1) / number[..., None]
    parts = torch.view_as_real(moments).flatten(-2).clamp(-1, 1)
    size = torch.log2((number / (height * width)).sqrt() / _USUAL_EXTENT)
    figures: Tensor = torch.cat([parts, size[..., None]], dim=-1) * (area > 0)[..., None]
    return figures
