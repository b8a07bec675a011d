"""Boundary accuracy F: how well the outlines of two masks agree."""

import math
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ssa_stream.metrics.masks import Masks, check_masks, check_pair

__all__ = ["Outline", "boundary_accuracy", "boundary_radius_px", "outline_accuracy", "part_of"]

Picture = NDArray[np.uint8]

_SHARE_OF_DIAGONAL = 0.008
_MOST_COMPARED = 300
"""Pixels that are compared with a disk one by one; for more, dilating the whole part is quicker."""


def boundary_radius_px(height: int, width: int) -> int:
    """How far outlines may lie apart and still match: 0.008 of the diagonal, rounded up."""
    return math.ceil(_SHARE_OF_DIAGONAL * math.hypot(height, width))


class Outline:
    """The boundary of one mask, and what is near it; made once for a mask that is compared with several.

    Only the part of the picture around the mask is looked at; the figures are those of the whole picture.

    Args:
        mask: `(H, W)` bool.
        part: Its `part_of`, if that is known.
    Raises:
        ShapeError: It has another shape or type.
    Source: DAVIS 2017, `db_eval_boundary`.
    """

    def __init__(self, mask: Masks, part: tuple[slice, slice] | None = None) -> None:
        mask = check_masks(mask, "a mask", ndim=2)
        self._radius = boundary_radius_px(*mask.shape)
        self.rows, self.columns = part or part_of(mask)
        self._boundary = _boundary(mask[self.rows, self.columns])
        self.num_pixels = cv2.countNonZero(self._boundary) if self._boundary.size else 0
        """Pixels of the boundary; none if the mask is empty or covers the picture."""
        self._padded: Picture | None = None
        self._inner: Picture | None = None

    def share_near(self, other: "Outline") -> float:
        """Share of this boundary that lies within the radius of another one; both have pixels.

        A pixel is near if the square in the disk around it meets the other boundary, and far if the square around the
        disk does not. Squares are quick; the few pixels in between are compared with the disk itself.
        """
        top, left = other.rows.start - other._reach, other.columns.start - other._reach
        padded, inner = other._squares()
        rows = slice(max(self.rows.start, top), min(self.rows.stop, top + padded.shape[0]))
        columns = slice(max(self.columns.start, left), min(self.columns.stop, left + padded.shape[1]))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return 0.0
        own = self._boundary[_shifted(rows, self.rows.start), _shifted(columns, self.columns.start)]
        there = _shifted(rows, top), _shifted(columns, left)
        near = own & inner[there]
        count = cv2.countNonZero(near)
        if count < self.num_pixels:
            count += other._count_in_disk(own ^ near, there)
        return count / self.num_pixels

    def _count_in_disk(self, pixels: Picture, there: tuple[slice, slice]) -> int:
        """How many pixels of a part of the padded boundary are within the radius of it."""
        padded, inner = self._squares()
        further = 2 * (self._radius - _inner_px(self._radius)) + 1
        # A square of a square is the larger one.
        unsure = cv2.bitwise_and(pixels, cv2.dilate(inner, np.ones((further, further), np.uint8))[there])
        found = cv2.findNonZero(unsure)
        if found is None:
            return 0
        columns, rows = found.reshape(-1, 2).T + np.array([[there[1].start], [there[0].start]])
        if len(rows) > _MOST_COMPARED:
            return int(np.count_nonzero(cv2.dilate(padded, _disk(self._radius))[rows, columns]))
        over, aside = _offsets(self._radius)
        return int(np.count_nonzero(padded[rows[:, None] + over, columns[:, None] + aside].any(axis=1)))

    @property
    def _reach(self) -> int:
        """Padding around the boundary: a disk around any pixel that may be near stays in it."""
        return 2 * self._radius

    def _squares(self) -> tuple[Picture, Picture]:
        """The padded boundary, and the pixels whose inner squares meet it; 0 and 1."""
        if self._padded is None or self._inner is None:
            height, width = self._boundary.shape
            reach, edge = self._reach, 2 * _inner_px(self._radius) + 1
            self._padded = np.zeros((height + 2 * reach, width + 2 * reach), np.uint8)
            self._padded[reach : reach + height, reach : reach + width] = self._boundary
            self._inner = np.asarray(cv2.dilate(self._padded, np.ones((edge, edge), np.uint8)), np.uint8)
        return self._padded, self._inner


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


def part_of(mask: Masks) -> tuple[slice, slice]:
    """The part of a picture that holds a mask, with one pixel around it; empty for an empty mask."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return slice(0, 0), slice(0, 0)
    bottom, right = min(top + height + 1, mask.shape[0]), min(left + width + 1, mask.shape[1])
    return slice(max(top - 1, 0), bottom), slice(max(left - 1, 0), right)


def _inner_px(radius_px: int) -> int:
    """How far the square in a disk reaches from its middle."""
    return math.isqrt(radius_px**2 // 2)


def _shifted(part: slice, by: int) -> slice:
    return slice(part.start - by, part.stop - by)


def _boundary(mask: Masks) -> Picture:
    """Pixels that differ from the one to the right, below, or right below; the last row and column look one way only.

    Returns:
        0 and 1 in the mask's shape.
    Source: DAVIS 2017, `_seg2bmap`.
    """
    pixels = mask.view(np.uint8)
    boundary = np.zeros(mask.shape, np.uint8)
    boundary[:, :-1] = pixels[:, 1:] ^ pixels[:, :-1]
    boundary[:-1] |= pixels[1:] ^ pixels[:-1]
    boundary[:-1, :-1] |= pixels[1:, 1:] ^ pixels[:-1, :-1]
    return boundary
