"""Which colour stands for which prompt, wherever results are drawn."""

import re
import zlib
from collections.abc import Iterable
from typing import Final

__all__ = ["PALETTE", "Rgb", "prompt_colours"]

Rgb = tuple[int, int, int]

PALETTE: Final[tuple[Rgb, ...]] = (
    (86, 180, 233),  # sky blue
    (230, 159, 0),  # orange
    (0, 158, 115),  # bluish green
    (204, 121, 167),  # reddish purple
    (240, 228, 66),  # yellow
    (213, 94, 0),  # vermillion
    (0, 114, 178),  # blue
    (255, 255, 255),  # white
)
"""Colours that people with any kind of colour vision tell apart.

Source: M. Okabe and K. Ito, Color Universal Design (2008). Differs: white is in place of black, which is the colour of
edges, and the order is another, so that the first ones differ most from each other.
"""
_NUMBERED = re.compile(r"p([1-9][0-9]{0,8})")


def prompt_colours(prompt_ids: Iterable[str]) -> dict[str, Rgb]:
    """Give each prompt its colour.

    It follows from the id: p1, p2, ... get one after the other, other ids one by their hash. A prompt whose colour an
    earlier one has gets the next free one; so what is added later changes nothing, and only such a prompt can get
    another colour when an earlier one is removed. From the ninth prompt on colours repeat.

    Args:
        prompt_ids: All prompts of a stream, in its order.
    Returns:
        A colour of `PALETTE` for each id.
    """
    colours: dict[str, Rgb] = {}
    for prompt_id in dict.fromkeys(prompt_ids):
        first = _place(prompt_id)
        order = PALETTE[first:] + PALETTE[:first]
        colours[prompt_id] = next((colour for colour in order if colour not in colours.values()), order[0])
    return colours


def _place(prompt_id: str) -> int:
    numbered = _NUMBERED.fullmatch(prompt_id)
    number = int(numbered[1]) - 1 if numbered else zlib.crc32(prompt_id.encode(errors="backslashreplace"))
    return number % len(PALETTE)
