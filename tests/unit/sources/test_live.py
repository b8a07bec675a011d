"""What piled up while probing is not delivered, and holes in the written times are frames that never came."""

import threading
from collections.abc import Iterator
from itertools import accumulate

import pytest

from ssa_stream.sources import SourceLosses
from ssa_stream.sources.backlog import Backlog, with_waits
from ssa_stream.sources.live import HoleCounter


def test_pictures_that_come_without_a_wait_are_old_until_the_first_that_did_not() -> None:
    """A burst later on is not a backlog of the start."""
    backlog = Backlog()
    held = [backlog.holds(read_s=read_s, t=n / 30) for n, read_s in enumerate([0.0, 0.001, 0.03, 0.0, 0.0])]
    assert held == [True, True, False, False, False]


def test_source_that_never_makes_anybody_wait_is_delivered_in_the_end() -> None:
    """It is paced by nothing."""
    backlog = Backlog()
    held = [backlog.holds(read_s=0.0, t=float(n)) for n in range(10)]
    assert held == [True] * 6 + [False] * 4


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


def test_times_that_begin_anew_or_were_set_are_no_holes() -> None:
    """Written times may do either; the interval that follows counts again."""
    counter = HoleCounter(10.0)
    for t in [*(n / 10 for n in range(20)), 0.0, 0.1, 500.0, 500.1, 500.4]:
        counter.note(t)
    assert counter.missing == 2


def test_losses_add_up() -> None:
    """Over connections."""
    assert SourceLosses(1, 2, 3).plus(SourceLosses(10, 20, 30)) == SourceLosses(11, 22, 33)


def test_read_that_waits_is_told_once_and_gives_its_result_later() -> None:
    """Only while somebody wants to know."""
    go_on = threading.Event()

    def reads() -> Iterator[int]:
        yield 1
        assert go_on.wait(10)
        yield 2

    told = with_waits(reads(), lambda: True, wait_s=0.05)
    assert (next(told), next(told)) == (1, None)
    go_on.set()
    assert list(told) == [2]


def test_read_that_fails_while_it_is_watched_raises_where_it_is_waited_for() -> None:
    """As without a watch."""

    def reads() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    told = with_waits(reads(), lambda: True)
    assert next(told) == 1
    with pytest.raises(OSError, match="gone"):
        next(told)
