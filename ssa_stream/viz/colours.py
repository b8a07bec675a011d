"""Which colour stands for which track and which prompt."""

import colorsys
import zlib
from collections.abc import Iterable

__all__ = ["Rgb", "prompt_colours", "track_colour"]

Rgb = tuple[int, int, int]

_GOLDEN_RATIO = 0.618033988749895
_PROMPT_PALETTE: tuple[Rgb, ...] = (
    (255, 196, 0),
    (0, 200, 255),
    (255, 85, 190),
    (120, 230, 80),
    (255, 120, 40),
    (150, 130, 255),
    (240, 240, 240),
    (0, 220, 160),
    (230, 60, 60),
    (60, 120, 255),
)


def track_colour(track_id: int) -> Rgb:
    """Return the colour of a track: always the same for an id, and far apart for ids that follow each other."""
    hue = track_id * _GOLDEN_RATIO % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.55 + 0.4 * (track_id % 2), 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def prompt_colours(prompt_ids: Iterable[str]) -> dict[str, Rgb]:
    """Give each prompt its colour.

    It follows from the id, so that it stays when other prompts come and go; prompts that would share one get
    different ones, as long as there are no more than ten.
    """
    colours: dict[str, Rgb] = {}
    for prompt_id in dict.fromkeys(prompt_ids):
        start = zlib.crc32(prompt_id.encode())
        order = [_PROMPT_PALETTE[(start + step) % len(_PROMPT_PALETTE)] for step in range(len(_PROMPT_PALETTE))]
        colours[prompt_id] = next((colour for colour in order if colour not in colours.values()), order[0])
    return colours
