"""COCO's run lengths, read as pycocotools writes them."""

import numpy as np
import pycocotools.mask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from ssa_stream.errors import MessageError
from ssa_stream.protocols import decode_counts

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(max_examples=200, deadline=None, database=None)
@given(SIZES.flatmap(lambda size: arrays.arrays(np.bool_, size)))
def test_any_mask_of_pycocotools_is_read_exactly(mask: NDArray[np.bool_]) -> None:
    """Row by row, column by column."""
    counts: bytes = pycocotools.mask.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    assert np.array_equal(decode_counts(counts, (mask.shape[0], mask.shape[1])), mask)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 1.0])
def test_large_mask_is_read_exactly(share: float) -> None:
    """Numbers of many characters, negative differences."""
    mask = np.random.default_rng(0).random((480, 640)) < share
    mask[100:200, 100:400] = True
    counts: bytes = pycocotools.mask.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    assert np.array_equal(decode_counts(memoryview(counts), (480, 640)), mask)


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
        (b"5", "cover 5 pixels; expected to fill 6x4"),
        (b"P", "in the middle of a number"),
        (b"o" * 100 + b"0", "more than 7 characters"),
        (b"4220<\xff", "not of the format"),
        (b"O", "negative"),
        (b"n0J", "negative"),
    ],
    ids=["empty", "short", "unfinished", "long_number", "character", "negative", "negative_but_fitting"],
)
def test_malformed_run_lengths_are_refused(counts: bytes, complaint: str) -> None:
    """With what is wrong about them."""
    with pytest.raises(MessageError, match=complaint):
        decode_counts(counts, (4, 6))
