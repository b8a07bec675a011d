"""How many frames pass the per-frame part of the network together, where nobody says: by device and picture size."""

from typing import Final

import torch

__all__ = ["frames_per_chunk"]

_PUBLISHED: Final = 18
"""Frames of the published implementation; more gain nothing."""
_PIXELS_ON_A_PROCESSOR: Final = _PUBLISHED * 128 * 224
"""As many as 18 frames of ssa-tiny have: together they take two thirds of the time of single ones. Frames of ssa-large
are large enough to fill a processor one by one."""
_BYTES_PER_PIXEL: Final = 1600
"""Of a frame of ssa-large while it passes, in float32."""
_SHARE_OF_FREE: Final = 0.5


def frames_per_chunk(size: tuple[int, int], device: torch.device) -> int:
    """Frames of a chunk, 1 to 18: as many as a processor works well on, or as the free memory of a GPU holds.

    Args:
        size: Height and width at the network.
        device: Of the network.
    """
    pixels = max(1, size[0] * size[1])
    if device.type != "cuda":
        return max(1, min(_PUBLISHED, _PIXELS_ON_A_PROCESSOR // pixels))
    free, _ = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return max(1, min(_PUBLISHED, int(free * _SHARE_OF_FREE) // (pixels * _BYTES_PER_PIXEL)))
