"""References beside the packets tell when pictures were taken, on the host's clock as far as the two agree."""

from fractions import Fraction

import pytest

from ssa_stream.sources.capture_time import CameraClock, ProducerTimes

TICK = Fraction(1, 90_000)
UTC_US = 1_800_000_000_000_000
S = 1_000_000_000
UTC = 1_800_000_000 * S


def test_pictures_beside_a_reference_have_its_time_and_the_difference() -> None:
    """Before it, as B-frames are, and after it."""
    times = ProducerTimes()
    assert times.utc_ns(90_000, TICK) is None
    times.note(Fraction(1, 2), UTC_US - 533_333)
    assert times.utc_ns(90_000, TICK) is None  # the first one is of another picture
    times.note(Fraction(1), UTC_US)
    assert times.utc_ns(90_000, TICK) == UTC_US * 1000
    assert times.utc_ns(90_000 - 3000, TICK) == UTC_US * 1000 - 33_333_333
    assert times.utc_ns(90_000 + 9000, TICK) == UTC_US * 1000 + 100_000_000


def test_reference_counts_for_a_minute_only() -> None:
    """A time that jumped is not measured from a reference before the jump."""
    times = ProducerTimes()
    times.note(Fraction(1), UTC_US)
    times.note(Fraction(1), UTC_US)
    assert times.utc_ns(90_000 * 60, TICK) is not None
    assert times.utc_ns(90_000 * 62, TICK) is None
    assert times.utc_ns(None, TICK) is None


def test_camera_that_was_never_told_the_time_says_nothing() -> None:
    """Nor does a reference that is of a later step than the capture."""
    times = ProducerTimes()
    for _ in range(3):
        times.note(Fraction(1), 0)
        times.note(Fraction(1), -2_208_988_800_000_000)
        times.note(Fraction(1), UTC_US, meaning=4)
    assert times.utc_ns(90_000, TICK) is None


def _map(clock: CameraClock, now_s: float, age_s: float) -> float | None:
    """Receive, at that second, a picture of that age; returns how old it is by the host's monotonic clock."""
    received_ns = round(now_s * S)
    utc_ns = UTC + received_ns
    captured_ns = clock.to_monotonic_ns(utc_ns - round(age_s * S), received_ns=received_ns, received_utc_ns=utc_ns)
    return None if captured_ns is None else (received_ns - captured_ns) / S


def test_age_of_a_camera_in_step_is_its_delay() -> None:
    """Jitter of the way shows as age, not as movement."""
    clock = CameraClock()
    assert [_map(clock, n / 10, age) for n, age in enumerate([0.05, 0.3, 0.08])] == pytest.approx([0.05, 0.3, 0.08])
    assert clock.least_age_s == pytest.approx(0.05)
    assert clock.agrees


@pytest.mark.parametrize("age_s", [-3600.0, -0.5, 7.0, 86400.0 * 365], ids=["ahead", "bit-ahead", "slow", "years"])
def test_camera_out_of_step_has_no_time_on_the_hosts_clock(age_s: float) -> None:
    """No time is better than a wrong one."""
    clock = CameraClock()
    assert [_map(clock, n / 10, age_s) for n in range(5)] == [None] * 5
    assert not clock.agrees


def test_camera_a_little_ahead_sees_no_future() -> None:
    """Its pictures are as old as their receipt at most."""
    clock = CameraClock()
    assert _map(clock, 0, -0.03) == 0.0


def test_one_late_picture_does_not_change_the_verdict() -> None:
    """After a stall the backlog is old, and told to be."""
    clock = CameraClock()
    _map(clock, 0, 0.05)
    assert _map(clock, 5.0, 5.0) == pytest.approx(5.0)


def test_clock_that_is_set_right_is_believed_and_one_that_drifts_off_is_not() -> None:
    """The verdict follows the last seconds."""
    clock = CameraClock()
    assert _map(clock, 0, -3600) is None
    ages = [_map(clock, 1 + n, 0.1) for n in range(25)]
    assert ages[0] is None  # the least age of the window is still that of the wrong clock
    assert ages[-1] == pytest.approx(0.1)
    assert [_map(clock, 30 + n, 30.0) for n in range(25)][-1] is None


def test_before_the_first_picture_there_is_no_opinion() -> None:
    """Neither way."""
    assert CameraClock().least_age_s is None
    assert not CameraClock().agrees
