"""Masks as polygons: outlines along the edges of pixels, exact or simplified, with numpy alone.

Source: Douglas and Peucker, "Algorithms for the reduction of the number of points required to represent a digitized
line or its caricature", 1973. Differs: distances are those to segments and not to lines, so the tolerance holds where
an outline turns back, too.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Polygon", "mask_polygons"]

Ring = NDArray[np.float64]
_Corners = NDArray[np.int64]


class Polygon(NamedTuple):
    """One connected part of a mask.

    Each ring is `(N, 2)` float64, x and y in pixels, at least three corners, the first one not repeated at the end.
    (0, 0) is the upper left corner of the upper left pixel, so that pixel's centre is (0.5, 0.5). `exterior` runs
    clockwise as seen on a screen, where y points down; `holes` run the other way.
    """

    exterior: Ring
    holes: tuple[Ring, ...] = ()


class _Outline(NamedTuple):
    """A ring, x and y, from its uppermost, leftmost corner on; the mask is to its right as seen on a screen."""

    corners: _Corners
    start_yx: tuple[int, int]
    is_hole: bool


def mask_polygons(
    mask: NDArray[np.bool_], tolerance_px: float = 0.0, scale: tuple[float, float] = (1.0, 1.0)
) -> list[Polygon]:
    """Polygons of a mask, in reading order of their uppermost, leftmost corners.

    Pixels that touch at a corner only are not connected by it. At tolerance 0 rings touch each other in such corners
    at most, none crosses itself or another one, and filling the polygons gives the mask back.

    Args:
        mask: `(H, W)` bool.
        tolerance_px: No point of a ring is farther than this from the outline along the pixels, nor the other way
            round; in pixels after scaling. A ring that is smaller than that becomes a triangle. Where an object is
            that thin, rings may cross.
        scale: What x and y are multiplied by.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return []
    columns = np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    padded = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1)
    outlines = sorted(_outlines(padded), key=lambda one: one.start_yx)

    def shown(one: _Outline) -> Ring:
        return _simplified((one.corners + np.array((left, top))) * np.asarray(scale, dtype=np.float64), tolerance_px)

    holes: dict[int, list[Ring]] = {}
    for number, exterior in _exteriors_of_holes(padded, outlines).items():
        holes.setdefault(exterior, []).append(shown(outlines[number]))
    return [Polygon(shown(one), tuple(holes.get(i, ()))) for i, one in enumerate(outlines) if not one.is_hole]


def _outlines(padded: NDArray[np.bool_]) -> Iterator[_Outline]:
    """Outlines of a mask with a margin of one pixel; coordinates are those without the margin.

    At each corner a horizontal side meets a vertical one. The corners of a row, from left to right, are ends of
    horizontal sides in pairs, and those of a column, from top to bottom, of vertical ones. So each corner knows its
    two neighbours.
    """
    is_crack = padded[:, 1:] != padded[:, :-1]  # between a pixel and the one to its right
    is_touch = is_crack[1:] & is_crack[:-1] & (padded[1:, 1:] != padded[:-1, 1:])  # of two pixels, at a corner only
    y, x = np.nonzero((is_crack[1:] != is_crack[:-1]) | is_touch)
    # A corner where pixels touch is there twice, once for each. From left to right the left pixel's comes first; from
    # top to bottom, too, unless the left pixel is the lower one.
    times = 1 + is_touch[y, x]
    y, x = np.repeat(y, times), np.repeat(x, times)
    number = np.arange(len(y))
    place = number.copy()
    first = np.cumsum(times)[times == 2] - 2
    first = first[~padded[y[first], x[first]]]
    place[first], place[first + 1] = first + 1, first
    by_column = np.lexsort((place, y, x))
    beside, across = number ^ 1, np.empty_like(number)
    across[by_column] = by_column[number ^ 1]
    is_below = padded[y[::2] + 1, x[::2] + 1]
    has_touches = bool(is_touch.any())
    corners = np.stack((x, y), axis=1)
    for ring in _cycles(beside.tolist(), across.tolist(), is_below.tolist()):
        loops = _loops(corners[ring]) if has_touches else [corners[ring]]
        yield from map(_outline, loops)


