"""All eight orientations that a display matrix can ask for."""

import numpy as np
import pytest

from ssa_stream.sources.conversion import apply_display_matrix

ONE = 1 << 16
STORED = np.arange(6, dtype=np.uint8).reshape(2, 3, 1).repeat(3, axis=2)


@pytest.mark.parametrize(
    ("linear", "expected"),
    [
        ((ONE, 0, 0, ONE), STORED),
        ((0, -ONE, ONE, 0), np.rot90(STORED, 1)),
        ((-ONE, 0, 0, -ONE), np.rot90(STORED, 2)),
        ((0, ONE, -ONE, 0), np.rot90(STORED, 3)),
        ((-ONE, 0, 0, ONE), STORED[:, ::-1]),
        ((ONE, 0, 0, -ONE), STORED[::-1]),
        ((0, ONE, ONE, 0), STORED.transpose(1, 0, 2)),
        ((0, -ONE, -ONE, 0), np.rot90(STORED, 2).transpose(1, 0, 2)),
    ],
    ids=["none", "left", "over", "right", "mirrored", "flipped", "transposed", "anti-transposed"],
)
def test_apply_display_matrix_turns_and_mirrors(linear: tuple[int, int, int, int], expected: np.ndarray) -> None:
    """The matrix rows are a, b, 0 / c, d, 0 / x, y, w."""
    a, b, c, d = linear
    matrix = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], dtype=np.int32)
    np.testing.assert_array_equal(apply_display_matrix(STORED, matrix), expected)
