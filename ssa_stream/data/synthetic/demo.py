"""The fixed scene of demonstrations and of the synthetic live source."""

from typing import Final

from ssa_stream.data.synthetic.appearance import COLOURS, Appearance
from ssa_stream.data.synthetic.background import Background
from ssa_stream.data.synthetic.motion import Box, Leg, MotionProgram, Orbit, Pulse
from ssa_stream.data.synthetic.scene import Scene, SceneObject, require_size
from ssa_stream.data.synthetic.seeds import scene_seed

__all__ = ["DEMO_SENTENCES", "demo_scene"]

DEMO_SENTENCES: Final = (
    "the red circle",
    "the blue square moving left",
    "the green star",
    "the spinning star",
    "the yellow striped triangle",
    "the thing that moves in a circle",
    "the purple ring",
    "the pink heart that grows and shrinks",
    "the blue square moving right",
    "all blue things",
)
"""Sentences that hold in the demo scene at any time."""


def demo_scene(width: int = 640, height: int = 360, fps: float = 30.0) -> Scene:
    """Give the demo scene: seven objects, each with its own way of moving, forever.

    Args:
        width: Frame width in pixels.
        height: Frame height in pixels.
        fps: Frame rate; the motions take the same time at any rate.

    Raises:
        ConfigError: If the size or the rate is out of range.
    """
    require_size(width, height)  # before it is divided by
    unit = min(width, height)
    w, h = width / unit, height / unit
    background = Background("gradient", (116, 128, 146), (176, 172, 160), 7)
    return Scene(scene_seed("demo", 0), "demo", width, height, fps, background, _objects(w, h))


def _objects(w: float, h: float) -> tuple[SceneObject, ...]:
    inner = Box(0.12, 0.12, w - 0.12, h - 0.12)
    up_down = (Leg(0.0, -0.34, 1.0), Leg(0.0, 0.0, 1.0), Leg(0.0, 0.34, 1.0), Leg(0.0, 0.0, 1.0))
    return (
        _thing(1, "circle", "red", "plain", "medium", _drift(inner, 0.2 * w, 0.3 * h, 0.31, 0.17), 5.0),
        _thing(2, "square", "blue", "plain", "medium", _pass(w, h, 0.8 * w, 0.78 * h, -0.4), 4.0),
        _thing(3, "star", "green", "plain", "large", _stay(inner, 0.52 * w, 0.3 * h, spin_rate=1.8), 1.0),
        _thing(4, "triangle", "yellow", "striped", "medium", MotionProgram(0.9 * w, 0.7 * h, inner, legs=up_down), 3.0),
        _thing(5, "ring", "purple", "plain", "medium", _orbit(inner, 0.24 * w, 0.6 * h), 2.0),
        _thing(6, "heart", "pink", "plain", "medium", _stay(inner, 0.76 * w, 0.22 * h, pulse=_BEAT), 0.0),
        _thing(7, "square", "blue", "checkered", "small", _pass(w, h, 0.3 * w, 0.93 * h, 0.3), 6.0),
    )


_BEAT: Final = Pulse(0.75, 1.3, 3.0, 0.0)


def _thing(
    number: int, shape: str, colour: str, texture: str, size: str, motion: MotionProgram, depth: float
) -> SceneObject:
    radius = {"small": 0.07, "medium": 0.115, "large": 0.16}[size]
    return SceneObject(number, Appearance(shape, colour, texture, size, radius, COLOURS[colour]), motion, depth)


def _drift(box: Box, x: float, y: float, velocity_x: float, velocity_y: float) -> MotionProgram:
    return MotionProgram(x, y, box, "bounce", (Leg(velocity_x, velocity_y, 3600.0),))


def _pass(w: float, h: float, x: float, y: float, velocity_x: float) -> MotionProgram:
    return MotionProgram(x, y, Box(-0.18, -0.18, w + 0.18, h + 0.18), "wrap", (Leg(velocity_x, 0.0, 3600.0),))


def _stay(box: Box, x: float, y: float, *, spin_rate: float = 0.0, pulse: Pulse | None = None) -> MotionProgram:
    return MotionProgram(x, y, box, spin_rate=spin_rate, pulse=pulse)


def _orbit(box: Box, x: float, y: float) -> MotionProgram:
    return MotionProgram(x, y, box, orbit=Orbit(0.2, 2.4, 0.0))
