"""Boundary accuracy F: how well the outlines of two masks agree."""

import math
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ssa_stream.metrics.masks import Masks, check_masks, check_pair

__all__ = ["Outline", "boundary_accuracy", "boundary_radius_px", "outline_accuracy"]

_SHARE_OF_DIAGONAL = 0.008


def boundary_radius_px(height: int, width: int) -> int:
    """How far outlines may lie apart and still match: 0.008 of the diagonal, rounded up."""
    return math.ceil(_SHARE_OF_DIAGONAL * math.hypot(height, width))


class Outline:
    """The boundary of one mask, and what is near it; made once for a mask that is compared with several.

    Only the part of the picture around the mask is looked at; the figures are those of the whole picture.

    Args:
        mask: `(H, W)` bool.
    Raises:
        ShapeError: It has another shape or type.
    Source: DAVIS 2017, `db_eval_boundary`.
    """

    def __init__(self, mask: Masks) -> None:
        mask = check_masks(mask, "a mask", ndim=2)
        self._radius = boundary_radius_px(*mask.shape)
        rows, columns = _box(mask)
        self._top, self._left = rows.start, columns.start
        self._boundary = _boundary(mask[rows, columns])
        self._rows, self._columns = np.divmod(np.flatnonzero(self._boundary), max(1, self._boundary.shape[1]))
        self._near: NDArray[np.bool_] | None = None

    @property
    def num_pixels(self) -> int:
        """Pixels of the boundary; none if the mask is empty or covers the picture."""
        return len(self._rows)

    def share_near(self, other: "Outline") -> float:
        """Share of this boundary that lies within the radius of another one; both have pixels."""
        near = other._dilated()
        rows = self._rows + (self._top - other._top + other._radius)
        columns = self._columns + (self._left - other._left + other._radius)
        height, width = near.shape
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        if not inside.all():
            rows, columns = rows[inside], columns[inside]
        return int(np.count_nonzero(near[rows, columns])) / self.num_pixels

    def _dilated(self) -> NDArray[np.bool_]:
        """All pixels within the radius, of the part that they reach; outside of the picture, too."""
        if self._near is None:
            height, width = self._boundary.shape
            padded = np.zeros((height + 2 * self._radius, width + 2 * self._radius), np.uint8)
            padded[self._radius : self._radius + height, self._radius : self._radius + width] = self._boundary
            self._near = np.asarray(cv2.dilate(padded, _disk(self._radius)), np.uint8).view(np.bool_)
        return self._near


def outline_accuracy(predicted: Outline, target: Outline) -> float:
    """F measure of two boundaries, see `boundary_accuracy`."""
    if not predicted.num_pixels or not target.num_pixels:
        return float(predicted.num_pixels == target.num_pixels)
    precision, recall = predicted.share_near(target), target.share_near(predicted)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary_accuracy(predicted: Masks, target: Masks) -> NDArray[np.float64]:
    """F measure of the boundaries of each frame.

    Precision is the share of the predicted boundary within `boundary_radius_px` of the target's, recall the share of
    the target's within that distance of the predicted one. A mask without a boundary is empty or covers the whole
    picture: 1 if neither mask has one, 0 if one has.

    Args:
        predicted: `(T, H, W)` bool.
        target: The same shape.
    Returns:
        `(T,)`, 0..1.
    Raises:
        ShapeError: Shapes or types are others.
    Source: DAVIS 2017, `db_eval_boundary`. Differs: looks only at the part of the picture that holds the masks; the
        result is the same.
    """
    predicted, target = check_pair(predicted, target)
    pairs = zip(predicted, target, strict=True)
    return np.array([outline_accuracy(Outline(one), Outline(other)) for one, other in pairs])


@cache
def _disk(radius_px: int) -> NDArray[np.uint8]:
    """All pixels within a distance of the middle one."""
    rows, columns = np.mgrid[-radius_px : radius_px + 1, -radius_px : radius_px + 1]
    return np.asarray(rows**2 + columns**2 <= radius_px**2, dtype=np.uint8)


def _box(mask: Masks) -> tuple[slice, slice]:
    """The part of a picture that holds a mask, with one pixel around it; empty for an empty mask."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    top, left = max(int(rows[0]) - 1, 0), max(int(columns[0]) - 1, 0)
    return slice(top, int(rows[-1]) + 2), slice(left, int(columns[-1]) + 2)


def _boundary(mask: Masks) -> Masks:
    """Pixels that differ from the one to the right, below, or right below; the last row and column look one way only.

    Source: DAVIS 2017, `_seg2bmap`.
    """
    boundary = np.zeros(mask.shape, np.bool_)
    across, down = mask[:, 1:] ^ mask[:, :-1], mask[1:] ^ mask[:-1]
    boundary[:, :-1] = across
    boundary[:-1] |= down
    boundary[:-1, :-1] |= mask[1:, 1:] ^ mask[:-1, :-1]
    return boundary
