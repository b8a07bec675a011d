"""The filters of the rows of a PNG file, undone in machine code: numba, of the extra `fast`.

Source: PNG Specification, third edition, section 9. Differs: pictures of one byte a pixel only.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["undo_filters"]

_Undo = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.uint8]], bool]


def _undo_filters(rows: Any, pixels: Any) -> bool:
    """Undo the filters of all rows.

    Args:
        rows: `(H, 1 + W)` uint8: the kind of filter, and what it left.
        pixels: `(H, W)` uint8, written.
    Returns:
        Whether there are such filters.
    """
    height, width = pixels.shape
    for y in range(height):
        kind = rows[y, 0]
        if kind > 4:
            return False
        if kind == 0 or (kind == 2 and y == 0):
            for x in range(width):
                pixels[y, x] = rows[y, x + 1]
        elif kind == 2:
            for x in range(width):
                pixels[y, x] = (rows[y, x + 1] + pixels[y - 1, x]) & 255
        else:
            left, corner = 0, 0
            for x in range(width):
                above = int(pixels[y - 1, x]) if y else 0
                predicted = left
                if kind == 3:
                    predicted = (left + above) // 2
                elif kind == 4:
                    to_left, to_above = abs(above - corner), abs(left - corner)
                    to_corner = abs(left + above - 2 * corner)
                    if to_left > to_above or to_left > to_corner:
                        predicted = above if to_above <= to_corner else corner
                left, corner = (int(rows[y, x + 1]) + predicted) & 255, above
                pixels[y, x] = left
    return True


def _compiled() -> _Undo:
    try:
        return cast(_Undo, njit(cache=True, nogil=True)(_undo_filters))
    except RuntimeError:  # nowhere to keep machine code: it is made anew in each process
        return cast(_Undo, njit(nogil=True)(_undo_filters))


undo_filters = _compiled()
