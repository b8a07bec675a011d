"""Many pictures on one sheet."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import ConfigError, ShapeError
from ssa_stream.viz.text import draw_strip, line_height_px

__all__ = ["contact_sheet"]

_PAPER = 24
_BULLET = (200, 200, 200)
_TEXT_SCALE = 0.45


def contact_sheet(
    images: Sequence[NDArray[np.uint8]],
    captions: Sequence[str] = (),
    *,
    columns: int | None = None,
    cell_width_px: int = 320,
    margin_px: int = 6,
) -> NDArray[np.uint8]:
    """Lay pictures out in rows, each scaled to the same width and with its caption above it.

    Args:
        images: `(H, W, 3)` uint8 RGB each; sizes may differ. At least one.
        captions: One text per picture, or none at all.
        columns: Pictures per row; None makes the sheet about square.
        cell_width_px: Width of each picture on the sheet.
        margin_px: Free space around each picture.
    Returns:
        The sheet, `(H, W, 3)` uint8 RGB.
    Raises:
        ConfigError: If there is nothing to lay out, or the numbers of pictures and captions differ.
        ShapeError: If a picture is not RGB uint8.
    """
    if not images:
        raise ConfigError("a contact sheet needs at least one picture")
    if captions and len(captions) != len(images):
        raise ConfigError(f"{len(captions)} captions for {len(images)} pictures: give one each, or none")
    columns = columns or math.ceil(math.sqrt(len(images)))
    texts: Sequence[str | None] = captions or [None] * len(images)
    cells = [_cell(image, text, cell_width_px) for image, text in zip(images, texts, strict=True)]
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [max(cell.shape[0] for cell in row) for row in rows]
    sheet = np.full(
        (
            sum(heights) + margin_px * (len(rows) + 1),
            min(columns, len(cells)) * (cell_width_px + margin_px) + margin_px,
            3,
        ),
        _PAPER,
        dtype=np.uint8,
    )
    top = margin_px
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            left = margin_px + column * (cell_width_px + margin_px)
            sheet[top : top + cell.shape[0], left : left + cell_width_px] = cell
        top += height + margin_px
    return sheet


def _cell(image: NDArray[np.uint8], caption: str | None, width_px: int) -> NDArray[np.uint8]:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ShapeError(f"picture is {image.shape} {image.dtype}, expected (H, W, 3) uint8 RGB")
    height, width = image.shape[:2]
    interpolation = cv2.INTER_AREA if width_px < width else cv2.INTER_LINEAR
    size = (width_px, max(1, round(height * width_px / width)))
    picture = cv2.resize(np.ascontiguousarray(image), size, interpolation=interpolation)
    band = np.full((0 if caption is None else line_height_px(_TEXT_SCALE), width_px, 3), _PAPER, dtype=np.uint8)
    if caption is not None:
        draw_strip(band, [(_BULLET, caption)], rows=1, scale=_TEXT_SCALE)
    return np.asarray(np.concatenate([band, picture]), dtype=np.uint8)
