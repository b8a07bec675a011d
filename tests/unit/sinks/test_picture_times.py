"""Times in a file: exact for steady streams, right after any pause."""

import itertools
from fractions import Fraction

import pytest

from ssa_stream.rates import rate_fraction
from ssa_stream.sinks.picture_times import MPEG4_MOST, PictureTimes, time_base_for

DAY_S = 86_400.0


def _times(fps: float, **limits: int) -> PictureTimes:
    rate = rate_fraction(fps)
    return PictureTimes(rate, time_base_for(rate), **limits)


@pytest.mark.parametrize(
    "fps", [1 / 86400, 1 / 3600, 0.5, 5, 7.3, 24000 / 1001, 24, 25, 30000 / 1001, 30, 50, 60, 60000 / 1001, 144]
)
def test_steady_stream_is_exact_and_unit_below_a_millisecond(fps: float) -> None:
    """Every picture is the same number of units after the one before."""
    rate = rate_fraction(fps)
    time_base = time_base_for(rate)
    assert (1 / (rate * time_base)).denominator == 1
    assert time_base <= Fraction(1, 1000)


@pytest.mark.parametrize("fps", [24, 25, 30, 50, 60])
def test_usual_rates_share_a_unit(fps: float) -> None:
    """A graph does not know the rate of its stream when it opens a file."""
    assert (1 / (rate_fraction(fps) * time_base_for(Fraction(30)))).denominator == 1


def test_unit_keeps_to_limits_of_the_codec() -> None:
    """16 bits for MPEG-4 Part 2; and none so fine that a pause of an hour would not fit."""
    assert time_base_for(rate_fraction(120_000 / 1001), most=MPEG4_MOST).denominator <= MPEG4_MOST
    assert time_base_for(rate_fraction(1e6)).denominator <= 120_000


@pytest.mark.parametrize("fps", [30.0, 30000 / 1001, 1 / DAY_S])
@pytest.mark.parametrize("pause_s", [1.0, 35_792.0, 3 * DAY_S, 400 * DAY_S])
def test_pause_is_written_in_steps_that_fit(fps: float, pause_s: float) -> None:
    """Growing, each below 31 bits, evenly spaced; the picture after it has its own time."""
    times = _times(fps)
    assert times.next(5.0) == [0]
    got = [0, *times.next(5.0 + pause_s)]
    steps = [second - first for first, second in itertools.pairwise(got)]
    assert all(0 < step < 2**31 for step in steps)
    assert max(steps) - min(steps) <= 1
    assert float(got[-1] * times.time_base) == pytest.approx(pause_s, abs=5e-4)
    assert len(steps) == -(-got[-1] // (2**31 - 1))


def test_shorter_limit_of_a_codec_is_kept() -> None:
    """Of MPEG-4 Part 2."""
    times = _times(30.0, longest_s=3600)
    times.next(0.0)
    assert len(times.next(3 * 3600.0)) == 3


def test_times_closer_than_a_unit_do_not_move_later_ones() -> None:
    """They get the next unit; the ones after them are where they belong."""
    times = _times(30.0)
    got = [times.next(t)[-1] for t in (0.0, 0.1, 0.1001, 0.1002, 0.2)]
    assert got == [0, 120, 121, 122, 240]


def test_time_that_goes_back_begins_anew_one_interval_later() -> None:
    """As of a new epoch."""
    times = _times(10.0)
    assert [times.next(t)[-1] for t in (0.0, 0.1, 0.0, 0.3)] == [0, 120, 240, 600]
