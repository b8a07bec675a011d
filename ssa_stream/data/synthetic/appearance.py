"""What an object looks like: its colours, textures and sizes, and the sprite drawn from them once a scene."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ssa_stream.data.synthetic.shapes import SPRITE_EXTENT, shape_coverage

__all__ = ["COLOURS", "HELD_OUT_PAIRS", "RADII", "SIZES", "TEXTURES", "Appearance", "draw_sprite"]

RGB = tuple[int, int, int]

COLOURS: Final[dict[str, RGB]] = {
    "red": (214, 32, 36),
    "green": (34, 150, 58),
    "blue": (34, 68, 222),
    "yellow": (244, 222, 34),
    "orange": (248, 132, 14),
    "purple": (124, 36, 170),
    "pink": (252, 132, 196),
    "cyan": (52, 208, 222),
    "white": (244, 244, 244),
    "black": (18, 18, 20),
}
TEXTURES: Final = ("plain", "striped", "dotted", "checkered")
RADII: Final[dict[str, tuple[float, float]]] = {
    "small": (0.075, 0.088),
    "medium": (0.118, 0.132),
    "large": (0.17, 0.195),
}
"""Range of an object's radius for each size word, in units of the frame's shorter side."""
SIZES: Final = tuple(RADII)

HELD_OUT_PAIRS: Final[frozenset[tuple[str, str]]] = frozenset(
    {
        ("red", "heart"),
        ("green", "circle"),
        ("blue", "triangle"),
        ("yellow", "square"),
        ("orange", "star"),
        ("purple", "cross"),
        ("pink", "diamond"),
        ("cyan", "ring"),
        ("white", "moon"),
        ("black", "arrow"),
    }
)
"""Colour and shape pairs that are never drawn nor named in the training split."""

_BRIGHT: Final = 82.0


@dataclass(frozen=True, slots=True)
class Appearance:
    """The looks of one object; `radius` is in units of the frame's shorter side, `rgb` is its own shade."""

    shape: str
    colour: str
    texture: str
    size: str
    radius: float
    rgb: RGB
    outlined: bool = False

    @property
    def is_held_out(self) -> bool:
        """Whether this colour and shape pair is kept from the training split."""
        return (self.colour, self.shape) in HELD_OUT_PAIRS


def draw_sprite(appearance: Appearance, radius_px: float) -> npt.NDArray[np.uint8]:
    """Draw an object upright.

    Args:
        appearance: What to draw.
        radius_px: Radius in pixels of the sprite.

    Returns:
        Sprite `(side, side, 4)`: red, green, blue (also outside the outline, so that warping never
        bleeds another colour in) and coverage, 0 to 255.
    """
    side = max(9, int(np.ceil(2.0 * SPRITE_EXTENT * radius_px)))
    coverage = shape_coverage(appearance.shape, side)
    colour = _texture(appearance, side, side / (2.0 * SPRITE_EXTENT))
    if appearance.outlined:
        width = max(1, round(radius_px * 0.09))
        inner = cv2.erode(coverage, np.ones((2 * width + 1, 2 * width + 1), np.uint8))
        colour = np.where(inner[..., None] > 127, colour, np.array(_second_tone(appearance), np.uint8))
    return np.dstack([colour, coverage])


def _texture(appearance: Appearance, side: int, radius_px: float) -> npt.NDArray[np.uint8]:
    axis = (np.arange(side) + 0.5 - side / 2.0) / radius_px
    x, y = np.meshgrid(axis, axis)
    match appearance.texture:
        case "striped":
            second = np.mod(x + 0.15, 0.68) < 0.3
        case "dotted":
            second = np.hypot(np.mod(x + 0.31, 0.62) - 0.31, np.mod(y + 0.31, 0.62) - 0.31) < 0.2
        case "checkered":
            second = (np.floor(x / 0.48) + np.floor(y / 0.48)) % 2 == 0
        case _:
            second = np.zeros((side, side), bool)
    tones = np.array([appearance.rgb, _second_tone(appearance)], np.uint8)
    return np.asarray(tones[second.astype(np.intp)])


def _second_tone(appearance: Appearance) -> RGB:
    """Give a much darker tone of a bright colour and a much lighter one of a dark colour."""
    named = COLOURS[appearance.colour]
    luminance = 0.299 * named[0] + 0.587 * named[1] + 0.114 * named[2]
    factor, offset = (0.42, 0.0) if luminance > _BRIGHT else (0.5, 104.0)
    red, green, blue = (round(factor * channel + offset) for channel in appearance.rgb)
    return (red, green, blue)
