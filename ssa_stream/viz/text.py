"""Lines of text on a picture."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ssa_stream.printable import printable
from ssa_stream.viz.colours import Rgb

__all__ = ["draw_strip", "strip_height_px", "text_scale"]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE = (255, 255, 255)


def text_scale(height: int, width: int) -> float:
    """Return the OpenCV text scale that reads well at a picture size."""
    return float(np.clip(min(height, width) / 900, 0.35, 1.2))


def strip_height_px(scale: float) -> int:
    """Return the height of one line of a strip."""
    return max(8, round(36 * scale))


def draw_strip(bgr: NDArray[np.uint8], lines: Sequence[tuple[Rgb, str]], *, scale: float) -> None:
    """Write lines, each behind a bullet of its RGB colour, on a darkened strip at the top, as many as fit."""
    height, width = bgr.shape[:2]
    pitch = strip_height_px(scale)
    shown = min(len(lines), height // pitch)
    if not shown:
        return
    strip = bgr[: shown * pitch]
    strip[:] = strip // 3
    for row, ((red, green, blue), text) in enumerate(lines[:shown]):
        text = printable(text)
        top = row * pitch
        bullet = pitch // 4
        cv2.rectangle(bgr, (bullet, top + bullet), (3 * bullet, top + 3 * bullet), (blue, green, red), -1)
        baseline = (4 * bullet, top + round(pitch * 0.72))
        fitted = _fitted(text, width - baseline[0], scale)
        cv2.putText(bgr, fitted, baseline, _FONT, scale, _WHITE, 1, cv2.LINE_AA)


def _fitted(text: str, width_px: int, scale: float) -> str:
    if _width_px(text, scale) <= width_px:
        return text
    while text and _width_px(text + "...", scale) > width_px:
        text = text[:-1]
    return text + "..." if text else ""


def _width_px(text: str, scale: float) -> int:
    return int(cv2.getTextSize(text, _FONT, scale, 1)[0][0])
