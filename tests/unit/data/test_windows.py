"""The window of frames around the one that is scored."""

import pytest

from ssa_stream.data.windows import sample_window


@pytest.mark.parametrize(
    ("frame", "size", "length", "expected"),
    [
        (1, 8, 12, (0, 0, 0, 0, 0, 1, 2, 3)),
        (12, 8, 12, (7, 8, 9, 10, 11, 11, 11, 11)),
        (6, 5, 12, (3, 4, 5, 6, 7)),
        (6, 1, 12, (5,)),
        (2, 4, 2, (0, 0, 1, 1)),
    ],
)
def test_window_is_that_of_the_published_loader_of_a2d(
    frame: int, size: int, length: int, expected: tuple[int, ...]
) -> None:
    """`frame - 1 - w//2 ... frame - 1 + (w+1)//2 - 1`, each kept within the clip; written out by hand here."""
    window = sample_window(frame - 1, size, length)
    assert window == expected
    assert window[size // 2] == frame - 1


@pytest.mark.parametrize("size", [1, 5, 8])
def test_window_is_that_of_the_published_loader_of_jhmdb(size: int) -> None:
    """Its rule counts from 1: `f - w//2 ... f + (w+1)//2 - 1` kept within 1..usable."""
    usable = 7
    for frame in range(1, usable + 1):
        published = [min(max(at, 1), usable) for at in range(frame - size // 2, frame + (size + 1) // 2)]
        assert [index + 1 for index in sample_window(frame - 1, size, usable)] == published
