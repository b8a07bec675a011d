"""The only place that touches the supervision library: its import, its colours, its drawing order."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import MissingExtraError
from ssa_stream.extras import install_command
from ssa_stream.viz.colours import Rgb

__all__ = ["Mark", "annotate"]


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """One object to draw: its mask `(H, W)` bool, its box, its text, and the colours of mask and box."""

    mask: NDArray[np.bool_]
    box_xyxy: tuple[int, int, int, int]
    text: str
    colour: Rgb
    box_colour: Rgb


def annotate(bgr: NDArray[np.uint8], marks: Sequence[Mark], *, opacity: float, text_scale: float) -> NDArray[np.uint8]:
    """Draw masks, boxes and labels.

    Args:
        bgr: `(H, W, 3)` uint8 in BGR order, contiguous; drawn upon.
        marks: What to draw.
        opacity: Of the masks, 0..1.
        text_scale: Size of the text, 0.5 is about 11 pixels high.
    Returns:
        The picture with the marks.
    Raises:
        MissingExtraError: If the supervision library is not installed.
    """
    if not marks:
        return bgr
    sv = _supervision()
    detections = sv.Detections(
        xyxy=np.array([mark.box_xyxy for mark in marks], dtype=np.float32),
        mask=np.stack([mark.mask for mark in marks]),
        class_id=np.arange(len(marks)),
    )
    colours = _palette(sv, [mark.colour for mark in marks])
    box_colours = _palette(sv, [mark.box_colour for mark in marks])
    thickness = max(1, round(2 * text_scale))
    scene = sv.MaskAnnotator(color=colours, opacity=opacity).annotate(bgr, detections)
    scene = sv.PolygonAnnotator(color=colours, thickness=thickness).annotate(scene, detections)
    scene = sv.BoxCornerAnnotator(color=box_colours, thickness=thickness + 1, corner_length=10).annotate(
        scene, detections
    )
    labels = sv.LabelAnnotator(
        color=colours,
        text_color=_palette(sv, [_readable_on(mark.colour) for mark in marks]),
        text_scale=text_scale,
        text_padding=max(2, round(8 * text_scale)),
        smart_position=True,
    )
    drawn: NDArray[np.uint8] = labels.annotate(scene, detections, labels=[mark.text for mark in marks])
    return drawn


def _readable_on(background: Rgb) -> Rgb:
    red, green, blue = background
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 110 else (255, 255, 255)


def _palette(sv: ModuleType, colours: Sequence[Rgb]) -> Any:
    return sv.ColorPalette([sv.Color(*colour) for colour in colours])


@cache
def _supervision() -> ModuleType:
    with warnings.catch_warnings():
        # Deprecation notes of the library and of what it imports are not the user's business.
        warnings.simplefilter("ignore")
        try:
            import supervision
        except ImportError as error:
            raise MissingExtraError(
                f"drawing needs supervision; install it with: {install_command('engine')}"
            ) from error
    module: ModuleType = supervision
    return module
