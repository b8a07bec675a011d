"""Stream time only goes forward, whatever was written."""

from fractions import Fraction
from itertools import pairwise

import pytest

from ssa_stream.sources.timeline import Timeline

MS = Fraction(1, 1000)


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
        ([0, 100, 50, 60, 300], [0.0, 0.1, 0.101, 0.102, 0.3], 2),
        ([0, 9000, 0, 100], [0.0, 9.0, 9.1, 9.2], 1),
        ([-200, -100, 0], [0.0, 0.1, 0.2], 0),
    ],
    ids=["offset", "none", "first-missing", "one-missing", "duplicate", "back", "wrapped", "negative"],
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
