"""Masks become COCO's run lengths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from ssa_stream.client.run_lengths import encode_counts
from ssa_stream.protocols import decode_counts
from tests.support.mask_messages import circle

MASKS = arrays.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40)))


@given(mask=MASKS)
def test_run_lengths_read_back_are_the_mask(mask: NDArray[np.bool_]) -> None:
    """By the protocol's own reader, which was written against another one."""
    height, width = mask.shape
    assert np.array_equal(decode_counts(encode_counts(mask), (height, width)), mask)


@given(mask=MASKS)
def test_run_lengths_are_those_of_pycocotools(mask: NDArray[np.bool_]) -> None:
    """Character by character."""
    from pycocotools import mask as coco

    assert encode_counts(mask) == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]


@pytest.mark.parametrize(
    "mask",
    [np.zeros((1080, 1920), bool), np.ones((1080, 1920), bool), circle((1080, 1920), (400, 900), 300)],
    ids=["empty", "full", "circle"],
)
def test_large_masks_are_written_as_pycocotools_does(mask: NDArray[np.bool_]) -> None:
    """Runs of several characters."""
    from pycocotools import mask as coco

    assert encode_counts(mask) == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]


def test_example_of_the_description() -> None:
    """`4220<`, see docs/protocol.md."""
    mask = np.zeros((4, 6), dtype=np.bool_)
    mask[0:2, 1:3] = True
    assert encode_counts(mask) == b"4220<"
