"""From RGB frames to the network's input: resize, normalise, pad. Only `to_input` needs torch, and imports it."""

import functools
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssa_stream.errors import ShapeError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = [
    "PIXEL_MEAN",
    "PIXEL_STD",
    "SIZE_DIVISOR",
    "MaskSizes",
    "check_frame",
    "frame_sizes",
    "network_size",
    "padded_size",
    "resize_frame",
    "to_input",
]

PIXEL_MEAN = (122.7709383, 116.7460125, 104.09373615)  # CLIP's, times 255
PIXEL_STD = (68.5005327, 66.6321579, 70.32316305)
_SQUARE = Fraction(1)
SIZE_DIVISOR = 32
"""Stride of the coarsest map: what both sides of the network's input are multiples of."""


class MaskSizes(NamedTuple):
    """Sizes that a mask passes through, `(height, width)` each.

    Attributes:
        padded: Network input after padding to a multiple of 32.
        network: Network input before padding.
        output: Wanted mask size, usually the source frame's.
    """

    padded: tuple[int, int]
    network: tuple[int, int]
    output: tuple[int, int]


def check_frame(frame: object) -> NDArray[np.uint8]:
    """Return `frame` if it is an RGB image.

    Raises:
        ShapeError: Not a numpy array `(H, W, 3)` uint8 with at least one pixel.
    """
    expected = "expected an RGB image, numpy uint8 (height, width, 3)"
    if not isinstance(frame, np.ndarray):
        raise ShapeError(f"frame is {type(frame).__name__}; {expected}")
    if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape or frame.dtype != np.uint8:
        raise ShapeError(f"frame has shape {frame.shape} and dtype {frame.dtype}; {expected}")
    return frame


def network_size(
    size: tuple[int, int], short_edge_px: int, long_edge_px: int, pixel_aspect: Fraction = _SQUARE
) -> tuple[int, int]:
    """Size at which a frame enters the network: shortest edge as asked, longest edge limited, aspect as displayed.

    The network sees square pixels, whatever the shape of the frame's own.

    Args:
        size: Source `(height, width)`.
        short_edge_px: Wanted shortest edge.
        long_edge_px: Limit of the longest edge.
        pixel_aspect: Width of a source pixel divided by its height.
    Returns:
        `(height, width)` before padding.
    """
    height, width = size[0], float(size[1] * pixel_aspect)
    scale = min(short_edge_px / min(height, width), long_edge_px / max(height, width))
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def padded_size(size: tuple[int, int]) -> tuple[int, int]:
    """Size `(height, width)` of the network's input after padding on the right and bottom to a multiple of 32."""
    height, width = size
    return height + -height % SIZE_DIVISOR, width + -width % SIZE_DIVISOR


def frame_sizes(size: tuple[int, int], edges_px: tuple[int, int], pixel_aspect: Fraction = _SQUARE) -> MaskSizes:
    """All sizes that a frame and its masks pass through, to square pixels and back; known without any weights.

    Args:
        size: Source `(height, width)`, also that of the masks.
        edges_px: Wanted shortest edge and limit of the longest edge, see `SsaConfig.edges_px`.
        pixel_aspect: Width of a source pixel divided by its height.
    """
    network = network_size(size, *edges_px, pixel_aspect)
    return MaskSizes(padded_size(network), network, size)


def resize_frame(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize `(H, W, 3)` uint8 to `(height, width)` with antialiased bilinear filtering (PIL)."""
    if frame.shape[:2] == size:
        return frame
    height, width = size
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR))


@functools.lru_cache(maxsize=8)
def _mean_and_std(device: "torch.device") -> "tuple[Tensor, Tensor]":
    """Of the colours, `(3, 1, 1)` each; kept, as copying them to a GPU would wait for it."""
    import torch

    with torch.inference_mode(False):
        return (
            torch.tensor(PIXEL_MEAN, device=device).view(3, 1, 1),
            torch.tensor(PIXEL_STD, device=device).view(3, 1, 1),
        )


def to_input(
    frames: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    device: "torch.device | str" = "cpu",
    dtype: "torch.dtype | None" = None,
) -> "Tensor":
    """Normalise frames and pad them on the right and bottom to a multiple of 32.

    Args:
        frames: `T` RGB frames of one size, `(H, W, 3)` uint8 each.
        device: Where the result lives; bytes are moved, floats are made there.
        dtype: Type of the result; None is float32, in which it is normalised.
    Returns:
        `(T, 3, Hp, Wp)`; padding is 0, the mean colour.
    Raises:
        ShapeError: A frame is not an RGB image, or the sizes differ.
    """
    import torch
    import torch.nn.functional as F

    from ssa_stream.model.transfers import to_device

    images = [check_frame(frame) for frame in frames]
    sizes = {image.shape for image in images}
    if len(sizes) != 1:
        raise ShapeError(f"frames have shapes {sorted(sizes)}; expected at least one frame, all of one size")
    planes = np.stack([np.ascontiguousarray(image.transpose(2, 0, 1)) for image in images])  # (T, 3, H, W)
    pixels = to_device(torch.from_numpy(planes), device).float()
    mean, std = _mean_and_std(torch.device(device))
    height, width = pixels.shape[-2:]
    padded_height, padded_width = padded_size((height, width))
    return F.pad((pixels - mean) / std, (0, padded_width - width, 0, padded_height - height)).to(dtype or torch.float32)
