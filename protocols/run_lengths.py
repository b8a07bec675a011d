"""COCO's compressed run lengths, read with numpy alone and every number checked.

Source: the format of pycocotools (`rleFrString` in common/maskApi.c). Differs: strict, and without a loop.
"""

import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import MessageError

__all__ = ["decode_counts"]

_FIRST_CHARACTER = 48
_PAYLOAD_BITS = 5
_MAX_CHARACTERS = 7  # of one number: 35 bits, more than any picture has pixels


def decode_counts(counts: bytes | memoryview, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Read a mask.

    Args:
        counts: The compressed string, ASCII.
        size: Height and width.
    Returns:
        `(H, W)` bool.
    Raises:
        MessageError: Malformed, or it does not fill the mask exactly.
    """
    height, width = size
    runs = _runs(np.frombuffer(counts, dtype=np.uint8))
    if not len(runs) or runs.min() < 0 or int(runs.sum()) != height * width:
        raise MessageError(
            f"run lengths {'are negative' if len(runs) and runs.min() < 0 else f'cover {int(runs.sum())} pixels'}; "
            f"expected to fill {width}x{height}"
        )
    values = np.arange(len(runs)) % 2 == 1
    return np.ascontiguousarray(np.repeat(values, runs).reshape(width, height).T)


def _runs(characters: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Lengths of the runs, of background first."""
    if not len(characters):
        return np.zeros(0, dtype=np.int64)
    codes = characters.astype(np.int64) - _FIRST_CHARACTER
    if codes.min() < 0 or codes.max() > 63:
        raise MessageError("run lengths hold a byte that is not of the format; expected ASCII '0' to 'o'")
    is_last = (codes & 32) == 0
    if not is_last[-1]:
        raise MessageError("run lengths end in the middle of a number")
    starts = np.concatenate(([0], np.flatnonzero(is_last)[:-1] + 1))
    number = np.cumsum(is_last) - is_last  # which number a character belongs to
    digit = np.arange(len(codes)) - starts[number]
    if digit.max() >= _MAX_CHARACTERS:
        raise MessageError(f"run lengths hold a number of more than {_MAX_CHARACTERS} characters")
    shift = digit * _PAYLOAD_BITS
    numbers = np.add.reduceat((codes & 31) << shift, starts)
    is_negative = (codes[is_last] & 16) != 0
    numbers -= is_negative * (np.int64(1) << (shift[is_last] + _PAYLOAD_BITS))
    # From the fourth number on, the difference to the one before the last is stored.
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers
