"""Masks as polygons: outlines along the edges of pixels, exact or simplified, with numpy alone.

Source: Douglas and Peucker, "Algorithms for the reduction of the number of points required to represent a digitized
line or its caricature", 1973. Differs: distances are those to segments and not to lines, so the tolerance holds where
an outline turns back, too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Polygon", "mask_polygons"]

Ring = NDArray[np.float64]
_Corners = NDArray[np.int64]
_Numbers = NDArray[np.int64]


class Polygon(NamedTuple):
    """One connected part of a mask.

    Each ring is `(N, 2)` float64, x and y in pixels, at least three corners, the first one not repeated at the end.
    (0, 0) is the upper left corner of the upper left pixel, so that pixel's centre is (0.5, 0.5). `exterior` runs
    clockwise as seen on a screen, where y points down; `holes` run the other way.
    """

    exterior: Ring
    holes: tuple[Ring, ...] = ()


class _Rings(NamedTuple):
    """All rings of a mask, one after another, in reading order of their uppermost, leftmost corners.

    Attributes:
        corners: `(N, 2)`, x and y; each ring from that corner on, with the mask to its right as seen on a screen.
        begins: Where each ring begins.
        lengths: How many corners each has.
        is_hole: Of each ring.
    """

    corners: _Corners
    begins: _Numbers
    lengths: _Numbers
    is_hole: NDArray[np.bool_]


def mask_polygons(
    mask: NDArray[np.bool_], tolerance_px: float = 0.0, scale: tuple[float, float] = (1.0, 1.0)
) -> list[Polygon]:
    """Polygons of a mask, in reading order of their uppermost, leftmost corners.

    Pixels that touch at a corner only are not connected by it. At tolerance 0 rings touch each other in such corners
    at most, none crosses itself or another one, and filling the polygons gives the mask back.

    The work grows with the number of corners. The mask of an object takes milliseconds; the worst ones, a checkerboard
    or noise of 1280x720 pixels with 60,000 parts, one or two seconds of one core.

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
    rings = _rings(padded)
    points = (rings.corners + np.array((left, top))) * np.asarray(scale, dtype=np.float64)
    lengths = rings.lengths
    if tolerance_px:
        is_kept = _kept(points, rings.begins, lengths, tolerance_px)
        points, lengths = points[is_kept], np.add.reduceat(is_kept, rings.begins, dtype=np.int64)
    ends = np.cumsum(lengths).tolist()
    shown = [points[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    holes: dict[int, list[Ring]] = {}
    for number, exterior in _exteriors_of_holes(padded, rings).items():
        holes.setdefault(exterior, []).append(shown[number])
    return [Polygon(shown[i], tuple(holes.get(i, ()))) for i in np.flatnonzero(~rings.is_hole).tolist()]


def _rings(padded: NDArray[np.bool_]) -> _Rings:
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
    spot = np.repeat(np.arange(len(y)), times)
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
    way, begins = _ways(beside.tolist(), across.tolist(), is_below.tolist())
    if is_touch.any():
        way, begins = _loops(way, begins, spot)
    return _in_order(np.stack((x, y), axis=1)[way], np.array(begins))


def _ways(beside: Sequence[int], across: Sequence[int], is_below: Sequence[bool]) -> tuple[list[int], list[int]]:
    """Closed ways from corner to corner, one after another, and where each begins.

    Args:
        beside: The other end of a corner's horizontal side.
        across: That of its vertical side.
        is_below: Whether the mask is below a horizontal side; of the sides, which corners are the ends of in pairs.
    """
    is_passed = bytearray(len(beside))
    way: list[int] = []
    begins: list[int] = []
    for left in range(0, len(beside), 2):
        if is_passed[left]:
            continue
        at = left if is_below[left // 2] else left + 1  # so that the mask is to the right
        begins.append(len(way))
        while not is_passed[at]:
            end = beside[at]
            is_passed[at] = is_passed[end] = 1
            way += (at, end)
            at = across[end]
    return way, begins


def _loops(way: list[int], begins: list[int], spot: _Numbers) -> tuple[list[int], list[int]]:
    """The parts of closed ways that pass no corner twice: what they go around is the same.

    Args:
        way: See `_ways`.
        begins: Likewise.
        spot: The same number for two corners in the same place.
    """
    spots = spot[way].tolist()
    loops: list[int] = []
    loop_begins: list[int] = []
    for begin, end in zip(begins, [*begins[1:], len(way)], strict=True):
        if len(set(spots[begin:end])) == end - begin:
            loop_begins.append(len(loops))
            loops += way[begin:end]
            continue
        open_way: list[int] = []
        place: dict[int, int] = {}
        for at, here in zip(way[begin:end], spots[begin:end], strict=True):
            if (back := place.get(here)) is not None:
                loop_begins.append(len(loops))
                loops += open_way[back:]
                for passed in open_way[back:]:
                    del place[int(spot[passed])]
                del open_way[back:]
            place[here] = len(open_way)
            open_way.append(at)
        loop_begins.append(len(loops))
        loops += open_way
    return loops, loop_begins


def _in_order(corners: _Corners, begins: _Numbers) -> _Rings:
    """Put rings in order, and turn each so that its uppermost, leftmost corner is the first one."""
    lengths = np.diff(begins, append=len(corners))
    x, y = corners.T
    keys = y * (int(x.max()) + 1) + x
    lowest = np.minimum.reduceat(keys, begins)
    firsts = np.flatnonzero(keys == np.repeat(lowest, lengths))  # one of each ring, which passes no corner twice
    # Twice the area with a sign: the shoelace formula; y points down, so clockwise on a screen is positive.
    following = np.arange(1, len(corners) + 1)
    following[begins + lengths - 1] = begins
    area = np.add.reduceat(x * y[following] - y * x[following], begins)
    order = np.lexsort((area < 0, lowest))
    lengths, firsts, old_begins = lengths[order], firsts[order], begins[order]
    begins = np.cumsum(lengths) - lengths
    turned = np.arange(len(corners)) + np.repeat(firsts - old_begins - begins, lengths)
    places = np.repeat(old_begins, lengths) + turned % np.repeat(lengths, lengths)
    return _Rings(corners[places], begins, lengths, area[order] < 0)


def _exteriors_of_holes(padded: NDArray[np.bool_], rings: _Rings) -> dict[int, int]:
    """Number of the exterior for the number of each hole, in their order.

    To the left of a hole's first corner is a run of mask pixels. The side where the run begins is of the exterior, or
    of another hole in it that begins earlier.
    """
    numbers = np.flatnonzero(rings.is_hole)
    if not len(numbers):
        return {}
    height, width = padded.shape
    cracks = np.flatnonzero(padded[1:-1, 1:] != padded[1:-1, :-1])  # rows of width - 1
    starts = rings.corners[rings.begins[numbers]][:, ::-1]
    begins = cracks[np.searchsorted(cracks, starts @ (width - 1, 1)) - 1] % (width - 1)
    # Vertical sides with the mask to the east lead up.
    lower = rings.corners
    following = np.arange(1, len(lower) + 1)
    following[rings.begins + rings.lengths - 1] = rings.begins
    upper = lower[following]
    owner = np.repeat(np.arange(len(rings.begins)), rings.lengths)
    is_west = (lower[:, 0] == upper[:, 0]) & (upper[:, 1] < lower[:, 1])
    keys = upper[is_west] @ (height, 1)
    order = np.argsort(keys)
    found = np.searchsorted(keys[order], begins * height + starts[:, 0], side="right") - 1
    exteriors: dict[int, int] = {}
    for number, neighbour in zip(numbers.tolist(), owner[is_west][order][found].tolist(), strict=True):
        exteriors[number] = exteriors.get(neighbour, neighbour)
    return exteriors


def _kept(points: Ring, begins: _Numbers, lengths: _Numbers, tolerance_px: float) -> NDArray[np.bool_]:
    """Which corners of rings to keep: the others are within the tolerance of these, so all points between are, too.

    All rings are looked at together, span by span of what is kept, so that many small ones cost little.
    """
    is_kept = np.zeros(len(points), dtype=np.bool_)
    is_kept[begins] = True
    halves = _farthest(points, begins, begins, begins, lengths)[0]
    is_kept[halves] = True
    # A span: corners from its begin to its end; the end may be the first corner of the ring, after its last one.
    span_begins, span_ends = np.concatenate((begins, halves)), np.concatenate((halves, begins))
    stops = np.concatenate((halves, begins + lengths))
    while len(span_begins):
        is_open = stops - span_begins >= 2
        span_begins, span_ends, stops = span_begins[is_open], span_ends[is_open], stops[is_open]
        if not len(span_begins):
            break
        middles, distances = _farthest(points, span_begins, span_ends, span_begins + 1, stops - span_begins - 1)
        is_far = distances > tolerance_px
        middles, span_begins, span_ends, stops = (one[is_far] for one in (middles, span_begins, span_ends, stops))
        is_kept[middles] = True
        span_begins, span_ends = np.concatenate((span_begins, middles)), np.concatenate((middles, span_ends))
        stops = np.concatenate((middles, stops))
    few = np.flatnonzero(np.add.reduceat(is_kept, begins, dtype=np.int64) < 3)
    if len(few):
        runs, owner = _runs(begins[few], lengths[few])
        x, y = (points[runs] - points[begins[few]][owner]).T
        half_x, half_y = (points[halves[few]] - points[begins[few]]).T
        is_kept[runs[_first_most(np.abs(x * half_y[owner] - y * half_x[owner]), lengths[few], owner)]] = True
    return is_kept


def _farthest(
    points: Ring, begins: _Numbers, ends: _Numbers, run_begins: _Numbers, run_lengths: _Numbers
) -> tuple[_Numbers, NDArray[np.float64]]:
    """Of each run of points, the one that is farthest from the segment from `begins` to `ends`, and its distance."""
    runs, owner = _runs(run_begins, run_lengths)
    x, y = points.T
    along_x, along_y = x[ends] - x[begins], y[ends] - y[begins]
    length2 = along_x * along_x + along_y * along_y
    away_x, away_y = x[runs] - x[begins][owner], y[runs] - y[begins][owner]
    along_x, along_y = along_x[owner], along_y[owner]
    share = (away_x * along_x + away_y * along_y) / np.where(length2, length2, 1.0)[owner]
    share = np.clip(share, 0.0, 1.0)
    distances = np.hypot(away_x - share * along_x, away_y - share * along_y)
    most = _first_most(distances, run_lengths, owner)
    return runs[most], distances[most]


def _runs(begins: _Numbers, lengths: _Numbers) -> tuple[_Numbers, _Numbers]:
    """The numbers within runs, one run after another, and the run of each."""
    owner = np.repeat(np.arange(len(begins)), lengths)
    return np.arange(len(owner)) + np.repeat(begins - np.cumsum(lengths) + lengths, lengths), owner


def _first_most(values: NDArray[np.float64], lengths: _Numbers, owner: _Numbers) -> _Numbers:
    """Where the largest value of each run is, the first one of several."""
    most = np.maximum.reduceat(values, np.cumsum(lengths) - lengths)
    places = np.flatnonzero(values == most[owner])
    return places[np.searchsorted(owner[places], np.arange(len(lengths)))]
