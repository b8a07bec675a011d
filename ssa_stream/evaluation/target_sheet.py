"""Frames of a data set with the targets of a sentence, for people to look at."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ssa_stream.data import ReferringData, ReferringExpression, ReferringVideo
from ssa_stream.errors import ConfigError, misnamed
from ssa_stream.printable import printable
from ssa_stream.texts import brief
from ssa_stream.viz import contact_sheet
from ssa_stream.viz.colours import PALETTE
from ssa_stream.viz.outlines import LineStyle, Outlined, draw_outlines

__all__ = ["target_sheet"]

_FRAMES: Final = 4
_SENTENCES: Final = 8
_CELL_WIDTH_PX: Final = 384
_MARGIN_PX: Final = 6
_TEXT_PX: Final = 16
_PAPER: Final = 24
_INK: Final = (235, 235, 235)
_OPACITY: Final = 0.2


def target_sheet(data: ReferringData, name: str) -> NDArray[np.uint8]:
    """Draw a sentence, a sample or all of a video: a row of frames for each sentence, which stands below it.

    Args:
        data: The split.
        name: `<video>/<expression>`, a video, or the name of a sample in results, whose frame alone is drawn.
    Returns:
        `(H, W, 3)` uint8 RGB. Each target has its own colour.
    Raises:
        ConfigError: The split has nothing of that name, or its frames or masks cannot be read.
    """
    video, expressions, frames = _find(data, name)
    rows = [_row(data, video, one, frames) for one in expressions[:_SENTENCES]]
    if not expressions:
        shown = _spread(range(len(video.frames)))
        rows = [_labelled(list(data.frames(video.name, shown)), f"{video.name} has no sentence")]
    if len(expressions) > _SENTENCES:
        rows.append(_text(f"{len(expressions) - _SENTENCES} more sentences", rows[0].shape[1]))
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=_PAPER) for row in rows]
    return np.concatenate(padded)


def _find(data: ReferringData, name: str) -> tuple[ReferringVideo, Sequence[ReferringExpression], Sequence[int] | None]:
    """The video, its sentences, and the frames if the name says which."""
    if name in data.videos:
        video = data.video(name)
        return video, video.expressions, None
    before, _, after = name.rpartition("/")
    if before in data.videos:
        video = data.video(before)
        for expression in video.expressions:
            if expression.expression_id == after:
                return video, [expression], None
        known = ", ".join(expression.expression_id for expression in video.expressions[:20])
        raise misnamed(ConfigError(f"{before} has no sentence {brief(after)}; expected one of {known}"))
    for video_name in data.videos:
        video = data.video(video_name)
        for expression in video.expressions:
            for place, sample in enumerate(expression.sample_ids):
                if str(sample) == name and expression.annotated is not None:
                    return video, [expression], [expression.annotated[place]]
    known = ", ".join(data.videos[:3])
    raise misnamed(
        ConfigError(
            f"nothing in this split is called {brief(name)}; expected a video, such as {known}, a video and a sentence "
            f"of it, joined by a slash, or a sample as results name it. --split names another split"
        )
    )


def _row(
    data: ReferringData, video: ReferringVideo, expression: ReferringExpression, frames: Sequence[int] | None
) -> NDArray[np.uint8]:
    annotated = range(len(video.frames)) if expression.annotated is None else expression.annotated
    chosen = list(frames) if frames is not None else _spread(annotated or range(len(video.frames)))
    pictures = [_scaled(frame) for frame in data.frames(video.name, chosen)]
    remark = "its targets are not released"
    if expression.problem:
        remark = "its targets cannot be read"
    elif expression.has_targets:
        remark = f"targets: {', '.join(expression.target_ids) or 'none'}"
        if expression.target_ids:
            masks = data.masks(video.name, expression, chosen)
            for place, picture in enumerate(pictures):
                _draw(picture, masks[:, place])
    if len(video.frames) > 1:
        remark += f", frames {', '.join(video.frames[index] for index in chosen)}"
    return _labelled(pictures, f"{expression.text}\n{video.name}/{expression.expression_id}, {remark}")


def _spread(indices: Sequence[int]) -> list[int]:
    if len(indices) <= _FRAMES:
        return list(indices)
    return [indices[round(place)] for place in np.linspace(0, len(indices) - 1, _FRAMES)]


def _scaled(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height = max(1, round(frame.shape[0] * _CELL_WIDTH_PX / frame.shape[1]))
    return np.asarray(cv2.resize(np.ascontiguousarray(frame), (_CELL_WIDTH_PX, height)), dtype=np.uint8)


def _draw(picture: NDArray[np.uint8], masks: NDArray[np.bool_]) -> None:
    height, width = picture.shape[:2]
    objects = [
        Outlined(
            np.asarray(cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST), np.bool_),
            PALETTE[number % len(PALETTE)],
            is_rising=number % 2 == 0,
        )
        for number, mask in enumerate(masks)
    ]
    draw_outlines(picture, objects, LineStyle.of_picture(height, width, _OPACITY))


def _labelled(pictures: list[NDArray[np.uint8]], text: str) -> NDArray[np.uint8]:
    sheet = contact_sheet(pictures, columns=len(pictures), cell_width_px=_CELL_WIDTH_PX, margin_px=_MARGIN_PX)
    return np.concatenate([sheet, _text(text, sheet.shape[1])])


def _text(text: str, width_px: int) -> NDArray[np.uint8]:
    """Lines of text, broken between words; Pillow's own font has letters with accents, which OpenCV's lack."""
    font = ImageFont.load_default(_TEXT_PX)
    lines: list[str] = []
    for paragraph in text.split("\n"):
        lines.append("")
        for word in printable(paragraph).split(" "):
            longer = f"{lines[-1]} {word}".lstrip()
            if lines[-1] and font.getlength(longer) > width_px - 2 * _MARGIN_PX:
                lines.append(word)
            else:
                lines[-1] = longer
    pitch = round(1.4 * _TEXT_PX)
    band = Image.new("RGB", (width_px, pitch * len(lines) + _MARGIN_PX), (_PAPER,) * 3)
    drawing = ImageDraw.Draw(band)
    for number, line in enumerate(lines):
        drawing.text((_MARGIN_PX, number * pitch), line, fill=_INK, font=font)
    return np.asarray(band, dtype=np.uint8)
