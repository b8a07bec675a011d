"""Where labels stand: at the largest piece of their object, inside the picture, below its header, none over another."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["PlacedLabel", "largest_piece", "place_labels"]

Box = tuple[int, int, int, int]
Size = tuple[int, int]


class PlacedLabel(NamedTuple):
    """Which of its sizes a label has, and its upper left corner."""

    choice: int
    x: int
    y: int


def largest_piece(mask: NDArray[np.bool_]) -> Box | None:
    """The box of the largest connected piece of a mask; between two pieces there may be another object.

    The page does the same, see `largestPiece` in `nodes/gateway/page/drawing.js`.

    Args:
        mask: `(H, W)` bool.
    Returns:
        Left, top, right and bottom, right and bottom exclusive; of pieces of one size that of the upper, then the left
        one. None if the mask is empty.
    """
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return None
    within = np.ascontiguousarray(mask[top : top + height, left : left + width]).view(np.uint8)
    pieces = cv2.connectedComponentsWithStats(within, connectivity=8)[2][1:].tolist()
    x, y, columns, rows, _ = min(pieces, key=lambda piece: (-piece[4], piece[1], piece[0]))
    return left + x, top + y, left + x + columns, top + y + rows


def place_labels(
    boxes: Sequence[Box],
    sizes: Sequence[Sequence[Size]],
    picture: Size,
    *,
    top: int = 0,
) -> list[PlacedLabel | None]:
    """Find places for labels: earlier ones choose first, and none moves for a later one.

    A label is tried above its box, below, beside and at last within it; its next size is tried when no place is free
    for the one before. The page does the same, see `placeLabels` in `nodes/gateway/page/drawing.js`.

    Args:
        boxes: Left, top, right and bottom of each object, right and bottom exclusive.
        sizes: Width and height that each label may have, the preferred one first.
        picture: Width and height of the picture.
        top: Height of the header at its upper end.
    Returns:
        For each label its place, or None where it finds none.
    """
    taken: list[Box] = []
    places: list[PlacedLabel | None] = []
    for box, own_sizes in zip(boxes, sizes, strict=True):
        place = _first_free(box, own_sizes, picture, top, taken)
        places.append(place)
        if place is not None:
            width, height = own_sizes[place.choice]
            taken.append((place.x, place.y, place.x + width, place.y + height))
    return places


def _first_free(
    box: Box,
    sizes: Sequence[Size],
    picture: Size,
    top: int,
    taken: Sequence[Box],
) -> PlacedLabel | None:
    for choice, (width, height) in enumerate(sizes):
        for x, y in _candidates(box, width, height, picture, top):
            if x < 0 or y < top or x + width > picture[0] or y + height > picture[1]:
                continue
            if not any(_overlap((x, y, x + width, y + height), other) for other in taken):
                return PlacedLabel(choice, x, y)
    return None


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _candidates(box: Box, width: int, height: int, picture: Size, top: int) -> Iterable[tuple[int, int]]:
    left, upper, right, lower = box
    most = picture[0] - width
    columns = min(max(0, left), most), min(max(0, right - width), most)
    for y in (upper - height, lower):
        yield from ((x, y) for x in columns)
    yield right, max(upper, top)
    yield left - width, max(upper, top)
    for y in (max(upper, top), min(lower, picture[1]) - height):
        yield from ((x, y) for x in columns)
