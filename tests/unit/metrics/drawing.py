"""Masks drawn with characters: `#` is inside."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["picture", "rectangle"]


def picture(*rows: str) -> NDArray[np.bool_]:
    """One mask, a string a row."""
    return np.array([[character == "#" for character in row] for row in rows])


def rectangle(height: int, width: int, top: int, left: int, bottom: int, right: int) -> NDArray[np.bool_]:
    """A mask with a filled rectangle; bottom and right exclusive."""
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[top:bottom, left:right] = True
    return mask
