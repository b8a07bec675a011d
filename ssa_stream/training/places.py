"""Where things are and how they move, read from features and queries: only what is known of places can tell motion.

A frame query takes in what an object looks like, and its mask is found by that; nothing in the losses of SSA asks where
the object is, but for the few sentences about it.

Axes: `L` frame-decoder layers, `I` items, `G` objects, `T` frames, `B` frames of items, `C` channels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssa_stream.model.pixel_decoder import NUM_LEVELS
from ssa_stream.training.aspects import head_layer

__all__ = ["PlaceHeads", "motion_loss", "object_place_loss", "place_loss", "places", "steps"]

_STEP_UNIT = 0.1


class PlaceHeads(nn.Module):
    """Linear readings of places and motion; not part of the network.

    Args:
        dim: `C`.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.of_object = head_layer(dim, 3)
        self.of_token = nn.ModuleList(head_layer(dim, 2) for _ in range(NUM_LEVELS))
        self.of_motion = head_layer(dim, 3)


def place_loss(
    heads: PlaceHeads, memories: Sequence[Tensor], queries: Tensor, matched: Tensor, masks: Tensor
) -> Tensor:
    """What all heads get wrong.

    Args:
        heads: Read places.
        memories: Of the pixel decoder, three of `(B, C, h, w)`: each token shall know its own place, so that a query
            that looks at an object finds the object's.
        queries: Of the objects, `(L, I, T, G, C)`.
        matched: Which of them there are, `(L, I, T, G)` bool.
        masks: `(I, G, T, H, W)` uint8.
    Returns:
        Sum of mean absolute errors, a scalar.
    """
    loss = object_place_loss(heads, queries, matched, masks)
    for head, memory in zip(heads.of_token, memories, strict=True):
        height, width = memory.shape[-2:]
        rows, columns = (_centres(size, memory.device) for size in (height, width))
        target = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1)  # (h, w, 2)
        loss = loss + (head(memory.movedim(1, -1)) - target).abs().sum(dim=-1).mean()
    return loss


def object_place_loss(heads: PlaceHeads, queries: Tensor, matched: Tensor, masks: Tensor) -> Tensor:
    """The part of `place_loss` that is about objects; 0 without any."""
    target = places(masks).transpose(1, 2)  # (I, T, G, 3)
    error = (heads.of_object(queries) - target).abs().sum(dim=-1)
    total: Tensor = (error * matched).sum()
    return total / matched.sum().clamp(min=1)


def motion_loss(heads: PlaceHeads, enhanced: Tensor, matched: Tensor, masks: Tensor) -> Tensor:
    """Mean absolute error of the steps that objects take, in tenths of half the picture.

    Args:
        heads: Read motion.
        enhanced: Temporally enhanced slots of the objects, `(L, I, T, G, C)`.
        matched: Which of them there are, `(L, I, G)` bool.
        masks: `(I, G, T, H, W)` uint8.
    Returns:
        Sum over the three figures, mean over the frames that show motion, a scalar; 0 without any.
    """
    step, known = steps(masks)
    counts = matched[:, :, None] & known  # (L, I, T, G)
    total: Tensor = ((heads.of_motion(enhanced) - step / _STEP_UNIT).abs().sum(dim=-1) * counts).sum()
    return total / counts.sum().clamp(min=1)


def steps(masks: Tensor) -> tuple[Tensor, Tensor]:
    """How places change from frame to frame, the mean of the change before and after each frame.

    Args:
        masks: `(I, G, T, H, W)` uint8.
    Returns:
        Steps, `(I, T, G, 3)` float32, in the units of `places`; and where there is one, `(I, T, G)` bool: an object
        has to be seen in both of two frames.
    """
    place = places(masks).transpose(1, 2)  # (I, T, G, 3)
    seen = place[..., 2] > 0
    both = seen[:, 1:] & seen[:, :-1]
    change = F.pad((place[:, 1:] - place[:, :-1]) * both[..., None], (0, 0, 0, 0, 1, 1))  # (I, T + 1, G, 3)
    count = F.pad(both.float(), (0, 0, 1, 1))
    count = count[:, 1:] + count[:, :-1]
    return (change[:, 1:] + change[:, :-1]) / count.clamp(min=1)[..., None], count > 0


def places(masks: Tensor) -> Tensor:
    """Centre and extent of masks.

    Args:
        masks: `(..., H, W)` uint8, 0 or 1.
    Returns:
        `(..., 3)` float32: the centre's row and column, -1..1 from edge to edge, and the root of the covered part of
        the picture. Of an empty mask, zeros.
    """
    height, width = masks.shape[-2:]
    rows, columns = masks.sum(dim=-1).float(), masks.sum(dim=-2).float()
    area = rows.sum(dim=-1)
    y = (rows @ _centres(height, masks.device)) / area.clamp(min=1)
    x = (columns @ _centres(width, masks.device)) / area.clamp(min=1)
    return torch.stack([y, x, (area / (height * width)).sqrt()], dim=-1)


def _centres(size: int, device: torch.device) -> Tensor:
    centres: Tensor = (torch.arange(size, device=device) + 0.5) * (2 / size) - 1
    return centres
