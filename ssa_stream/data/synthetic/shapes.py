"""Outlines of the objects, in units of the object's radius, y pointing down, and their coverage images."""

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["ROTATION_SHOWS", "SHAPES", "SPRITE_EXTENT", "shape_coverage"]

SHAPES: Final = ("circle", "square", "triangle", "star", "heart", "cross", "diamond", "ring", "moon", "arrow")
SPRITE_EXTENT: Final = 1.4
"""Half the side of a sprite in radii: every shape at every angle fits in it."""
ROTATION_SHOWS: Final = frozenset(SHAPES) - {"circle", "ring"}
"""The shapes of which a viewer sees that they turn."""

_SUPERSAMPLING: Final = 4
_FRACTION_BITS: Final = 4

Points = npt.NDArray[np.float64]


def _circle(radius: float, x: float = 0.0) -> Points:
    angles = np.linspace(0.0, 2.0 * np.pi, 96, endpoint=False)
    return np.stack([x + radius * np.cos(angles), radius * np.sin(angles)], axis=1)


def _star() -> Points:
    angles = np.arange(10) * np.pi / 5.0 - np.pi / 2.0
    radii = np.where(np.arange(10) % 2 == 0, 1.2, 0.5)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _heart() -> Points:
    angles = np.linspace(0.0, 2.0 * np.pi, 96, endpoint=False)
    x = 16.0 * np.sin(angles) ** 3
    y = 13.0 * np.cos(angles) - 5.0 * np.cos(2 * angles) - 2.0 * np.cos(3 * angles) - np.cos(4 * angles)
    return np.stack([x / 15.5, -(y + 2.5) / 15.5], axis=1)


def _cross() -> Points:
    a, b = 0.36, 1.05
    corners = [
        (-a, -b),
        (a, -b),
        (a, -a),
        (b, -a),
        (b, a),
        (a, a),
        (a, b),
        (-a, b),
        (-a, a),
        (-b, a),
        (-b, -a),
        (-a, -a),
    ]
    return np.array(corners)


_FILLED: Final[dict[str, Points]] = {
    "circle": _circle(1.0),
    "square": np.array([(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)]),
    "triangle": np.array([(0.0, -1.15), (1.08, 0.8), (-1.08, 0.8)]),
    "star": _star(),
    "heart": _heart(),
    "cross": _cross(),
    "diamond": np.array([(0.0, -1.3), (0.72, 0.0), (0.0, 1.3), (-0.72, 0.0)]),
    "ring": _circle(1.08),
    "moon": _circle(1.1),
    "arrow": np.array(
        [(-1.2, -0.34), (0.05, -0.34), (0.05, -0.95), (1.25, 0.0), (0.05, 0.95), (0.05, 0.34), (-1.2, 0.34)]
    ),
}
_CUT_OUT: Final[dict[str, Points]] = {"ring": _circle(0.55), "moon": _circle(0.95, x=0.55)}


def shape_coverage(shape: str, side: int) -> npt.NDArray[np.uint8]:
    """Draw a shape with smooth edges.

    Args:
        shape: One of `SHAPES`.
        side: Side of the image in pixels; it spans `2 * SPRITE_EXTENT` radii.

    Returns:
        How much of each pixel the shape covers, `(side, side)`, 0 to 255.
    """
    fine = side * _SUPERSAMPLING
    canvas = np.zeros((fine, fine), np.uint8)
    _fill(canvas, _FILLED[shape], 255)
    if shape in _CUT_OUT:
        _fill(canvas, _CUT_OUT[shape], 0)
    return np.asarray(cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _fill(canvas: npt.NDArray[np.uint8], points: Points, value: int) -> None:
    side = canvas.shape[0]
    pixels = (points / SPRITE_EXTENT + 1.0) * side / 2.0 - 0.5
    fixed_point = np.round(pixels * 2**_FRACTION_BITS).astype(np.int32)
    cv2.fillPoly(canvas, [fixed_point], value, lineType=cv2.LINE_8, shift=_FRACTION_BITS)
