"""Where objects are, read from their frame queries: motion can only be told from queries that know their place.

A frame query takes in what an object looks like, and its mask is found by that; nothing in the losses of SSA asks where
the object is. Axes: `L` frame-decoder layers, `I` items, `G` objects, `T` frames, `C` channels.
"""

import torch
from torch import Tensor, nn

__all__ = ["PlaceHead", "place_loss", "places"]

_NUM_FIGURES = 3


class PlaceHead(nn.Linear):
    """Reads the place of an object from its query; not part of the network.

    Args:
        dim: `C`.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim, _NUM_FIGURES)

    def reset_parameters(self) -> None:
        """Zero: a resumed run makes this head anew, so there must be no chance in it."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


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


def place_loss(head: PlaceHead, queries: Tensor, matched: Tensor, masks: Tensor) -> Tensor:
    """Mean absolute error of the places of matched queries.

    Args:
        head: Reads places.
        queries: Of the objects, `(L, I, T, G, C)`.
        matched: Which of them there are, `(L, I, T, G)` bool.
        masks: `(I, G, T, H, W)` uint8.
    Returns:
        Sum over the three figures, mean over the queries, a scalar; 0 without any.
    """
    target = places(masks).transpose(1, 2)  # (I, T, G, 3)
    error = (head(queries) - target).abs().sum(dim=-1)
    total: Tensor = (error * matched).sum()
    return total / matched.sum().clamp(min=1)


def _centres(size: int, device: torch.device) -> Tensor:
    centres: Tensor = (torch.arange(size, device=device) + 0.5) * (2 / size) - 1
    return centres
