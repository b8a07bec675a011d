"""Masks as COCO's compressed run lengths, with numpy alone; what is read is checked to the last number.

Source: the format of pycocotools (`rleToString` and `rleFrString` in common/maskApi.c). Differs: strict, and without a
loop over numbers.
"""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import MessageError

__all__ = ["RunLengths", "check_counts", "decode_columns", "decode_counts", "encode_counts"]

_FIRST_CHARACTER = 48
_PAYLOAD_BITS = 5
_MAX_CHARACTERS = 7  # of one number: 35 bits, more than any picture has pixels


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
    numbers = _runs_of(mask)
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


def decode_counts(counts: str | bytes | memoryview, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Read a mask.

    Args:
        counts: The compressed string, ASCII.
        size: Height and width.
    Returns:
        `(H, W)` bool.
    Raises:
        MessageError: Malformed, or it does not fill the mask exactly.
    """
    return np.ascontiguousarray(decode_columns(counts, size).T)


def decode_columns(counts: str | bytes | memoryview, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Read a mask as it is stored, column by column: `(W, H)` bool; for the rest see `decode_counts`."""
    height, width = size
    runs = _checked_runs(counts, size)
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height)


def check_counts(counts: str | bytes | memoryview, size: tuple[int, int]) -> None:
    """Refuse what `decode_counts` refuses, without making the mask.

    pycocotools reads beyond its memory where run lengths do not fill the mask, and may never come back.

    Raises:
        MessageError: Malformed, or it does not fill the mask exactly.
    """
    _checked_runs(counts, size)


def _checked_runs(counts: str | bytes | memoryview, size: tuple[int, int]) -> NDArray[np.int64]:
    if isinstance(counts, str):
        counts = counts.encode("utf-8", "surrogatepass")  # what is not ASCII is refused below
    height, width = size
    if len(counts) > _MAX_CHARACTERS * (height * width + 1):
        raise MessageError(f"run lengths have {len(counts)} characters, more than {width}x{height} pixels can need")
    runs = _read_runs(np.frombuffer(counts, dtype=np.uint8))
    expected = f"expected to fill {width}x{height}"
    if len(runs) and runs.min() < 0:
        raise MessageError(f"run lengths are negative; {expected}")
    if len(runs) and runs.max() > height * width:  # first: a sum of many huge ones may wrap around to any number
        raise MessageError(f"run lengths cover more than {int(runs.max()) - 1} pixels; {expected}")
    if not len(runs) or int(runs.sum()) != height * width:
        raise MessageError(f"run lengths cover {int(runs.sum())} pixels; {expected}")
    return runs


def _runs_of(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Lengths of the runs of 0, 1, 0, 1 and so on, column by column."""
    pixels = np.asarray(mask, dtype=np.bool_).ravel(order="F")
    edges = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    first = [0] if pixels.size and pixels[0] else []
    bounds = np.concatenate(([0], first, edges, [pixels.size])).astype(np.int64)
    return bounds[1:] - bounds[:-1]


def _read_runs(characters: NDArray[np.uint8]) -> NDArray[np.int64]:
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
