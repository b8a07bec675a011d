"""Blank pictures: a covered lens, a black or white frame, a blue screen without a signal."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["is_blank"]

# Means of cells differ by up to 3 levels with sensor noise of 3 levels (standard deviation), and by up to 5 with what
# x264 leaves of the picture before at a rate factor of 40; a square of 8x8 pixels, 24 levels off, makes 9 or more.
_MOST_SPAN = 6.0
_CELL_PX = 8
_LEAST_CELL_PX = 4


def is_blank(picture: NDArray[np.uint8], source: tuple[int, int]) -> bool:
    """Whether a picture shows nothing: in each channel the means of all its cells are nearly equal.

    Cells have 8x8 pixels of the source, but no less than 4x4 of the picture, and overlap by a half. What is left of a
    cell at the right and bottom edge is not looked at.

    Args:
        picture: `(h, w, 3)` uint8, RGB, as the network sees it.
        source: Size before it was resized, `(height, width)`.
    """
    height, width = picture.shape[:2]
    scale = max(height / source[0], width / source[1])
    cell = max(_LEAST_CELL_PX, _CELL_PX * scale)
    half = max(1, min(round(cell / 2), height // 2, width // 2))
    rows, columns = height // half, width // half
    halves = picture[: rows * half, : columns * half].reshape(rows, half, columns, half, 3).mean(axis=(1, 3))
    means = _means_of_two(_means_of_two(halves, axis=0), axis=1)
    spans = means.max(axis=(0, 1)) - means.min(axis=(0, 1))
    return bool(spans.max() <= _MOST_SPAN)


def _means_of_two(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Means of neighbours along an axis; a single value stays."""
    if values.shape[axis] < 2:
        return values
    count = values.shape[axis] - 1
    return (values.take(range(count), axis) + values.take(range(1, count + 1), axis)) / 2
