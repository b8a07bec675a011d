"""Measured rates of a stream."""

from ssa_stream.nodes.ingest.stream import RateMeter

SECOND = 1_000_000_000


def test_rate_counts_overtaken_frames() -> None:
    """It is that of the source, not of the model."""
    rate = RateMeter(3)
    assert rate.rate_hz is None
    rate.saw(1, 0)
    assert rate.rate_hz is None
    rate.saw(4, SECOND)
    assert rate.rate_hz == 3.0


def test_rate_is_of_the_last_frames_only() -> None:
    """A stream that has become slow is slow."""
    rate = RateMeter(2)
    for count, at_s in ((1, 0), (101, 1), (102, 2), (103, 3)):
        rate.saw(count, at_s * SECOND)
    assert rate.rate_hz == 1.0
    rate.reset()
    assert rate.rate_hz is None


def test_rate_of_frames_at_one_moment_is_not_known() -> None:
    """Rather than infinite."""
    rate = RateMeter()
    rate.saw(1, 5)
    rate.saw(2, 5)
    assert rate.rate_hz is None
