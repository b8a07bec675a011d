"""Where each frame query's mask is, told to the query: what moves is known by places, and queries hold them roughly.

Axes: `B` items, `N` queries, `C` channels, `M` moments.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

from ssa_stream.model.frame_decoder import FramePrediction
from ssa_stream.model.kept import kept
from ssa_stream.model.selection import mask_logits

__all__ = ["NUM_MOMENTS", "MaskMoments", "NoMaskMoments", "mask_moments"]

_ANGULAR = (1, 3, 4, 5)
"""Orders of the angular moments: turning a mask by an angle turns that of order k by k times as much."""
NUM_MOMENTS = 7 + 2 * len(_ANGULAR)
_CODED = 3
"""How many of the moments are given as sines too: row, column, size."""
_OCTAVES = 4
_SCALES = (4.0, 4.0, 8.0, *(3.0,) * 3, *(2.0,) * 2 * len(_ANGULAR))
"""Of the moments after the first, so that what moves changes each about as much from frame to frame."""
_SMALL_CELLS = 2.0
"""Area of a mask, in cells of stride 4, that counts half: less than that hardly says where anything is."""
_USUAL_LOG_SIZE = -2.5
_SHAPE_SCALE = 10.0
_LEAST_RADIUS_CELLS = 0.5


def _angular_coefficients() -> Tensor:
    """What angular moments are made of: real and imaginary parts of `(x + iy)**k` in products `y**a * x**b`.

    Of order 1 it is the third moment, `(x + iy) * abs(x + iy)**2`, since the first is 0 about the centre.
    """
    size = _ANGULAR[-1] + 1
    parts = torch.zeros(size, size, len(_ANGULAR), 2)
    for column, order in enumerate(_ANGULAR):
        for a in range(order + 1):
            turn = 1j**a
            coefficient = torch.tensor([turn.real, turn.imag]) * math.comb(order, a)
            if order == 1:
                parts[a, 3 - a, column] += coefficient
                parts[a + 2, 1 - a, column] += coefficient
            else:
                parts[a, order - a, column] += coefficient
    return parts.flatten(2).flatten(0, 1)


_COEFFICIENTS = _angular_coefficients()


@kept(8)
def _coefficients(device: torch.device) -> Tensor:
    """`_angular_coefficients` on a device: copied once, as a copy waits for the device."""
    with torch.inference_mode(False):
        return _COEFFICIENTS.to(device)


@kept(8)
def _scales(device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(_SCALES, device=device)


class MaskMoments(nn.Module):
    """Adds to frame queries a code of their masks' moments.

    Off by default (`FrameDecoderConfig.mask_moments`); see ADR 0063. Starts at zero, so that weights trained without it
    stay what they were.

    Args:
        dim: `C`.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.embed = nn.Linear(_CODED * 2 * _OCTAVES + NUM_MOMENTS, dim, bias=False)
        nn.init.zeros_(self.embed.weight)

    def forward(self, prediction: FramePrediction, mask_features: Tensor) -> Tensor:
        """Frame queries `(B, N, C)` of one depth, told where their masks are.

        Args:
            prediction: Of `B` items.
            mask_features: Of the frame decoder's masks, `(B, C, H/4, W/4)`.
        """
        return self.add(prediction.queries, self.measure(prediction, mask_features))

    def measure(self, prediction: FramePrediction, mask_features: Tensor) -> Tensor:
        """Moments of the masks of frame queries, `(B, N, M)` float32."""
        embedding = prediction.mask_embedding
        return mask_moments(mask_logits(embedding, mask_features.to(embedding.dtype)))

    def add(self, queries: Tensor, moments: Tensor) -> Tensor:
        """Frame queries `(..., N, C)` with the code of `moments`, `(..., N, M)` float32, see `mask_moments`."""
        code = cast(Tensor, self.embed(_code(moments).to(queries.dtype)))
        return queries + code


