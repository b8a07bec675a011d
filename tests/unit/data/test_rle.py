"""Run-length strings against the library that defines them."""

import warnings

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from ssa_stream.data.rle import decode_rle


@pytest.mark.parametrize("seed", range(12))
def test_decoding_agrees_with_pycocotools(seed: int) -> None:
    """Random masks from nearly empty to nearly full."""
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(1, 90, 2))
    coarse = rng.uniform(size=(height // 7 + 1, width // 7 + 1)) < rng.uniform()
    mask = np.kron(coarse, np.ones((7, 7), bool))[:height, :width] ^ (rng.uniform(size=(height, width)) < 0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # theirs, under numpy 2
        counts = coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
    np.testing.assert_array_equal(decode_rle(counts, height, width), mask)


@pytest.mark.parametrize("counts", ["", "0", "\u00e9", "P1P", "zzz"], ids=["empty", "short", "strange", "cut", "wide"])
def test_decoding_a_broken_string_is_refused(counts: str) -> None:
    """It never gives a wrong mask."""
    with pytest.raises(ValueError, match=r"expected|format|middle"):
        decode_rle(counts, 4, 5)
