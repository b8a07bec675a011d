"""Lines of text on a picture."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ssa_stream.printable import printable
from ssa_stream.viz.colours import Rgb

__all__ = ["PLATE", "draw_line", "draw_strip", "line_height_px", "line_width_px", "strip_rows", "text_scale"]

PLATE: Final[Rgb] = (16, 21, 27)
"""What labels stand on; the page has the same."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE = (255, 255, 255)
_MOST_OF_HEIGHT = 0.25
"""Share of the picture that the strip may cover."""


def text_scale(height: int, width: int) -> float:
    """Return the OpenCV text scale that reads well at a picture size."""
    return float(np.clip(min(height, width) / 900, 0.35, 1.2))


def line_height_px(scale: float) -> int:
    """Return the height of one line of a strip."""
    return max(8, round(36 * scale))


def line_width_px(text: str, scale: float, height_px: int) -> int:
    """Return the width of a line with its bullet."""
    return height_px + _width_px(text, scale) + height_px // 4


def strip_rows(count: int, height: int, scale: float) -> int:
    """Return how many of `count` lines the strip of a picture has: no more than a quarter of its height.

    In a picture of two to four lines' height it is one line, in a lower one none.
    """
    pitch = line_height_px(scale)
    return min(count, max(int(height * _MOST_OF_HEIGHT) // pitch, int(height >= 2 * pitch)))


def draw_strip(picture: NDArray[np.uint8], lines: Sequence[tuple[Rgb, str]], *, rows: int, scale: float) -> None:
    """Write lines, each behind a bullet of its RGB colour, on a darkened strip at the top.

    Args:
        picture: `(H, W, 3)` uint8 RGB; drawn upon.
        lines: Colours and texts.
        rows: How many are written, see `strip_rows`; the last one ends with the number of those that are not.
        scale: Size of the text.
    """
    if not rows:
        return
    pitch, width = line_height_px(scale), picture.shape[1]
    strip = picture[: rows * pitch]
    strip[:] = strip // 3
    more = f"+{len(lines) - rows} more" if len(lines) > rows else ""
    more_px = _width_px(more, scale) + pitch // 2 if more else 0
    for row, (colour, text) in enumerate(lines[:rows]):
        is_last = row == rows - 1
        draw_line(picture, text, (0, row * pitch), width - (more_px if is_last else 0), pitch, colour, scale)
    if more:
        _put(picture, more, (max(0, width - more_px + pitch // 4), (rows - 1) * pitch), pitch, scale)


def draw_line(
    picture: NDArray[np.uint8],
    text: str,
    corner: tuple[int, int],
    width_px: int,
    height_px: int,
    colour: Rgb,
    scale: float,
) -> None:
    """Write one line behind its bullet; what is longer ends with "...".

    Args:
        picture: RGB; drawn upon.
        text: The line.
        corner: Its upper left corner, x and y.
        width_px: Its width.
        height_px: Its height.
        colour: Of the bullet, RGB.
        scale: Size of the text.
    """
    left, top = corner
    bullet = height_px // 4
    cv2.rectangle(picture, (left + bullet, top + bullet), (left + 3 * bullet, top + 3 * bullet), colour, -1)
    fitted = _fitted(printable(text), width_px - height_px, scale)
    _put(picture, fitted, (left + 4 * bullet, top), height_px, scale)


def _put(picture: NDArray[np.uint8], text: str, corner: tuple[int, int], height_px: int, scale: float) -> None:
    baseline = corner[0], corner[1] + round(height_px * 0.72)
    cv2.putText(picture, text, baseline, _FONT, scale, _WHITE, 1, cv2.LINE_AA)


@lru_cache(maxsize=256)
def _fitted(text: str, width_px: int, scale: float) -> str:
    if _width_px(text, scale) <= width_px:
        return text
    while text and _width_px(text + "...", scale) > width_px:
        text = text[:-1]
    return text + "..." if text else ""


@lru_cache(maxsize=512)
def _width_px(text: str, scale: float) -> int:
    return int(cv2.getTextSize(text, _FONT, scale, 1)[0][0])
