"""Masks of COCO's annotation files: as pycocotools draws them, and refused where they make no sense."""

from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco

from ssa_stream.data.segmentations import decode_segmentation
from ssa_stream.run_lengths import decode_counts, encode_counts

SIZE = (12, 20)
SQUARE = [2.0, 2.0, 8.0, 2.0, 8.0, 7.0, 2.0, 7.0]
TRIANGLE = [6.5, 5, 18.25, 5, 12, 30.5]


@pytest.mark.parametrize("polygons", [[SQUARE], [SQUARE, TRIANGLE], [SQUARE, [1, 1, 2, 2]]])
def test_polygons_are_the_union_of_what_pycocotools_draws(polygons: list[list[float]]) -> None:
    """Several of an object, one that leaves the picture, and one of two points."""
    drawn = np.any([decode_counts(one["counts"], SIZE) for one in coco.frPyObjects(polygons, *SIZE)], axis=0)
    mask = decode_segmentation(polygons, SIZE)
    assert mask.dtype == np.bool_
    assert mask.any()
    np.testing.assert_array_equal(mask, drawn)


@pytest.mark.parametrize("is_compressed", [True, False])
def test_run_lengths_are_read_column_by_column(is_compressed: bool) -> None:
    """Of a crowd they are a list of numbers."""
    mask = np.zeros(SIZE, np.bool_)
    mask[3:5, 1] = mask[0, 7] = True
    counts: Any = encode_counts(mask).decode() if is_compressed else [15, 2, 67, 1, 155]
    np.testing.assert_array_equal(decode_segmentation({"size": list(SIZE), "counts": counts}, SIZE), mask)


@pytest.mark.parametrize(
    ("segmentation", "problem"),
    [
        (None, "expected polygons or run lengths"),
        ([], "expected polygons or run lengths"),
        ([[]], "0 numbers"),
        ([[1, 2, 3, 4, 5]], "5 numbers"),
        ([[1, 2, 3, 4], SQUARE], "4 numbers"),
        ([SQUARE, [1, 2]], "2 numbers"),
        ([[1, 2, "x", 4, 5, 6]], "expected a list of numbers"),
        ([[[1, 2], [3, 4], [5, 6]]], "expected a list of numbers"),
        ([[1, 2, 3, 4, 5, 10**400]], "expected a list of numbers"),
        (["text"], "expected a list of numbers"),
        ([[0, 0, 1e9, 0, 1e9, 1e9]], "pixels long"),
        ([[1e9] * 6], "pixels long"),
        ({"counts": [240]}, "its size is None"),
        ({"size": [20, 12], "counts": [240]}, "expected .12, 20., that of the picture"),
        ({"size": [12, 20], "counts": [239]}, "cover 239 pixels"),
        ({"size": [12, 20], "counts": [241, -1]}, "expected lengths of runs"),
        ({"size": [12, 20], "counts": "~~"}, "not of the format"),
        ({"size": [12, 20]}, "counts are None"),
    ],
)
def test_what_makes_no_sense_is_refused(segmentation: object, problem: str) -> None:
    """Before the code in C sees it, which trusts everybody."""
    with pytest.raises(ValueError, match=problem):
        decode_segmentation(segmentation, SIZE)
