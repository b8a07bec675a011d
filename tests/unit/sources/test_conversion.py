"""All eight orientations that a display matrix can ask for, and stream time that only goes forward."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from ssa_stream.sources.conversion import Joints, Timeline
from ssa_stream.sources.orientation import apply_display_matrix

ONE = 1 << 16
STORED = np.arange(6, dtype=np.uint8).reshape(2, 3, 1).repeat(3, axis=2)
MS = Fraction(1, 1000)


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


def _stamp(written: list[int | None], fps: float | None = 10) -> tuple[list[float], int]:
    timeline = Timeline(fps)
    return [timeline.stamp(pts, MS) for pts in written], timeline.repaired


@pytest.mark.parametrize(
    ("written", "expected", "repaired"),
    [
        ([5000, 5100, 5350], [0.0, 0.1, 0.35], 0),
        ([None, None, None], [0.0, 0.1, 0.2], 3),
        ([None, 5000, 5100], [0.0, 0.1, 0.2], 1),
        ([0, None, 200], [0.0, 0.1, 0.2], 1),
        ([0, 100, 100, 300], [0.0, 0.1, 0.101, 0.3], 1),
        ([0, 100, 50, 300], [0.0, 0.1, 0.101, 0.3], 1),
        ([0, 100, 50, 50, 50, 300], [0.0, 0.1, 0.101, 0.102, 0.103, 0.3], 3),
        ([0, 100, 200, 300, 0, 100, 200, 300], [0.0, 0.1, 0.2, 0.3, 0.301, 0.5, 0.6, 0.7], 2),
        ([0, 9000, 0, 100], [0.0, 9.0, 9.1, 9.2], 1),
        ([-200, -100, 0], [0.0, 0.1, 0.2], 0),
    ],
    ids=[
        "offset",
        "none",
        "first-missing",
        "one-missing",
        "duplicate",
        "back",
        "repeated",
        "short-part",
        "wrapped",
        "negative",
    ],
)
def test_stamp_repairs_what_was_written(written: list[int | None], expected: list[float], repaired: int) -> None:
    """Good times are kept; bad ones are moved as little as it takes."""
    times, count = _stamp(written)
    assert times == pytest.approx(expected)
    assert count == repaired
    assert all(later > earlier for earlier, later in pairwise(times))


def test_stamp_without_rate_assumes_25_fps() -> None:
    """A stream that says nothing still gets times."""
    assert _stamp([None, None], fps=None)[0] == [0.0, 0.04]


def test_live_time_that_leaps_ahead_of_the_clock_counts_on_from_there() -> None:
    """A camera whose clock was set, forward or back; a gap that took as long as it says is left alone."""
    timeline = Timeline(10)
    times = [
        timeline.stamp(0, MS, None),
        timeline.stamp(100, MS, 0.1),
        timeline.stamp(3_600_100, MS, 0.1),
        timeline.stamp(3_600_200, MS, 0.1),
        timeline.stamp(500, MS, 0.3),
        timeline.stamp(10_500, MS, 9.9),
    ]
    assert times == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.6, 10.6])
    assert timeline.repaired == 2


def test_recorded_time_that_leaps_ahead_is_believed() -> None:
    """A file knows of no other clock."""
    assert _stamp([0, 100, 3_600_100])[0] == pytest.approx([0.0, 0.1, 3600.1])


def test_announced_joints_begin_new_counts_and_are_no_repairs() -> None:
    """However little times go back there; a pause elsewhere is one, and later jumps are repaired as ever."""
    timeline = Timeline(10, Joints(2, leap_s=5.0))
    written = [0, 100, 3100, 9_003_100, 9_003_200, 9_003_000, 9_003_100, 0]
    assert [timeline.stamp(pts, MS) for pts in written] == pytest.approx([0.0, 0.1, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6])
    assert timeline.repaired == 1
