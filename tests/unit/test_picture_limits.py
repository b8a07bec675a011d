"""How large a picture may be."""

import pytest

from ssa_stream.errors import ConfigError
from ssa_stream.picture_limits import PictureLimits


@pytest.mark.parametrize(
    "size", [(8160, 6120), (7680, 4320), (4000, 16_000), (16_384, 1)], ids=["photo", "8k", "area", "edge"]
)
def test_picture_within_the_limits_is_no_problem(size: tuple[int, int]) -> None:
    """Photographs of 50 megapixels and 8K video are within the defaults."""
    assert PictureLimits().problem(*size) is None
    assert PictureLimits().problem(*reversed(size)) is None


@pytest.mark.parametrize("size", [(16_385, 1), (8001, 8000), (60_000, 60_000)], ids=["edge", "area", "both"])
def test_picture_beyond_a_limit_is_told_with_its_size_and_the_limits(size: tuple[int, int]) -> None:
    """Either way round."""
    for width, height in (size, size[::-1]):
        problem = PictureLimits().problem(width, height)
        assert problem == f"{width}x{height} pixels; at most 16,384 in each direction and 64,000,000 in all"


@pytest.mark.parametrize("wrong", [{"edge_px": 0}, {"area_px": -1}, {"edge_px": 10**7}, {"area_px": 10**12}])
def test_limit_that_is_none_is_refused(wrong: dict[str, int]) -> None:
    """With what is expected."""
    with pytest.raises(ConfigError, match="expected 1 to"):
        PictureLimits(**wrong)
