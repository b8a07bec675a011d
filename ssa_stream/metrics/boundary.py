"""Boundary accuracy F: how well the outlines of two masks agree."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from ssa_stream.metrics.masks import Masks, check_pair

__all__ = ["boundary_accuracy", "boundary_radius_px"]

_SHARE_OF_DIAGONAL = 0.008


def boundary_radius_px(height: int, width: int) -> int:
    """How far outlines may lie apart and still match: 0.008 of the diagonal, rounded up."""
    return math.ceil(_SHARE_OF_DIAGONAL * math.hypot(height, width))


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
    _, H, W = predicted.shape
    disk = _disk(boundary_radius_px(H, W))
    pairs = zip(predicted, target, strict=True)
    return np.array([_frame_accuracy(one, other, disk) for one, other in pairs])


def _disk(radius_px: int) -> NDArray[np.uint8]:
    """All pixels within a distance of the middle one."""
    rows, columns = np.mgrid[-radius_px : radius_px + 1, -radius_px : radius_px + 1]
    return np.asarray(rows**2 + columns**2 <= radius_px**2, dtype=np.uint8)


def _frame_accuracy(predicted: Masks, target: Masks, disk: NDArray[np.uint8]) -> float:
    box = _box(predicted | target)
    first, second = _boundary(predicted[box]), _boundary(target[box])
    num_first, num_second = np.count_nonzero(first), np.count_nonzero(second)
    if not num_first or not num_second:
        return float(num_first == num_second)
    precision = _near(first, second, disk) / num_first
    recall = _near(second, first, disk) / num_second
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _box(mask: Masks) -> tuple[slice, slice]:
    """The part of a picture that holds a mask, with one pixel around it; empty for an empty mask."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return slice(0), slice(0)
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    top, left = max(int(rows[0]) - 1, 0), max(int(columns[0]) - 1, 0)
    return slice(top, int(rows[-1]) + 2), slice(left, int(columns[-1]) + 2)


def _boundary(mask: Masks) -> Masks:
    """Pixels that differ from the one to the right, below, or right below; the last row and column look one way only.

    Source: DAVIS 2017, `_seg2bmap`.
    """
    boundary = np.zeros_like(mask)
    across, down = mask[:, 1:] ^ mask[:, :-1], mask[1:] ^ mask[:-1]
    boundary[:, :-1] = across
    boundary[:-1] |= down
    boundary[:-1, :-1] |= mask[1:, 1:] ^ mask[:-1, :-1]
    return boundary


def _near(boundary: Masks, other: Masks, disk: NDArray[np.uint8]) -> int:
    """Number of pixels of a boundary that the other one reaches."""
    reached = cv2.dilate(other.view(np.uint8), disk)
    return int(np.count_nonzero(reached & boundary.view(np.uint8)))
