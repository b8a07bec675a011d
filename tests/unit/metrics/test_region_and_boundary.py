"""J and F: counted by hand, at the edges, and against the definition written out pixel by pixel."""

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.errors import ConfigError, ShapeError
from ssa_stream.metrics import (
    ClipKey,
    JAndF,
    boundary_accuracy,
    boundary_radius_px,
    mean_scores,
    region_similarity,
    score_clip,
    score_frames,
)
from tests.unit.metrics.drawing import picture, rectangle

Mask = NDArray[np.bool_]
EMPTY = np.zeros((20, 30), dtype=np.bool_)
FULL = ~EMPTY
BOX = rectangle(20, 30, 5, 5, 15, 15)


def test_region_similarity_overlapping_rows_is_counted() -> None:
    """Two of four pixels are shared."""
    predicted, target = picture("##..", "#..."), picture("##..", "...#")
    assert region_similarity(predicted[None], target[None]) == pytest.approx([2 / 4])


@pytest.mark.parametrize(
    ("predicted", "target", "j", "f"),
    [
        (EMPTY, EMPTY, 1, 1),
        (BOX, EMPTY, 0, 0),
        (EMPTY, BOX, 0, 0),
        (BOX, BOX, 1, 1),
        (FULL, FULL, 1, 1),
        (FULL, EMPTY, 0, 1),  # neither has a boundary: so does the benchmark count it
        (FULL, BOX, 1 / 6, 0),
    ],
    ids=["both_empty", "invented", "missed", "perfect", "both_full", "full_for_nothing", "full_for_box"],
)
def test_scores_at_the_edges(predicted: Mask, target: Mask, j: float, f: float) -> None:
    """Empty and full masks have the value that the benchmark gives them."""
    scores = score_frames(predicted[None], target[None])
    assert scores.j == pytest.approx([j])
    assert scores.f == pytest.approx([f])


@pytest.mark.parametrize(
    ("height", "width", "radius"), [(480, 854, 8), (1080, 1920, 18), (3, 4, 1), (75, 100, 1), (76, 100, 2)]
)
def test_boundary_radius_is_rounded_up(height: int, width: int, radius: int) -> None:
    """0.008 of the diagonal: 1.0 for 75 x 100, a little more for 76 x 100."""
    assert boundary_radius_px(height, width) == radius


def test_boundary_accuracy_shift_within_radius_is_perfect_beyond_it_is_not() -> None:
    """Radius 1 here: a shift by one pixel costs nothing, by three pixels the sides that moved."""
    by_one, by_three = np.roll(BOX, 1, axis=1), np.roll(BOX, 3, axis=1)
    assert boundary_accuracy(by_one[None], BOX[None]) == pytest.approx([1.0])
    # The boundary of the 10 x 10 box is a ring of 11 x 11, 40 pixels. Of the moved ring 9 at the top and at the bottom
    # are on or beside the other one, and 2 of its left side touch top and bottom.
    assert boundary_accuracy(by_three[None], BOX[None]) == pytest.approx([20 / 40])


def test_boundary_accuracy_counted_by_hand() -> None:
    """One pixel is right, one invented: 4 of 8 predicted boundary pixels match, and all 4 of the target."""
    target = picture("......", "......", "......", "......", "......", "...#..")
    predicted = picture("......", ".#....", "......", "......", "......", "...#..")
    # Boundaries: of the pixel at (5, 3) its left neighbour and itself (last row: looks right only) and the two above;
    # of the one at (1, 1) itself, left, above and above left.
    scores = boundary_accuracy(predicted[None], target[None])
    precision, recall = 4 / 8, 4 / 4
    assert scores == pytest.approx([2 * precision * recall / (precision + recall)])


def _defined_boundary(mask: Mask) -> set[tuple[int, int]]:
    H, W = mask.shape
    found = set()
    for y in range(H):
        for x in range(W):
            others = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
            if any(b < H and a < W and mask[b, a] != mask[y, x] for b, a in others):
                found.add((y, x))
    return found


def _defined_accuracy(predicted: Mask, target: Mask) -> float:
    first, second = _defined_boundary(predicted), _defined_boundary(target)
    radius = math.ceil(0.008 * math.hypot(*predicted.shape))
    if not first or not second:
        return float(len(first) == len(second))

    def share(some: set[tuple[int, int]], others: set[tuple[int, int]]) -> float:
        near = [(y, x) for y, x in some if any((y - b) ** 2 + (x - a) ** 2 <= radius**2 for b, a in others)]
        return len(near) / len(some)

    precision, recall = share(first, second), share(second, first)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _random_mask(rng: np.random.Generator, height: int, width: int) -> Mask:
    top, left = rng.integers(0, height), rng.integers(0, width)
    mask = rectangle(height, width, int(top), int(left), int(top + rng.integers(1, height + 1)), width)
    return np.asarray(mask ^ (rng.uniform(size=mask.shape) < rng.choice([0.0, 0.02])))


