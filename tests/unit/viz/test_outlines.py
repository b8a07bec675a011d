"""Outlines and hatching: seen on every background, and never of a colour that they do not mean."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.viz.colours import PALETTE, Rgb
from ssa_stream.viz.outlines import LineStyle, Outlined, draw_outlines

SIZE = (72, 96)
STYLE = LineStyle(line=3, edge=1, stripe=2, pitch=10)
LEAST_CONTRAST = 4.5
"""Of WCAG 2.2, for text."""
BACKGROUNDS: list[Rgb] = [
    *PALETTE,
    (0, 0, 0),
    (119, 119, 119),
    (118, 118, 118),
    (64, 64, 64),
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
]


def _circle(size: tuple[int, int] = SIZE, centre: tuple[int, int] = (36, 48), radius: int = 25) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.asarray((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2)


def _luminance(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Relative luminance as WCAG defines it."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722]))


def _plain(colour: Rgb, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    return np.full((*size, 3), colour, dtype=np.uint8)


@pytest.mark.parametrize("background", BACKGROUNDS, ids=str)
def test_outline_shows_on_any_background_and_has_its_own_colour(background: Rgb) -> None:
    """All around, something drawn has the contrast; all that is drawn is the colour, a dark edge or a light one."""
    mask = _circle()
    border = cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8)) != mask
    for colour in PALETTE:
        picture = _plain(background)
        draw_outlines(picture, [Outlined(mask, colour, is_rising=True)], STYLE)
        lighter, darker = (
            np.maximum(*(both := (_luminance(picture), _luminance(_plain(background))))),
            np.minimum(*both),
        )
        shows = ((lighter + 0.05) / (darker + 0.05) >= LEAST_CONTRAST).astype(np.uint8)
        near = cv2.dilate(shows, np.ones((2 * (STYLE.line + STYLE.edge) + 1,) * 2, np.uint8))
        assert near[border].all()
        drawn = {tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()}
        assert drawn - {background} <= {colour, (0, 0, 0), (255, 255, 255)}
        line = cv2.erode(mask.view(np.uint8), np.ones((3, 3), np.uint8)) != mask
        assert {tuple(pixel) for pixel in picture[line].tolist()} == {colour}


def test_object_stays_as_it_was_but_for_its_line_and_stripes() -> None:
    """Four fifths within the outline, and all outside of it."""
    mask, random = _circle(), np.random.default_rng(0)
    before = random.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    picture = before.copy()
    draw_outlines(picture, [Outlined(mask, PALETTE[0], is_rising=True)], STYLE)
    kept = (picture == before).all(axis=2)
    assert 0.75 < kept[_circle(radius=18)].mean() < 0.85
    assert kept[~_circle(radius=28)].all()


def test_two_prompts_on_one_object_are_both_seen() -> None:
    """The line is the later one's; the hatchings cross."""
    picture = _plain((90, 90, 90))
    objects = [
        Outlined(_circle(), colour, is_rising) for colour, is_rising in ((PALETTE[0], True), (PALETTE[1], False))
    ]
    draw_outlines(picture, objects, STYLE)
    within = picture[_circle(radius=18)].tolist()
    shares = [within.count(list(colour)) / len(within) for colour in PALETTE[:2]]
    assert min(shares) > 0.1


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (48, 64), (360, 640)], ids=str)
@pytest.mark.parametrize("opacity", [0.0, 0.2, 1.0, 5.0])
def test_style_and_masks_of_any_size_can_be_drawn(size: tuple[int, int], opacity: float) -> None:
    """Empty and full masks, masks that are views; the border of the picture counts as outside."""
    style = LineStyle.of_picture(*size, opacity)
    full, part = np.ones(size, dtype=np.bool_), np.zeros((size[0], 2 * size[1]), dtype=np.bool_)
    picture = _plain((9, 9, 9), size)
    draw_outlines(picture, [Outlined(np.zeros(size, dtype=np.bool_), PALETTE[1], is_rising=False)], style)
    assert (picture == 9).all()
    part[: size[0] // 2] = True
    draw_outlines(picture, [Outlined(full, PALETTE[0], True), Outlined(part[:, ::2], PALETTE[1], True)], style)
    assert {tuple(pixel) for pixel in picture[-1].tolist()} <= {PALETTE[0], (0, 0, 0)}


def test_lines_grow_with_the_picture() -> None:
    """A thin one in a thumbnail, a thick one in a large picture."""
    lines = [LineStyle.of_picture(*size, 0.2).line for size in ((48, 64), (360, 640), (720, 1280), (2160, 3840))]
    assert lines == [1, 3, 6, 18]