def _cycles(beside: Sequence[int], across: Sequence[int], is_below: Sequence[bool]) -> Iterator[list[int]]:
    """Closed ways from corner to corner.

    Args:
        beside: The other end of a corner's horizontal side.
        across: That of its vertical side.
        is_below: Whether the mask is below a horizontal side; of the sides, which corners are the ends of in pairs.
    """
    is_passed = bytearray(len(beside))
    for left in range(0, len(beside), 2):
        if is_passed[left]:
            continue
        at = left if is_below[left // 2] else left + 1  # so that the mask is to the right
        ring: list[int] = []
        while not is_passed[at]:
            end = beside[at]
            is_passed[at] = is_passed[end] = 1
            ring += (at, end)
            at = across[end]
        yield ring


def _loops(ring: _Corners) -> Iterator[_Corners]:
    """The parts of a ring that pass no corner twice: what it goes around is the same."""
    way: list[tuple[int, int]] = []
    place: dict[tuple[int, int], int] = {}
    for x, y in ring.tolist():
        if (begin := place.get((x, y))) is not None:
            yield np.array(way[begin:], dtype=np.int64)
            for passed in way[begin:]:
                del place[passed]
            del way[begin:]
        place[x, y] = len(way)
        way.append((x, y))
    yield np.array(way, dtype=np.int64)


def _outline(ring: _Corners) -> _Outline:
    x, y = ring.T
    first = int(np.lexsort((x, y))[0])
    # Twice the area with a sign: the shoelace formula; y points down, so clockwise on a screen is positive.
    area = np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))
    return _Outline(np.roll(ring, -first, axis=0), (int(y[first]), int(x[first])), bool(area < 0))


def _exteriors_of_holes(padded: NDArray[np.bool_], outlines: Sequence[_Outline]) -> dict[int, int]:
    """Number of the exterior for the number of each hole, in their order.

    To the left of a hole's first corner is a run of mask pixels. The side where the run begins is of the exterior, or
    of another hole in it that begins earlier.
    """
    numbers = [i for i, one in enumerate(outlines) if one.is_hole]
    if not numbers:
        return {}
    height, width = padded.shape
    cracks = np.flatnonzero(padded[1:-1, 1:] != padded[1:-1, :-1])  # rows of width - 1
    starts = np.array([outlines[i].start_yx for i in numbers])
    begins = cracks[np.searchsorted(cracks, starts @ (width - 1, 1)) - 1] % (width - 1)
    # Vertical sides with the mask to the east lead up.
    lower = np.concatenate([one.corners for one in outlines])
    upper = np.concatenate([np.roll(one.corners, -1, axis=0) for one in outlines])
    owner = np.repeat(np.arange(len(outlines)), [len(one.corners) for one in outlines])
    is_west = (lower[:, 0] == upper[:, 0]) & (upper[:, 1] < lower[:, 1])
    keys = upper[is_west] @ (height, 1)
    order = np.argsort(keys)
    found = np.searchsorted(keys[order], begins * height + starts[:, 0], side="right") - 1
    exteriors: dict[int, int] = {}
    for number, neighbour in zip(numbers, owner[is_west][order][found].tolist(), strict=True):
        exteriors[number] = exteriors.get(neighbour, neighbour)
    return exteriors


def _simplified(ring: Ring, tolerance_px: float) -> Ring:
    """Leave out corners that are within the tolerance of what stays: then all points between them are, too."""
    if not tolerance_px or len(ring) <= 3:
        return ring
    closed = np.concatenate((ring, ring[:1]))
    last, half = len(ring), int(np.argmax(_distances(ring, ring[0], ring[0])))
    is_kept = np.zeros(len(closed), dtype=np.bool_)
    is_kept[[0, half]] = True
    spans = [(0, half), (half, last)]
    while spans:
        begin, end = spans.pop()
        if end - begin < 2:
            continue
        distances = _distances(closed[begin + 1 : end], closed[begin], closed[end])
        farthest = int(np.argmax(distances))
        if distances[farthest] > tolerance_px:
            middle = begin + 1 + farthest
            is_kept[middle] = True
            spans += ((begin, middle), (middle, end))
    if is_kept.sum() < 3:
        x, y = (ring - ring[0]).T
        is_kept[np.argmax(np.abs(x * y[half] - y * x[half]))] = True
    return ring[is_kept[:last]]


def _distances(points: Ring, begin: Ring, end: Ring) -> NDArray[np.float64]:
    """Distances of points, `(N, 2)`, from a segment."""
    along, away = end - begin, points - begin
    length2 = float(along @ along)
    share = np.clip(away @ along / length2, 0.0, 1.0) if length2 else np.zeros(len(points))
    off = away - share[:, None] * along
    return np.asarray(np.hypot(off[:, 0], off[:, 1]))
