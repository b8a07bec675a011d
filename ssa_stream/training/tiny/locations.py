"""Where things are, how they move and which way they are turned, read from features and queries.

Only what is known of locations can tell motion. A frame query takes in what an object looks like, and its mask is found
by that; nothing in the losses of SSA asks where the object is, but for the few sentences about it. What turns and grows
shows in the moments of masks: those that a shape has turn with it, and a circle has none.

Axes: `L` frame-decoder layers, `I` items, `G` objects, `T` frames, `B` frames of items, `C` channels.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssa_stream.model.pixel_decoder import NUM_LEVELS
from ssa_stream.training.objectives.forward import VideoOutput
from ssa_stream.training.objectives.matching import Matches, matched_rows
from ssa_stream.training.tiny.attributes import head_layer
from ssa_stream.training.tiny.slots import slots_of

__all__ = [
    "NUM_FIGURES",
    "LocationHeads",
    "OutlineHead",
    "TokenLocationHeads",
    "locations",
    "outlines",
    "velocities",
]

_VELOCITY_UNIT = 0.1
_REACH = 3
"""Frames on either side of one, from which its velocity is estimated: as far as the enhancer's convolutions see."""
_ORDERS = range(2, 6)
"""Shapes that look the same after a turn by half, a third, a quarter, a fifth: an arrow has all but the last."""
NUM_FIGURES = 2 * len(_ORDERS) + 1
_USUAL_EXTENT = 0.15


class LocationHeads(nn.Module):
    """Linear readings of objects' locations from frame queries and of velocities from slots; not part of the network.

    Args:
        dim: `C`.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.location = head_layer(dim, 3)
        self.velocity = head_layer(dim, 3)

    def forward(self, output: VideoOutput, of_frames: Matches, masks: Tensor) -> tuple[Tensor, Tensor]:
        """What they get wrong.

        Args:
            output: Of the video decoder, for `I` items of `T` frames, float32.
            of_frames: Queries of the objects, `(L, I, T, G)`.
            masks: `(I, G, T, H, W)` uint8.
        Returns:
            Mean absolute error of locations, and that of velocities in tenths of half the picture a frame, summed over
            their three figures; scalars, 0 without any object.
        """
        location = locations(masks)
        velocity, known = velocities(location)
        return self.errors(
            output.projected, output.enhanced, output.order, of_frames, location.transpose(1, 2), velocity, known
        )

    def errors(
        self,
        projected: Tensor,
        enhanced: Tensor,
        order: Tensor,
        of_frames: Matches,
        location: Tensor,
        velocity: Tensor,
        known: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The same, with what is to be read.

        Args:
            projected: Frame queries, `(L, I, T, N, C)`.
            enhanced: Slots, same shape.
            order: Which query each slot holds, `(L, I, T, N)` int64.
            of_frames: Queries of the objects, `(L, I, T, G)`.
            location: See `locations`, `(I, T, G, 3)`.
            velocity: See `velocities`, `(I, T, G, 3)`.
            known: Where it is known, `(I, T, G)` bool.
        """
        of_slots = slots_of(order, of_frames)
        found = self.velocity(matched_rows(enhanced, of_slots))
        return (
            _error(self.location(matched_rows(projected, of_frames)), location, of_frames.matched),
            _error(found, velocity / _VELOCITY_UNIT, of_slots.matched & known),
        )


class TokenLocationHeads(nn.Module):
    """Linear readings of each token's own location, so that a query that looks at an object finds the object's.

    Args:
        dim: `C`.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.location = nn.ModuleList(head_layer(dim, 2) for _ in range(NUM_LEVELS))

    def forward(self, memories: Sequence[Tensor]) -> Tensor:
        """Sum of the mean absolute errors.

        Args:
            memories: Of the pixel decoder, three of `(B, C, h, w)`.
        """
        errors = []
        for head, memory in zip(self.location, memories, strict=True):
            rows, columns = (_centres(size, memory.device) for size in memory.shape[-2:])
            target = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1)  # (h, w, 2)
            errors.append((head(memory.movedim(1, -1)) - target).abs().sum(dim=-1).mean())
        return torch.stack(errors).sum()


def _error(found: Tensor, wanted: Tensor, counts: Tensor) -> Tensor:
    total: Tensor = ((found - wanted).abs().sum(dim=-1) * counts).sum()
    return total / counts.sum().clamp(min=1)


def velocities(location: Tensor) -> tuple[Tensor, Tensor]:
    """How fast locations change: of each frame, the slope of the line that fits the frames around it best.

    Args:
        location: See `locations`, `(I, G, T, 3)`.
    Returns:
        Change a frame in the units of `locations`, `(I, T, G, 3)` float32; and where it is known, `(I, T, G)` bool: an
        object has to be seen in two frames at least, no more than three before or after the frame.
    """
    seen = (location[..., 2:] > 0).float()
    time = torch.arange(location.shape[2], device=location.device, dtype=location.dtype)[:, None]
    number, of_time, of_square = (_around(seen * power) for power in (time**0, time, time**2))
    of_location, of_product = _around(seen * location), _around(seen * location * time)
    spread = number * of_square - of_time**2
    known = spread > 0.5  # whole numbers: 0 with fewer than two frames
    slope = (number * of_product - of_time * of_location) / torch.where(known, spread, 1.0)
    return (slope * known).transpose(1, 2), known[..., 0].transpose(1, 2)


def _around(values: Tensor) -> Tensor:
    """Sums over the frames around each frame, of `(I, G, T, D)`."""
    padded = F.pad(values, (0, 0, _REACH, _REACH))
    return padded.unfold(2, 2 * _REACH + 1, 1).sum(dim=-1)


def locations(masks: Tensor) -> Tensor:
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
