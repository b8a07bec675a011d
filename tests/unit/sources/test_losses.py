"""Holes in the written times are frames that never came."""

from itertools import accumulate

import pytest

from ssa_stream.sources import SourceLosses
from ssa_stream.sources.losses import HoleCounter


def _missing(intervals: list[float]) -> int:
    counter = HoleCounter()
    for t in accumulate([0.0, *intervals]):
        counter.note(t)
    return counter.missing


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([0.04] * 30, 0),
        ([0.033, 0.034, 0.033] * 10, 0),
        ([0.04] * 10 + [0.08] + [0.04] * 5 + [0.2], 5),
        ([0.04] * 3 + [0.4], 0),
        ([0.04] * 10 + [0.2] * 40, 41),
    ],
    ids=["steady", "rounded", "holes", "too-early-to-tell", "slower-from-now-on"],
)
def test_missing_frames_are_those_that_the_usual_distance_leaves_out(intervals: list[float], expected: int) -> None:
    """A new rate is holes only until it is the usual one."""
    assert _missing(intervals) == expected


def test_losses_add_up() -> None:
    """Over connections."""
    assert SourceLosses(1, 2, 3).plus(SourceLosses(10, 20, 30)) == SourceLosses(11, 22, 33)