class NoMaskMoments(nn.Module):
    """In the place of `MaskMoments` in the published network: frame queries stay as they are."""

    def forward(self, prediction: FramePrediction, mask_features: Tensor) -> Tensor:
        """The queries of the prediction."""
        return prediction.queries

    def measure(self, prediction: FramePrediction, mask_features: Tensor) -> Tensor:
        """No moments, `(B, N, 0)` float32."""
        return prediction.queries.new_zeros(*prediction.queries.shape[:2], 0, dtype=torch.float32)

    def add(self, queries: Tensor, moments: Tensor) -> Tensor:
        """The same queries."""
        return queries


@torch.no_grad()
def mask_moments(logits: Tensor) -> Tensor:
    """Measure masks. Gradients do not pass.

    Args:
        logits: Mask logits, `(B, N, h, w)`.
    Returns:
        `(B, N, M)` float32: how much of a mask there is (0..1), its centre's row and column (-1..1 from edge to edge),
        the logarithm of the root of the covered part of the picture, of its second moments how much taller than wide
        it is, its tilt, and how far it spreads for its area, then the angular moments of orders 1, 3, 4 and 5, cosine
        and sine, which tell which way squares, stars and arrows are turned. All but the first are 0 where there is
        hardly any.
    """
    with torch.autocast(logits.device.type, enabled=False):  # sums over thousands of cells
        return _measured(logits.float())


def _measured(logits: Tensor) -> Tensor:
    height, width = logits.shape[-2:]
    mass = logits.sigmoid().square()  # squared, so that faint background does not pull the centre
    rows, columns = mass.sum(dim=-1), mass.sum(dim=-2)  # (B, N, h), (B, N, w)
    area = rows.sum(dim=-1)
    scale = 1 / area.clamp(min=1e-3)
    y, x = (torch.arange(size, device=logits.device) + 0.5 for size in (height, width))
    mean_y, mean_x = (rows @ y) * scale, (columns @ x) * scale
    of_y = (rows * (y - mean_y[..., None]).square()).sum(dim=-1) * scale
    of_x = (columns * (x - mean_x[..., None]).square()).sum(dim=-1) * scale
    of_both = torch.einsum("bnhw,h,w->bn", mass, y, x) * scale - mean_y * mean_x
    size = (0.5 * (area / (height * width)).clamp(min=1e-6).log() - _USUAL_LOG_SIZE).clamp(-4, 4)
    shape = torch.stack([of_y - of_x, 2 * of_both, of_y + of_x], dim=-1) * scale[..., None] * _SHAPE_SCALE
    visibility = (area / (area + _SMALL_CELLS))[..., None]
    place = torch.stack([mean_y * (2 / height) - 1, mean_x * (2 / width) - 1, size], dim=-1)
    radius = (of_y + of_x).clamp(min=0).sqrt().clamp(min=_LEAST_RADIUS_CELLS)[..., None, None]
    arm_y, arm_x = (y - mean_y[..., None, None]) / radius, (x - mean_x[..., None, None]) / radius  # (B, N, 1, h or w)
    powers = torch.arange(_ANGULAR[-1] + 1, device=logits.device)[:, None]
    products = arm_y**powers @ mass @ (arm_x**powers).mT  # (B, N, P, P), summed over the cells
    turned = products.flatten(-2) @ _coefficients(logits.device) * scale[..., None]
    rest = torch.cat([place, shape.clamp(-4, 4), turned.clamp(-4, 4)], dim=-1)
    return torch.cat([visibility, rest * (area > 1)[..., None]], dim=-1)


def _code(moments: Tensor) -> Tensor:
    """What the linear layer is given: the moments, and sines of row, column and size, at doubling rates."""
    visibility, coded = moments[..., :1], moments[..., 1 : 1 + _CODED]
    scaled = moments[..., 1:] * _scales(moments.device)
    rates = math.pi * 2.0 ** torch.arange(_OCTAVES, device=moments.device)
    angles = (coded[..., None] * rates).flatten(-2)
    return torch.cat([visibility, scaled * visibility, angles.sin() * visibility, angles.cos() * visibility], dim=-1)
