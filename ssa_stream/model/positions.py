"""Sine position codes. All are computed in float32 and depend on sizes alone, so they are kept and shared."""

import math

import torch
from torch import Tensor

from ssa_stream.model.kept import kept

__all__ = ["sine_1d", "sine_2d"]


def _encode(position: Tensor, channels: int) -> Tensor:
    """Interleaved sine and cosine of positions, `(..., channels)`; entry j has wavelength 10000^(2 floor(j/2)/n)."""
    index = torch.arange(channels, dtype=torch.float32)
    frequency = 10000.0 ** (2.0 * torch.div(index, 2, rounding_mode="floor") / channels)
    angle = position[..., None] / frequency
    code = torch.empty_like(angle)
    code[..., 0::2] = angle[..., 0::2].sin()
    code[..., 1::2] = angle[..., 1::2].cos()
    return code


@kept(128)
def sine_1d(length: int, channels: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Code of the positions 1..length.

    Returns:
        `(length, channels)` of the given dtype; shared, do not write to it.
    """
    with torch.inference_mode(False), torch.no_grad():
        return _encode(torch.arange(1, length + 1, dtype=torch.float32), channels).to(device, dtype)


@kept(128)
def sine_2d(
    height: int, width: int, channels: int, normalized: bool, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Code of a pixel grid: the first half of the channels encodes the row, the second half the column.

    Args:
        height: Rows.
        width: Columns.
        channels: Size of the code, a multiple of 4.
        normalized: Whether positions run to 2 pi (True) or stay 1..height and 1..width (False).
        device: Where the code is kept.
        dtype: Type of the result; computed in float32.
    Returns:
        `(height * width, channels)`, row-major; shared, do not write to it.
    """
    with torch.inference_mode(False), torch.no_grad():
        rows = torch.arange(1, height + 1, dtype=torch.float32)
        columns = torch.arange(1, width + 1, dtype=torch.float32)
        if normalized:
            rows = rows / (rows[-1] + 1e-6) * (2 * math.pi)
            columns = columns / (columns[-1] + 1e-6) * (2 * math.pi)
        y = _encode(rows, channels // 2)[:, None].expand(height, width, channels // 2)
        x = _encode(columns, channels // 2)[None].expand(height, width, channels // 2)
        return torch.cat([y, x], dim=-1).reshape(height * width, channels).to(device, dtype)
