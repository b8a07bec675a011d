"""COCO's run-length strings, read with every number checked: a broken file must not decode to a wrong mask.

Source: the format of pycocotools (`rleFrString` in common/maskApi.c). Differs: numpy only, and strict.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["decode_rle"]

_FIRST_CHARACTER = 48
_PAYLOAD_BITS = 5


def decode_rle(counts: str, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Decode a mask.

    Args:
        counts: The compressed string.
        height: Rows of the mask.
        width: Columns of the mask.

    Returns:
        `(height, width)` bool.

    Raises:
        ValueError: If the string is malformed or does not fill the mask exactly.
    """
    runs = _runs(counts)
    if min(runs, default=-1) < 0 or sum(runs) != height * width:
        raise ValueError(f"runs cover {sum(runs)} pixels; expected {height * width}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def _runs(counts: str) -> list[int]:
    runs: list[int] = []
    value, shift = 0, 0
    for character in counts:
        code = ord(character) - _FIRST_CHARACTER
        if not 0 <= code < 64:
            raise ValueError(f"character {character!r} is not of the format")
        value |= (code & 31) << shift
        shift += _PAYLOAD_BITS
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        # From the third run on, the difference to the one before the last is stored.
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value, shift = 0, 0
    if shift:
        raise ValueError("it ends in the middle of a number")
    return runs
