"""COCO's compressed run lengths, written with numpy alone.

Source: the format of pycocotools (`rleToString` in common/maskApi.c); `ssa_stream.protocols.decode_counts` reads it.
"""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

__all__ = ["RunLengths", "encode_counts"]

_FIRST_CHARACTER = 48
_PAYLOAD_BITS = 5
_MAX_CHARACTERS = 7


class RunLengths(TypedDict):
    """A mask as pycocotools takes it.

    Attributes:
        size: Height and width.
        counts: Compressed run lengths, column by column.
    """

    size: list[int]
    counts: bytes


def encode_counts(mask: NDArray[np.bool_]) -> bytes:
    """Write a mask.

    Args:
        mask: `(H, W)` bool.
    Returns:
        The compressed string, ASCII.
    """
    numbers = _runs(mask)
    # From the fourth number on, the difference to the one before the last is stored.
    numbers[3:] -= numbers[1:-2].copy()
    characters = np.zeros((len(numbers), _MAX_CHARACTERS), dtype=np.uint8)
    is_used = np.zeros(characters.shape, dtype=np.bool_)
    open_numbers = np.ones(len(numbers), dtype=np.bool_)
    for place in range(_MAX_CHARACTERS):
        is_used[:, place] = open_numbers
        payload = numbers & (2**_PAYLOAD_BITS - 1)
        numbers >>= _PAYLOAD_BITS
        # The number ends where what is left is only its sign, and the highest bit written says so.
        has_more = np.where(payload & 16, numbers != -1, numbers != 0)
        characters[:, place] = payload + np.where(has_more, 32, 0) + _FIRST_CHARACTER
        open_numbers = open_numbers & has_more
    return characters[is_used].tobytes()


def _runs(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Lengths of the runs of 0, 1, 0, 1 and so on, column by column."""
    pixels = np.asarray(mask, dtype=np.bool_).ravel(order="F")
    edges = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    first = [0] if pixels.size and pixels[0] else []
    bounds = np.concatenate(([0], first, edges, [pixels.size])).astype(np.int64)
    return bounds[1:] - bounds[:-1]
