"""Frame rates as fractions, from 1000 frames a second to one frame a year."""

from fractions import Fraction

__all__ = ["rate_fraction"]

_MAX_DENOMINATOR = 1001
"""That of 30000/1001, the rate of NTSC."""


def rate_fraction(fps: float) -> Fraction:
    """The usual fraction that a rate is meant to be: 29.97 is 30000/1001, 1/3600 is one frame an hour.

    Args:
        fps: Frames per second, finite and above 0.
    Returns:
        A rate above 0. Below one frame a second the interval is rounded instead of the rate, so that it is not 0.
    """
    if fps >= 1:
        return Fraction(fps).limit_denominator(_MAX_DENOMINATOR)
    return 1 / Fraction(1 / fps).limit_denominator(_MAX_DENOMINATOR)
