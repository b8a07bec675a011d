"""Still backgrounds: muted, so that objects of every colour stand out."""

import colorsys
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ssa_stream.data.synthetic.seeds import generator

__all__ = ["BACKGROUNDS", "Background", "draw_background", "sample_background"]

BACKGROUNDS: Final = ("flat", "gradient", "noise", "blobs", "tiles", "waves")

RGB = tuple[int, int, int]
Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Background:
    """One background: its kind, its two tones and the seed of its details."""

    kind: str
    first: RGB
    second: RGB
    seed: int

    @property
    def is_dark(self) -> bool:
        """Whether the mean tone is in the darker half."""
        return sum(self.first) + sum(self.second) < 6 * 118


def sample_background(rng: np.random.Generator) -> Background:
    """Draw the kind, tones and detail seed of a background."""
    hue, saturation = rng.uniform(), rng.uniform(0.03, 0.24)
    value = rng.uniform(0.34, 0.78)
    first = _tone(hue, saturation, value)
    second = _tone(hue + rng.normal(0.0, 0.1), saturation, value + rng.choice([-1.0, 1.0]) * rng.uniform(0.08, 0.18))
    return Background(str(rng.choice(BACKGROUNDS)), first, second, int(rng.integers(2**31)))


def draw_background(background: Background, height: int, width: int) -> Image:
    """Draw a background, `(height, width, 3)` uint8 RGB."""
    rng = generator(background.seed, 0)
    pattern = _PATTERNS[background.kind](rng, height, width)[..., None]
    first, second = np.array(background.first, np.float64), np.array(background.second, np.float64)
    return np.asarray(np.clip(np.round(first + (second - first) * pattern), 0, 255), np.uint8)


def _tone(hue: float, saturation: float, value: float) -> RGB:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, min(max(value, 0.2), 0.85))
    return (round(red * 255), round(green * 255), round(blue * 255))


def _flat(rng: np.random.Generator, height: int, width: int) -> Floats:
    return np.zeros((height, width))


def _gradient(rng: np.random.Generator, height: int, width: int) -> Floats:
    angle = rng.uniform(0.0, 2.0 * np.pi)
    y, x = np.mgrid[0 : 1 : complex(0, height), 0 : 1 : complex(0, width)]
    ramp = x * np.cos(angle) + y * np.sin(angle)
    return np.asarray((ramp - ramp.min()) / np.ptp(ramp))


def _noise(rng: np.random.Generator, height: int, width: int) -> Floats:
    total = np.zeros((height, width))
    for cells, weight in ((4, 0.45), (12, 0.3), (48, 0.25)):
        coarse = rng.uniform(0.0, 1.0, (cells, cells * 2))
        total += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return total


def _blobs(rng: np.random.Generator, height: int, width: int) -> Floats:
    canvas = np.zeros((64, 112))
    for _ in range(int(rng.integers(4, 10))):
        centre = (int(rng.integers(0, 112)), int(rng.integers(0, 64)))
        cv2.circle(canvas, centre, int(rng.integers(5, 18)), float(rng.uniform(0.4, 1.0)), -1)
    blurred = cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(2.5, 6.0)))
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR))


def _tiles(rng: np.random.Generator, height: int, width: int) -> Floats:
    side = max(4.0, min(height, width) / rng.uniform(3.5, 8.0))
    y, x = np.mgrid[0:height, 0:width]
    row = np.floor(y / side)
    x = x + (row % 2) * side * (0.5 if rng.uniform() < 0.5 else 0.0)
    line = (np.mod(x, side) < max(1.0, side * 0.05)) | (np.mod(y, side) < max(1.0, side * 0.05))
    shade = rng.uniform(0.0, 0.35, 4096)[((row * 61 + np.floor(x / side)) % 4096).astype(np.intp)]
    return np.where(line, 1.0, shade)


def _waves(rng: np.random.Generator, height: int, width: int) -> Floats:
    y, x = np.mgrid[0:height, 0:width] / float(min(height, width))
    angle, period = rng.uniform(0.0, np.pi), rng.uniform(0.12, 0.4)
    along = x * np.cos(angle) + y * np.sin(angle) + 0.05 * np.sin(6.0 * (y * np.cos(angle) - x * np.sin(angle)))
    return np.asarray(0.5 + 0.5 * np.sin(2.0 * np.pi * along / period)) * 0.7


_PATTERNS: Final = {
    "flat": _flat,
    "gradient": _gradient,
    "noise": _noise,
    "blobs": _blobs,
    "tiles": _tiles,
    "waves": _waves,
}
