"""Polygons of masks."""

import time

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from ssa_stream.client.polygons import Polygon, mask_polygons
from ssa_stream.errors import ConfigError
from tests.support.mask_messages import circle, mask_parts, mask_view

Mask = NDArray[np.bool_]
MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=10))


def _mask(*rows: str) -> Mask:
    """A drawn mask."""
    return np.array([[letter == "#" for letter in row] for row in rows])


# Two parts that touch at two corners, and what is between them belongs to neither.
TOUCHING = _mask("###.", "#..#", "#..#", ".###")
# Its outline goes on beyond the end of a chord.
BEYOND = _mask(".....#######", "############")


def _rings(polygons: list[Polygon]) -> list[NDArray[np.float64]]:
    return [ring for polygon in polygons for ring in (polygon.exterior, *polygon.holes)]


def _sides(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack((ring, np.roll(ring, -1, axis=0)), axis=1)


def _filled(polygons: list[Polygon], shape: tuple[int, int]) -> Mask:
    """What an odd number of rings goes around, by the vertical sides to the left of each pixel's centre."""
    crossings = np.zeros(shape, dtype=np.int64)
    for ring in _rings(polygons):
        for (x, y), (other_x, other_y) in _sides(ring).astype(np.int64):
            assert (x == other_x) != (y == other_y), "sides run along pixels, and corners are corners"
            crossings[min(y, other_y) : max(y, other_y), x:] += x == other_x
    return np.asarray(crossings % 2 == 1)


def _area(ring: NDArray[np.float64]) -> float:
    """Positive if the ring runs clockwise on a screen."""
    x, y = ring.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def _farthest(rings: list[NDArray[np.float64]], others: list[NDArray[np.float64]]) -> float:
    """Largest distance of points on some rings from others, four points on each pixel's length."""
    points = np.concatenate(
        [
            begin + (end - begin) * np.linspace(0, 1, 1 + 4 * int(np.hypot(*(end - begin)) + 1))[:, None]
            for ring in rings
            for begin, end in _sides(ring)
        ]
    )
    begin, end = np.concatenate([_sides(ring) for ring in others]).swapaxes(0, 1)
    along = end - begin
    share = ((points[:, None] - begin) * along).sum(-1) / (along * along).sum(-1)
    nearest = begin + along * share.clip(0, 1)[..., None]
    return float(np.linalg.norm(points[:, None] - nearest, axis=-1).min(axis=1).max())


def _num_connected(mask: Mask) -> int:
    """Parts of a mask, of pixels that share sides."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    count = 0
    while left:
        count += 1
        found = [left.pop()]
        while found:
            y, x = found.pop()
            beside = {(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)} & left
            left -= beside
            found += beside
    return count


@given(MASKS)
@example(TOUCHING)
@example(TOUCHING[:, ::-1])
def test_polygons_without_tolerance_are_the_mask(mask: Mask) -> None:
    """Filled, they give it back; a polygon is a connected part, and its rings are simple and turn as they should."""
    polygons = mask_polygons(mask)
    assert np.array_equal(_filled(polygons, mask.shape), mask)
    assert len(polygons) == _num_connected(mask)
    for polygon in polygons:
        part = _filled([polygon], mask.shape)
        assert _num_connected(part) == 1
        assert _area(polygon.exterior) + sum(map(_area, polygon.holes)) == part.sum()
        assert _area(polygon.exterior) > 0 > max(map(_area, polygon.holes), default=-1)
        for ring in (polygon.exterior, *polygon.holes):
            assert len(np.unique(ring, axis=0)) == len(ring)


@given(MASKS, st.sampled_from([0.5, 1.0, 2.5]))
@example(BEYOND, 2.5)
def test_polygons_with_tolerance_stay_within_it(mask: Mask, tolerance_px: float) -> None:
    """Both ways, and no ring is lost."""
    exact, rough = _rings(mask_polygons(mask)), _rings(mask_polygons(mask, tolerance_px))
    assert len(exact) == len(rough)
    for one, other in zip(exact, rough, strict=True):
        assert 3 <= len(other) <= len(one)
        assert _area(other) != 0
        assert max(_farthest([one], [other]), _farthest([other], [one])) <= tolerance_px + 1e-9


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["#"], [([(0, 0), (1, 0), (1, 1), (0, 1)], [])]),
        (["#.", ".#"], [([(0, 0), (1, 0), (1, 1), (0, 1)], []), ([(1, 1), (2, 1), (2, 2), (1, 2)], [])]),
        (["###", "#.#", "###"], [([(0, 0), (3, 0), (3, 3), (0, 3)], [[(1, 1), (1, 2), (2, 2), (2, 1)]])]),
        (["##", "##"], [([(0, 0), (2, 0), (2, 2), (0, 2)], [])]),
        (["..", ".."], []),
    ],
    ids=["one pixel", "two that touch", "hole", "full frame", "empty"],
)
def test_polygons_of_small_masks(rows: list[str], expected: list[object]) -> None:
    """Corner for corner, from the uppermost, leftmost one on."""
    found = [
        ([tuple(point) for point in polygon.exterior], [[tuple(point) for point in ring] for ring in polygon.holes])
        for polygon in mask_polygons(_mask(*rows))
    ]
    assert found == expected


def test_tolerance_saves_most_corners_of_a_large_circle() -> None:
    """What it is for."""
    mask = circle((300, 300), (150, 150), 120)
    exact, rough = mask_polygons(mask), mask_polygons(mask, 1.0)
    assert len(rough[0].exterior) * 5 < len(exact[0].exterior)


@pytest.mark.parametrize("tolerance_px", [0.0, 1.0])
def test_speckled_mask_costs_no_more_than_its_corners(tolerance_px: float) -> None:
    """Each of 153,600 pixels is a ring of its own; a few calls of numpy for each took eight seconds or more."""
    speckled = np.indices((480, 640)).sum(axis=0) % 2 == 0
    began_s = time.process_time()
    polygons = mask_polygons(speckled, tolerance_px)
    assert time.process_time() - began_s < 4
    assert len(polygons) == speckled.sum()
    assert {len(polygon.exterior) for polygon in polygons} == {4 if not tolerance_px else 3}


def test_view_gives_polygons_in_pixels_of_the_source() -> None:
    """Also where masks are smaller than the source's pictures: the tolerance then is one of source pixels, too."""
    mask = np.zeros((36, 64), dtype=np.bool_)
    mask[10:20, 5:15] = True
    view = mask_view(mask_parts(masks=[mask]))
    (polygon,) = view.polygons(view.tracks[0])
    assert polygon.exterior.tolist() == [[5, 10], [15, 10], [15, 20], [5, 20]]
    small = mask_view(mask_parts(masks=[mask], source_size=(108, 128)))
    (polygon,) = small.polygons(small.tracks[0], tolerance_px=0)
    assert polygon.exterior.tolist() == [[10, 30], [30, 30], [30, 60], [10, 60]]


@pytest.mark.parametrize("tolerance_px", [-1.0, float("nan"), float("inf")])
def test_wrong_tolerance_is_refused(tolerance_px: float) -> None:
    """In words."""
    view = mask_view(mask_parts())
    with pytest.raises(ConfigError, match=r"tolerance_px is .*; expected 0 or more pixels"):
        view.polygons(view.tracks[0], tolerance_px)