def test_boundary_accuracy_agrees_with_its_definition() -> None:
    """Boxes with and without speckles, at the picture's edges too, and a picture large enough for radius 2."""
    rng = np.random.default_rng(3)
    for height, width in [(1, 9), (9, 1), (12, 17), (24, 20), (3, 150)]:
        for _ in range(6):
            predicted, target = _random_mask(rng, height, width), _random_mask(rng, height, width)
            expected = _defined_accuracy(predicted, target)
            assert boundary_accuracy(predicted[None], target[None]) == pytest.approx([expected]), (height, width)


def test_clip_score_is_the_mean_over_frames() -> None:
    """One perfect frame and one missed one."""
    score = score_clip(np.stack([BOX, EMPTY]), np.stack([BOX, BOX]))
    assert score == JAndF(0.5, 0.5)
    assert score.j_and_f == 0.5


def test_mean_scores_same_id_in_two_videos_is_two_clips() -> None:
    """Each clip counts once."""
    scores = {ClipKey("a", "0"): JAndF(1.0, 0.5), ClipKey("b", "0"): JAndF(0.0, 0.0)}
    assert mean_scores(scores) == JAndF(0.5, 0.25)
    with pytest.raises(ConfigError, match="no clips"):
        mean_scores({})


@pytest.mark.parametrize(
    ("predicted", "target"),
    [
        (BOX[None].astype(np.uint8), BOX[None]),
        (BOX[None], BOX[None].astype(np.float32)),
        (BOX, BOX),
        (BOX[None], np.stack([BOX, BOX])),
        (BOX[None, :, :9], BOX[None]),
        (BOX[None][:0], BOX[None][:0]),
        (np.zeros((1, 0, 4), np.bool_), np.zeros((1, 0, 4), np.bool_)),
    ],
    ids=["uint8", "float", "no_time", "lengths", "sizes", "no_frames", "no_pixels"],
)
def test_score_of_wrong_arrays_is_refused(predicted: Mask, target: Mask) -> None:
    """Numbers are never scored as if they were masks."""
    with pytest.raises(ShapeError):
        score_frames(predicted, target)


@pytest.mark.parametrize("seed", range(6))
def test_boundary_accuracy_is_that_of_whole_dilated_pictures(seed: int) -> None:
    """At a radius of several pixels, with few and with many places that the two squares do not decide."""
    rng = np.random.default_rng(seed)
    noise = rng.random((2, 12, 21))
    masks = np.array([cv2.resize(one, (854, 480), interpolation=cv2.INTER_CUBIC) > 0.6 for one in noise])
    if seed % 2:  # nearly the same
        masks[1] = np.roll(masks[0], (seed, 7), axis=(0, 1))
    radius = boundary_radius_px(480, 854)
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = (rows**2 + columns**2 <= radius**2).astype(np.uint8)
    outlines = np.zeros_like(masks)
    outlines[:, :, :-1] |= masks[:, :, 1:] != masks[:, :, :-1]
    outlines[:, :-1] |= masks[:, 1:] != masks[:, :-1]
    outlines[:, :-1, :-1] |= masks[:, 1:, 1:] != masks[:, :-1, :-1]
    near = [cv2.dilate(outline.view(np.uint8), disk) > 0 for outline in outlines]
    precision = (outlines[0] & near[1]).sum() / outlines[0].sum()
    recall = (outlines[1] & near[0]).sum() / outlines[1].sum()
    expected = 2 * precision * recall / (precision + recall)
    assert boundary_accuracy(masks[:1], masks[1:]) == pytest.approx([expected], abs=1e-12)


@pytest.mark.parametrize("there", [(0, 0), (0, 800), (440, 0), (440, 800), (20, 200)])
def test_boundaries_far_apart_have_nothing_in_common(there: tuple[int, int]) -> None:
    """Wherever the other one is."""
    masks = np.zeros((2, 480, 854), np.bool_)
    masks[0, 200:230, 400:430] = True
    masks[1, there[0] : there[0] + 30, there[1] : there[1] + 30] = True
    assert boundary_accuracy(masks[:1], masks[1:]) == pytest.approx([0])
    assert boundary_accuracy(masks[1:], masks[:1]) == pytest.approx([0])
