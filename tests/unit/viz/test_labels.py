"""Labels are inside the picture, below the header, and none is over another."""

from itertools import combinations

import numpy as np
import pytest

from ssa_stream.viz.labels import largest_piece, place_labels

Box = tuple[int, int, int, int]


@pytest.mark.parametrize("top", [0, 14, 40])
@pytest.mark.parametrize("picture", [(64, 48), (640, 360), (90, 300)], ids=str)
def test_labels_never_overlap_nor_leave_the_picture(picture: tuple[int, int], top: int) -> None:
    """Forty boxes anywhere, also at and beyond the edges, with labels from tiny to wider than the picture."""
    random = np.random.default_rng(sum(picture) + top)
    for _ in range(20):
        corners = random.integers(-20, max(picture) + 20, (40, 2, 2))
        ends = [(one.min(0).tolist(), (one.max(0) + 1).tolist()) for one in corners]
        boxes = [(left, upper, right, lower) for (left, upper), (right, lower) in ends]
        sizes = [[(int(width), 13), (18, 13)] for width in random.integers(20, 150, 40)]
        places = place_labels(boxes, sizes, picture, top=top)
        taken = []
        for own, place in zip(sizes, places, strict=True):
            if place is not None:
                width, height = own[place.choice]
                taken.append((place.x, place.y, place.x + width, place.y + height))
        assert taken or picture[1] - top < 13
        for left, upper, right, lower in taken:
            assert (left >= 0, upper >= top, right <= picture[0], lower <= picture[1]) == (True,) * 4
        for one, other in combinations(taken, 2):
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


@pytest.mark.parametrize(
    ("box", "top", "place"),
    [
        ((50, 60, 90, 80), 0, (0, 50, 47)),
        ((50, 20, 90, 80), 14, (0, 50, 80)),
        ((180, 60, 199, 80), 0, (0, 140, 47)),
        ((50, 15, 90, 100), 14, (0, 90, 15)),
        ((150, 0, 200, 100), 14, (0, 90, 14)),
        ((0, 0, 200, 100), 14, (0, 0, 14)),
    ],
    ids=["above", "below a header", "at the right edge", "beside it", "left of it", "within a full picture"],
)
def test_single_label_stands_at_the_first_place_that_is_free(box: Box, top: int, place: tuple[int, int, int]) -> None:
    """Above, below, beside, within."""
    assert place_labels([box], [[(60, 13)]], (200, 100), top=top) == [place]


def test_label_without_room_is_shorter_or_left_out() -> None:
    """The number alone in a narrow picture; nothing where another label is all there is room for."""
    assert place_labels([(2, 2, 40, 40)], [[(100, 13), (20, 13)]], (64, 48)) == [(1, 40, 2)]
    first, second = place_labels([(0, 0, 20, 14)] * 2, [[(20, 13)]] * 2, (20, 14))
    assert first is not None
    assert second is None


def test_largest_piece_is_that_of_most_pixels_and_else_the_upper_one() -> None:
    """Pieces that touch at a corner are one; nothing has no box."""
    mask = np.zeros((40, 60), dtype=np.bool_)
    assert largest_piece(mask) is None
    mask[2:6, 3:6] = mask[20:30, 40:45] = True
    assert largest_piece(mask) == (40, 20, 45, 30)
    mask[30, 45] = True
    assert largest_piece(mask) == (40, 20, 46, 31)
    mask[:] = False
    mask[10:14, 1:4] = mask[2:6, 30:33] = mask[2:6, 20:23] = True
    assert largest_piece(mask) == (20, 2, 23, 6)
