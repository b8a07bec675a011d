"""Rates as the fractions that they are meant to be, and as they are measured."""

from fractions import Fraction

import pytest

from ssa_stream.cli.runner import RunReport
from ssa_stream.client.mask_figures import MaskFigures
from ssa_stream.nodes.launcher.observer import GraphReport
from ssa_stream.rates import RateMeter, rate_fraction


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (30.0, Fraction(30)),
        (30000 / 1001, Fraction(30000, 1001)),
        (24000 / 1001, Fraction(24000, 1001)),
        (12.5, Fraction(25, 2)),
        (1.0, Fraction(1)),
        (1 / 3, Fraction(1, 3)),
        (1 / 2003, Fraction(1, 2003)),
        (1 / 3600, Fraction(1, 3600)),
        (1 / 86400, Fraction(1, 86400)),
    ],
)
def test_rate_is_the_usual_fraction_and_never_zero(fps: float, expected: Fraction) -> None:
    """From film to one frame a day."""
    assert rate_fraction(fps) == expected


SECOND = 1_000_000_000


def _steady(hz: int, seconds: int) -> RateMeter:
    """A meter that saw `hz` frames a second up to the given second, that one included."""
    meter = RateMeter()
    for number in range(hz * seconds + 1):
        meter.saw_one(number * SECOND // hz)
    return meter


@pytest.mark.parametrize("hz", [1, 5, 30, 1000])
def test_steady_rate_is_exact_between_frames(hz: int) -> None:
    """It does not fall before the next frame is due."""
    meter = _steady(hz, 10)
    for share in (0, 0.5, 0.99):
        assert meter.rate_hz(round((10 + share / hz) * SECOND)) == pytest.approx(hz, rel=1e-6)


def test_rate_falls_while_nothing_comes_and_is_zero_after_the_span() -> None:
    """A dead camera has no 30 frames a second; nor has it half an hour later."""
    meter = _steady(30, 10)
    rates = [meter.rate_hz(round(at_s * SECOND)) for at_s in (10, 11, 12, 12.9, 13.1, 2000)]
    assert rates == sorted(rates, key=lambda rate: rate or 0, reverse=True)
    assert rates[:3] == pytest.approx([30, 20, 10], rel=0.05)
    assert rates[-2:] == [0, 0]
    meter.saw_one(3000 * SECOND)
    meter.saw_one(3000 * SECOND + SECOND // 30)
    assert meter.rate_hz(3000 * SECOND + SECOND // 30) == pytest.approx(30)


def test_slow_source_has_a_rate_between_its_frames() -> None:
    """One frame in ten seconds is 0.1 a second, until twice that time has passed."""
    meter = RateMeter()
    for at_s in (0, 10, 20):
        meter.saw_one(at_s * SECOND)
    assert [meter.rate_hz(at_s * SECOND) for at_s in (20, 29, 30)] == pytest.approx([0.1, 0.1, 0.1])
    assert meter.rate_hz(39 * SECOND) == pytest.approx(1 / 19)
    assert meter.rate_hz(41 * SECOND) == 0


def test_nothing_is_known_of_one_frame_but_that_no_other_came() -> None:
    """A rate is neither made up nor left open for ever."""
    meter = RateMeter()
    assert meter.rate_hz(0) is None
    meter.saw_one(SECOND)
    assert meter.rate_hz(2 * SECOND) is None
    assert meter.rate_hz(5 * SECOND) == 0


def test_counting_that_begins_anew_begins_the_rate_anew() -> None:
    """As that of a node that was started again; a count that stays is no sample."""
    meter = RateMeter()
    for at_s, count in ((0, 100), (1, 110), (2, 3), (3, 3), (3.5, 9)):
        meter.saw(count, round(at_s * SECOND))
    assert meter.rate_hz(round(3.5 * SECOND)) == pytest.approx(4)


def test_reports_keep_the_newest_latencies_only() -> None:
    """That of a command and that of a graph."""
    reports = RunReport(), MaskFigures(), GraphReport()
    for report in reports:
        report.latencies_ms.extend(range(20_000))
        report.prompt_to_mask_ms.extend(range(20_000))
        assert (min(report.latencies_ms), min(report.prompt_to_mask_ms)) == (10_000, 19_000)
