"""COCO's run lengths, written and read, against the library that defines them."""

import warnings

import numpy as np
import pycocotools.mask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from ssa_stream.errors import MessageError
from ssa_stream.run_lengths import decode_counts, encode_counts
from tests.support.mask_messages import circle

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))
MASKS = SIZES.flatmap(lambda size: arrays.arrays(np.bool_, size))


def theirs(mask: NDArray[np.bool_]) -> bytes:
    """What pycocotools writes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # theirs, under numpy 2
        counts: bytes = pycocotools.mask.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    return counts


@settings(max_examples=200, deadline=None, database=None)
@given(mask=MASKS)
def test_any_mask_is_written_as_pycocotools_does_and_read_exactly(mask: NDArray[np.bool_]) -> None:
    """Character by character; row by row, column by column."""
    counts = theirs(mask)
    assert encode_counts(mask) == counts
    assert np.array_equal(decode_counts(counts, (mask.shape[0], mask.shape[1])), mask)


@pytest.mark.parametrize("seed", range(12))
def test_masks_of_blocks_are_written_and_read_exactly(seed: int) -> None:
    """From nearly empty to nearly full, as text."""
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(1, 90, 2))
    coarse = rng.uniform(size=(height // 7 + 1, width // 7 + 1)) < rng.uniform()
    mask = np.kron(coarse, np.ones((7, 7), bool))[:height, :width] ^ (rng.uniform(size=(height, width)) < 0.01)
    counts = theirs(mask)
    assert encode_counts(mask) == counts
    assert np.array_equal(decode_counts(counts.decode("ascii"), (height, width)), mask)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 1.0])
def test_large_mask_is_read_exactly(share: float) -> None:
    """Numbers of many characters, negative differences."""
    mask = np.random.default_rng(0).random((480, 640)) < share
    mask[100:200, 100:400] = True
    assert np.array_equal(decode_counts(memoryview(theirs(mask)), (480, 640)), mask)


@pytest.mark.parametrize(
    "mask",
    [np.zeros((1080, 1920), bool), np.ones((1080, 1920), bool), circle((1080, 1920), (400, 900), 300)],
    ids=["empty", "full", "circle"],
)
def test_large_masks_are_written_as_pycocotools_does(mask: NDArray[np.bool_]) -> None:
    """Runs of several characters."""
    assert encode_counts(mask) == theirs(mask)


def test_example_of_the_description() -> None:
    """`4220<`, see docs/protocol.md."""
    mask = np.zeros((4, 6), dtype=np.bool_)
    mask[0:2, 1:3] = True
    assert encode_counts(mask) == b"4220<"


@settings(max_examples=300, deadline=None, database=None)
@given(st.binary(max_size=40) | st.text("0123oOPQ_`no", max_size=40).map(str.encode), SIZES)
def test_noise_is_refused_or_fills_the_mask(counts: bytes, size: tuple[int, int]) -> None:
    """Nothing else than a MessageError."""
    try:
        assert decode_counts(counts, size).shape == size
    except MessageError:
        pass


@pytest.mark.parametrize(
    ("counts", "complaint"),
    [
        (b"", "cover 0 pixels"),
        ("0", "cover 0 pixels"),
        (b"5", "cover 5 pixels; expected to fill 6x4"),
        (b"P", "in the middle of a number"),
        ("P1P", "in the middle of a number"),
        (b"o" * 100 + b"0", "more than 7 characters"),
        (b"4220<\xff", "not of the format"),
        ("4220<\u00e9", "not of the format"),
        ("4220<\ud800", "not of the format"),
        ("zzz", "not of the format"),
        (b"O", "negative"),
        (b"n0J", "negative"),
    ],
    ids=[
        "empty",
        "short_text",
        "short",
        "unfinished",
        "unfinished_text",
        "long_number",
        "character",
        "letter_outside_ascii",
        "half_a_letter",
        "wide",
        "negative",
        "negative_but_fitting",
    ],
)
def test_malformed_run_lengths_are_refused(counts: bytes | str, complaint: str) -> None:
    """With what is wrong about them."""
    with pytest.raises(MessageError, match=complaint):
        decode_counts(counts, (4, 6))


def test_lengths_whose_sum_wraps_around_are_refused() -> None:
    """None is negative and their sum in 64 bits is that of the mask, but they must not be written to memory."""
    pairs = 2**16  # 0 and k * step, for k from 1 on
    step, rest = divmod(2**64 + 512 * 512, pairs * (pairs + 1) // 2)
    counts = number(rest) + (number(step) + number(0)) * pairs
    with pytest.raises(MessageError, match=r"cover more than \d{15,} pixels"):
        decode_counts(counts, (512, 512))


def test_run_lengths_longer_than_the_mask_can_need_are_refused() -> None:
    """Before they are taken apart, which takes many times their memory."""
    with pytest.raises(MessageError, match="more than 4x2 pixels can need"):
        decode_counts("0" * 64, (2, 4))


def number(value: int) -> bytes:
    """One number of the format."""
    digits = [value >> shift & 31 for shift in range(0, 35, 5)]
    return bytes(48 + digit + 32 * (place < 6) for place, digit in enumerate(digits))
