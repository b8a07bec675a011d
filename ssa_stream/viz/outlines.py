"""Masks as outlines and hatching: no colour is mixed with another, so each pixel drawn has the colour that it means.

The page draws the same, pixel by pixel, in `nodes/gateway/page/drawing.js`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from ssa_stream.viz.colours import Rgb

__all__ = ["LineStyle", "Outlined", "draw_outlines"]

_DARK, _LIGHT = (0, 0, 0), (255, 255, 255)
_LINES_PER_EDGE = 120
"""How many lines fit into the shorter edge of a picture: video keeps colours at half the size, and thinner ones mix."""
_INNER = 4
"""Code of the pixels within an outline, see `_codes`."""


class Outlined(NamedTuple):
    """One object: its mask, `(H, W)` bool, its colour, and whether its hatching rises or falls to the right."""

    mask: NDArray[np.bool_]
    colour: Rgb
    is_rising: bool


class LineStyle(NamedTuple):
    """Widths in pixels: of the coloured line, of its dark and its light edge, of a stripe and from stripe to stripe."""

    line: int
    edge: int
    stripe: int
    pitch: int

    @classmethod
    def of_picture(cls, height: int, width: int, opacity: float) -> Self:
        """What suits a picture.

        Args:
            height: Of the picture, pixels.
            width: Of the picture, pixels.
            opacity: Share of the object that stripes cover, 0..1; 0 makes no stripes.
        """
        line = max(1, int(min(height, width) / _LINES_PER_EDGE + 0.5))
        edge = max(1, line // 3)
        return cls(line, edge, line, max(1, int(line / opacity + 0.5))) if opacity > 0 else cls(line, edge, 0, 1)


def draw_outlines(picture: NDArray[np.uint8], objects: Sequence[Outlined], style: LineStyle) -> None:
    """Draw objects: a dark edge outside of each, a line of its colour, a light edge, and hatching within.

    Whatever the background is, one of the two edges has a contrast of 4.5 or more to it. All hatchings are drawn before
    all outlines; among outlines the later one is on top.

    Args:
        picture: `(H, W, 3)` uint8 RGB; drawn upon.
        objects: With masks of that size. An empty mask draws nothing.
        style: Widths.
    """
    regions = [(_region(one.mask, style), one) for one in objects]
    coded = [(region, _codes(one.mask[region], style), one) for region, one in regions if region is not None]
    for region, codes, one in coded:
        if style.stripe:
            hatch = _hatch(*picture.shape[:2], style, is_rising=one.is_rising)[region]
            picture[region][(codes == _INNER) & hatch] = one.colour
    for region, codes, one in coded:
        for code, colour in enumerate((_DARK, one.colour, _LIGHT), start=1):
            picture[region][codes == code] = colour


def _region(mask: NDArray[np.bool_], style: LineStyle) -> tuple[slice, slice] | None:
    """The part of the picture that is drawn upon; None if the mask is empty."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return None
    rows = slice(max(0, top - style.edge), top + height + style.edge)
    return rows, slice(max(0, left - style.edge), left + width + style.edge)


def _codes(mask: NDArray[np.bool_], style: LineStyle) -> NDArray[np.uint8]:
    """0 outside, 1 dark edge, 2 line, 3 light edge, 4 within; beyond the picture is outside."""
    inside = np.ascontiguousarray(mask).view(np.uint8)
    codes = inside + cv2.dilate(inside, _disc(style.edge))
    for radius in (style.line, style.line + style.edge):
        codes += cv2.erode(inside, _disc(radius), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(codes, dtype=np.uint8)


@lru_cache(maxsize=16)
def _disc(radius: int) -> NDArray[np.uint8]:
    steps = np.arange(-radius, radius + 1)
    return np.asarray(steps**2 + steps[:, None] ** 2 <= radius * (radius + 1), dtype=np.uint8)


@lru_cache(maxsize=8)
def _hatch(height: int, width: int, style: LineStyle, *, is_rising: bool) -> NDArray[np.bool_]:
    rows, columns = np.arange(height)[:, None], np.arange(width)
    diagonals = columns + rows if is_rising else columns - rows
    return np.asarray(diagonals % style.pitch < style.stripe)
