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
from ssa_stream.training.objectives.forward import VideoOutput
from ssa_stream.training.objectives.matching import Matches
from ssa_stream.training.objectives.similarity import matched_rows
from ssa_stream.training.tiny.attributes import head_layer
from ssa_stream.training.tiny.slots import slots_of

__all__ = ["PlaceHeads", "TokenPlaceHeads", "places", "velocities"]

_VELOCITY_UNIT = 0.1
_REACH = 3
"""Frames on either side of one, from which its velocity is estimated: as far as the enhancer's convolutions see."""


class PlaceHeads(nn.Module):
    """Linear readings of objects' places from frame queries and of velocities from slots; not part of the network.

    Args:
        dim: `C`.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.place = head_layer(dim, 3)
        self.velocity = head_layer(dim, 3)

    def forward(self, output: VideoOutput, of_frames: Matches, masks: Tensor) -> tuple[Tensor, Tensor]:
        """What they get wrong.

        Args:
            output: Of the video decoder, for `I` items of `T` frames, float32.
            of_frames: Queries of the objects, `(L, I, T, G)`.
            masks: `(I, G, T, H, W)` uint8.
        Returns:
            Mean absolute error of places, and that of velocities in tenths of half the picture a frame, summed over
            their three figures; scalars, 0 without any object.
        """
        place = places(masks)
        velocity, known = velocities(place)
        return self.errors(
            output.projected, output.enhanced, output.order, of_frames, place.transpose(1, 2), velocity, known
        )

    def errors(
        self,
        projected: Tensor,
        enhanced: Tensor,
        order: Tensor,
        of_frames: Matches,
        place: Tensor,
        velocity: Tensor,
        known: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The same, with what is to be read.

        Args:
            projected: Frame queries, `(L, I, T, N, C)`.
            enhanced: Slots, same shape.
            order: Which query each slot holds, `(L, I, T, N)` int64.
            of_frames: Queries of the objects, `(L, I, T, G)`.
            place: See `places`, `(I, T, G, 3)`.
            velocity: See `velocities`, `(I, T, G, 3)`.
            known: Where it is known, `(I, T, G)` bool.
        """
        of_slots = slots_of(order, of_frames)
        found = self.velocity(matched_rows(enhanced, of_slots))
        return (
            _error(self.place(matched_rows(projected, of_frames)), place, of_frames.matched),
            _error(found, velocity / _VELOCITY_UNIT, of_slots.matched & known),
        )


class TokenPlaceHeads(nn.Module):
    """Linear readings of each token's own place, so that a query that looks at an object finds the object's.

    Args:
        dim: `C`.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.place = nn.ModuleList(head_layer(dim, 2) for _ in range(NUM_LEVELS))

    def forward(self, memories: Sequence[Tensor]) -> Tensor:
        """Sum of the mean absolute errors.

        Args:
            memories: Of the pixel decoder, three of `(B, C, h, w)`.
        """
        errors = []
        for head, memory in zip(self.place, memories, strict=True):
            rows, columns = (_centres(size, memory.device) for size in memory.shape[-2:])
            target = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1)  # (h, w, 2)
            errors.append((head(memory.movedim(1, -1)) - target).abs().sum(dim=-1).mean())
        return torch.stack(errors).sum()


def _error(found: Tensor, wanted: Tensor, counts: Tensor) -> Tensor:
    total: Tensor = ((found - wanted).abs().sum(dim=-1) * counts).sum()
    return total / counts.sum().clamp(min=1)


def velocities(place: Tensor) -> tuple[Tensor, Tensor]:
    """How fast places change: of each frame, the slope of the line that fits the frames around it best.

    Args:
        place: See `places`, `(I, G, T, 3)`.
    Returns:
        Change a frame in the units of `places`, `(I, T, G, 3)` float32; and where it is known, `(I, T, G)` bool: an
        object has to be seen in two frames at least, no more than three before or after the frame.
    """
    seen = (place[..., 2:] > 0).float()
    time = torch.arange(place.shape[2], device=place.device, dtype=place.dtype)[:, None]
    number, of_time, of_square = (_around(seen * power) for power in (time**0, time, time**2))
    of_place, of_product = _around(seen * place), _around(seen * place * time)
    spread = number * of_square - of_time**2
    known = spread > 0.5  # whole numbers: 0 with fewer than two frames
    slope = (number * of_product - of_time * of_place) / torch.where(known, spread, 1.0)
    return (slope * known).transpose(1, 2), known[..., 0].transpose(1, 2)


def _around(values: Tensor) -> Tensor:
    """Sums over the frames around each frame, of `(I, G, T, D)`."""
    padded = F.pad(values, (0, 0, _REACH, _REACH))
    return padded.unfold(2, 2 * _REACH + 1, 1).sum(dim=-1)


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
