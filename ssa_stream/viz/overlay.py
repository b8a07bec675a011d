"""Results drawn over the picture they belong to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import ShapeError
from ssa_stream.printable import printable
from ssa_stream.viz.colours import Rgb, prompt_colours
from ssa_stream.viz.labels import largest_piece, place_labels
from ssa_stream.viz.outlines import LineStyle, Outlined, draw_outlines
from ssa_stream.viz.text import PLATE, draw_line, draw_strip, line_height_px, line_width_px, strip_rows, text_scale

if TYPE_CHECKING:
    from ssa_stream.streaming.results import MaskResult

__all__ = ["DEFAULT_OPACITY", "DrawnTrack", "PromptMasks", "draw_masks", "draw_overlay"]

DEFAULT_OPACITY: Final = 0.2
"""Share of an object that is hatched; the page has the same."""
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
    image: NDArray[np.uint8], results: Sequence["MaskResult"], *, opacity: float = DEFAULT_OPACITY, strip: bool = True
) -> NDArray[np.uint8]:
    """Draw masks and labels of every prompt on a copy of a picture.

    A track has the colour of its prompt, which also marks the prompt's line in the strip at the top; its label has its
    id. Where there is no room for a label it is the id alone, or left out. The line of a prompt without a target says
    so. The strip covers a quarter of the picture at most, and tells how many prompts it leaves out.

    Args:
        image: `(H, W, 3)` uint8 RGB.
        results: One result per prompt, with masks of the picture's size.
        opacity: Share of the masks that is hatched, 0..1; 0 draws outlines only.
        strip: Whether to write the prompts at the top.
    Returns:
        A new picture of the same shape, RGB.
    Raises:
        ShapeError: If the picture is not RGB uint8 or a mask has another size.
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
    image: NDArray[np.uint8], prompts: Sequence[PromptMasks], *, opacity: float = DEFAULT_OPACITY, strip: bool = True
) -> NDArray[np.uint8]:
    """As `draw_overlay`, for masks that are no results of a session."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ShapeError(f"picture is {image.shape} {image.dtype}, expected (H, W, 3) uint8 RGB")
    height, width = image.shape[:2]
    colours = prompt_colours(prompt.prompt_id for prompt in prompts)
    objects, labels = [], []
    for place, prompt in enumerate(prompts):
        colour = colours[prompt.prompt_id]
        for track in prompt.tracks:
            if track.mask.shape != (height, width):
                raise ShapeError(
                    f"the mask of track {track.track_id} is {track.mask.shape}, expected the picture's {height, width}"
                )
            objects.append(Outlined(track.mask, colour, is_rising=place % 2 == 0))
            number = f"#{track.track_id}"
            texts = f"{number} {_shortened(prompt.text)} {track.score:.2f}", number
            labels.append(_Label(largest_piece(track.mask) or track.box_xyxy, colour, texts))
    scale = text_scale(height, width)
    rows = strip_rows(len(prompts), height, scale) if strip else 0
    picture = np.array(image, order="C")
    draw_outlines(picture, objects, LineStyle.of_picture(height, width, opacity))
    _draw_labels(picture, labels, rows * line_height_px(scale), scale)
    draw_strip(picture, [(colours[prompt.prompt_id], _line(prompt)) for prompt in prompts], rows=rows, scale=scale)
    return picture


class _Label(NamedTuple):
    """What stands at an object: the first of its texts that finds room."""

    box_xyxy: tuple[int, int, int, int]
    colour: Rgb
    texts: tuple[str, ...]


def _draw_labels(picture: NDArray[np.uint8], labels: Sequence[_Label], top: int, scale: float) -> None:
    line_px = line_height_px(scale)
    sizes = [[(line_width_px(text, scale, line_px), line_px) for text in label.texts] for label in labels]
    places = place_labels([one.box_xyxy for one in labels], sizes, (picture.shape[1], picture.shape[0]), top=top)
    for label, own_sizes, place in zip(labels, sizes, places, strict=True):
        if place is None:
            continue
        width, text = own_sizes[place.choice][0], label.texts[place.choice]
        picture[place.y : place.y + line_px, place.x : place.x + width] = PLATE
        draw_line(picture, text, (place.x, place.y), width, line_px, label.colour, scale)


def _line(prompt: PromptMasks) -> str:
    count = prompt.num_targets
    if not count:
        return f"{prompt.text}: no target"
    return f"{prompt.text}: {count} target{'s' if count > 1 else ''}"


def _shortened(prompt: str) -> str:
    prompt = printable(prompt)
    return prompt if len(prompt) <= _LABEL_PROMPT_LENGTH else prompt[: _LABEL_PROMPT_LENGTH - 3].rstrip() + "..."
