"""Rates as the fractions that they are meant to be."""

from fractions import Fraction

import pytest

from ssa_stream.rates import rate_fraction


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
