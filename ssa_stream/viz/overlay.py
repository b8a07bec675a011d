"""Results drawn over the picture they belong to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import ShapeError
from ssa_stream.printable import printable
from ssa_stream.viz.annotators import Mark, annotate
from ssa_stream.viz.colours import prompt_colours, track_colour
from ssa_stream.viz.text import draw_strip, text_scale

if TYPE_CHECKING:
    from ssa_stream.streaming.results import MaskResult

__all__ = ["DrawnTrack", "PromptMasks", "draw_masks", "draw_overlay"]

_LABEL_PROMPT_LENGTH = 24


class DrawnTrack(NamedTuple):
    """One object: its id and score, its box in pixels of the picture, and its mask, `(H, W)` bool."""

    track_id: int
    score: float
    box_xyxy: tuple[int, int, int, int]
    mask: NDArray[np.bool_]


class PromptMasks(NamedTuple):
    """What one prompt refers to in a picture; `num_targets` also counts those that have no mask to draw."""

    prompt_id: str
    text: str
    num_targets: int
    tracks: Sequence[DrawnTrack]


def draw_overlay(
    image: NDArray[np.uint8], results: Sequence["MaskResult"], *, opacity: float = 0.45, strip: bool = True
) -> NDArray[np.uint8]:
    """Draw masks, boxes and labels of every prompt on a copy of a picture.

    A track keeps its colour for life; the corners of its box have the colour of its prompt, which also marks the
    prompt's line in the strip at the top. The line of a prompt without a target says so.

    Args:
        image: `(H, W, 3)` uint8 RGB.
        results: One result per prompt, with masks of the picture's size.
        opacity: Of the masks, 0..1.
        strip: Whether to write the prompts at the top.
    Returns:
        A new picture of the same shape, RGB.
    Raises:
        ShapeError: If the picture is not RGB uint8 or a mask has another size.
        MissingExtraError: If the drawing library is not installed.
    """
    shown = [
        PromptMasks(
            result.prompt_id,
            result.prompt,
            len(result.tracks),
            [
                DrawnTrack(track.track_id, track.score, track.box_xyxy, track.mask)
                for track in result.tracks
                if track.area_px
            ],
        )
        for result in results
    ]
    return draw_masks(image, shown, opacity=opacity, strip=strip)


def draw_masks(
    image: NDArray[np.uint8], prompts: Sequence[PromptMasks], *, opacity: float = 0.45, strip: bool = True
) -> NDArray[np.uint8]:
    """As `draw_overlay`, for masks that are no results of a session."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ShapeError(f"picture is {image.shape} {image.dtype}, expected (H, W, 3) uint8 RGB")
    height, width = image.shape[:2]
    colours = prompt_colours(prompt.prompt_id for prompt in prompts)
    marks = []
    for prompt in prompts:
        for track in prompt.tracks:
            if track.mask.shape != (height, width):
                raise ShapeError(
                    f"the mask of track {track.track_id} is {track.mask.shape}, expected the picture's {height, width}"
                )
            text = f"#{track.track_id} {_shortened(prompt.text)} {track.score:.2f}"
            colour = track_colour(track.track_id)
            marks.append(Mark(track.mask, track.box_xyxy, text, colour, colours[prompt.prompt_id]))
    scale = text_scale(height, width)
    bgr = np.ascontiguousarray(image[..., ::-1])
    bgr = annotate(bgr, marks, opacity=opacity, text_scale=scale)
    if strip:
        draw_strip(bgr, [(colours[prompt.prompt_id], _line(prompt)) for prompt in prompts], scale=scale)
    return np.ascontiguousarray(bgr[..., ::-1])


def _line(prompt: PromptMasks) -> str:
    count = prompt.num_targets
    if not count:
        return f"{prompt.text}: no target"
    return f"{prompt.text}: {count} target{'s' if count > 1 else ''}"


def _shortened(prompt: str) -> str:
    prompt = printable(prompt)
    return prompt if len(prompt) <= _LABEL_PROMPT_LENGTH else prompt[: _LABEL_PROMPT_LENGTH - 3].rstrip() + "..."
