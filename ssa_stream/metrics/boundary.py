"""Boundary accuracy F: how well the outlines of two masks agree."""

import math
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ssa_stream.metrics.masks import Masks, check_masks, check_pair

__all__ = ["Outline", "boundary_accuracy", "boundary_radius_px", "outline_accuracy"]

_SHARE_OF_DIAGONAL = 0.008
_MOST_COMPARED = 300
"""Places that are compared with a disk one by one; for more, dilating the whole part is quicker."""


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
        self._near: tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]] | None = None

    @property
    def num_pixels(self) -> int:
        """Pixels of the boundary; none if the mask is empty or covers the picture."""
        return len(self._rows)

    def share_near(self, other: "Outline") -> float:
        """Share of this boundary that lies within the radius of another one; both have pixels."""
        rows = self._rows + (self._top - other._top + other._reach)
        columns = self._columns + (self._left - other._left + other._reach)
        return other._count_near(rows, columns) / self.num_pixels

    def _count_near(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> int:
        """How many of these places are within the radius of the boundary; rows and columns of the padded part.

        A place is near if the square in the disk around it meets the boundary, and far if the square around the disk
        does not. Squares are quick; the few places in between are compared with the disk itself.
        """
        padded, surely, maybe = self._squares()
        height, width = padded.shape
        inside = (rows >= self._radius) & (columns >= self._radius)
        inside &= (rows < height - self._radius) & (columns < width - self._radius)
        if not inside.all():  # what is further out than the radius is far
            rows, columns = rows[inside], columns[inside]
        near = surely[rows, columns]
        unsure = np.flatnonzero(maybe[rows, columns] > near)
        count = int(np.count_nonzero(near))
        if len(unsure) > _MOST_COMPARED:
            dilated = cv2.dilate(padded, _disk(self._radius))
            return count + int(np.count_nonzero(dilated[rows[unsure], columns[unsure]]))
        if len(unsure):
            over, aside = _offsets(self._radius)
            found = padded[rows[unsure][:, None] + over, columns[unsure][:, None] + aside]
            count += int(np.count_nonzero(found.any(axis=1)))
        return count

    @property
    def _reach(self) -> int:
        """Padding around the boundary: a disk around any place that may be near stays in it."""
        return 2 * self._radius

    def _squares(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """The padded boundary, and what squares in and around disks reach; 0 and 1."""
        if self._near is None:
            height, width = self._boundary.shape
            reach = self._reach
            padded = np.zeros((height + 2 * reach, width + 2 * reach), np.uint8)
            padded[reach : reach + height, reach : reach + width] = self._boundary
            inner, outer = (2 * edge + 1 for edge in (math.isqrt(self._radius**2 // 2), self._radius))
            squares = [
                np.asarray(cv2.dilate(padded, np.ones((edge, edge), np.uint8)), np.uint8) for edge in (inner, outer)
            ]
            self._near = padded, squares[0], squares[1]
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


@cache
def _offsets(radius_px: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the disk, from its middle."""
    rows, columns = np.nonzero(_disk(radius_px))
    return rows - radius_px, columns - radius_px


def _box(mask: Masks) -> tuple[slice, slice]:
    """The part of a picture that holds a mask, with one pixel around it; empty for an empty mask."""
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    if not width:
        return slice(0, 0), slice(0, 0)
    return slice(max(top - 1, 0), top + height + 1), slice(max(left - 1, 0), left + width + 1)


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
