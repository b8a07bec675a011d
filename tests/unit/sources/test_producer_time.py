"""References beside the packets give pictures their time of capture."""

from fractions import Fraction

from ssa_stream.sources.producer_time import ProducerTimes

TICK = Fraction(1, 90_000)
UTC_US = 1_800_000_000_000_000


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
