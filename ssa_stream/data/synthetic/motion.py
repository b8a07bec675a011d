"""Motion programs: where an object is, how it is turned and how big, at any time, in closed form.

Lengths are in units of the frame's shorter side, times in seconds, angles in radians, x to the right
and y down (so a growing angle turns clockwise on the screen). Every program runs forever.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["DIRECTIONS", "Box", "Leg", "MotionProgram", "Orbit", "Pulse", "trajectory"]

_DIAGONAL: Final = 0.7071067811865476
DIRECTIONS: Final[dict[str, tuple[float, float]]] = {
    "right": (1.0, 0.0),
    "down-right": (_DIAGONAL, _DIAGONAL),
    "down": (0.0, 1.0),
    "down-left": (-_DIAGONAL, _DIAGONAL),
    "left": (-1.0, 0.0),
    "up-left": (-_DIAGONAL, -_DIAGONAL),
    "up": (0.0, -1.0),
    "up-right": (_DIAGONAL, -_DIAGONAL),
}
"""Unit vectors of the eight directions."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Leg:
    """Straight motion at constant velocity for a while; zero velocity is a stop."""

    velocity_x: float
    velocity_y: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class Orbit:
    """Circular motion about the program's `(x, y)`."""

    radius: float
    rate: float  # radians a second, positive is clockwise
    phase: float


@dataclass(frozen=True, slots=True)
class Pulse:
    """Growing and shrinking, again and again, between two scales."""

    low: float
    high: float
    period_s: float
    phase: float  # fraction of a period, 0 starts growing, 0.5 starts shrinking


@dataclass(frozen=True, slots=True)
class Box:
    """The region an object's centre stays in; what happens at its border is the program's choice."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class MotionProgram:
    """How one object moves.

    `legs` repeat in a cycle from `(x, y)`. At the border of `box` a `bounce` reflects the path and a
    `wrap` continues it on the other side (with a box wider than the frame: it leaves and enters).
    An `orbit` takes the place of the legs.
    """

    x: float
    y: float
    box: Box
    border: Literal["bounce", "wrap"] = "bounce"
    legs: tuple[Leg, ...] = ()
    orbit: Orbit | None = None
    angle: float = 0.0
    spin_rate: float = 0.0  # radians a second, positive is clockwise
    pulse: Pulse | None = None

    @property
    def largest_scale(self) -> float:
        """The largest factor by which the object's radius is ever multiplied."""
        return 1.0 if self.pulse is None else self.pulse.high


def trajectory(program: MotionProgram, seconds: Floats) -> Floats:
    """Give an object's pose at many times.

    Args:
        program: The motion.
        seconds: Times since the scene's start, `(T,)`.

    Returns:
        `(T, 4)` float64: x and y of the centre, angle, scale.
    """
    x, y = _orbit(program, seconds) if program.orbit is not None else _legs(program, seconds)
    angle = program.angle + program.spin_rate * seconds
    # Rounding hides last-digit differences between the math libraries of machines.
    poses = np.stack([x, y, angle, _scale(program.pulse, seconds)], axis=-1)
    return np.asarray(np.round(poses, 6), np.float64)


def _orbit(program: MotionProgram, seconds: Floats) -> tuple[Floats, Floats]:
    orbit = program.orbit
    assert orbit is not None
    angle = orbit.phase + orbit.rate * seconds
    return program.x + orbit.radius * np.cos(angle), program.y + orbit.radius * np.sin(angle)


def _legs(program: MotionProgram, seconds: Floats) -> tuple[Floats, Floats]:
    x, y = np.full_like(seconds, program.x), np.full_like(seconds, program.y)
    if program.legs:
        cycle_s = sum(leg.duration_s for leg in program.legs)
        rounds, within = np.divmod(seconds, cycle_s)
        begin_s = 0.0
        for leg in program.legs:
            active_s = rounds * leg.duration_s + np.clip(within - begin_s, 0.0, leg.duration_s)
            x, y = x + leg.velocity_x * active_s, y + leg.velocity_y * active_s
            begin_s += leg.duration_s
    at_border = _reflect if program.border == "bounce" else _wrap
    box = program.box
    return at_border(x, box.left, box.right), at_border(y, box.top, box.bottom)


def _reflect(value: Floats, low: float, high: float) -> Floats:
    span = max(high - low, 1e-9)
    return np.asarray(low + span - np.abs(np.mod(value - low, 2.0 * span) - span), np.float64)


def _wrap(value: Floats, low: float, high: float) -> Floats:
    return np.asarray(low + np.mod(value - low, max(high - low, 1e-9)), np.float64)


def _scale(pulse: Pulse | None, seconds: Floats) -> Floats:
    if pulse is None:
        return np.ones_like(seconds)
    up = 1.0 - np.abs(np.mod(seconds / pulse.period_s + pulse.phase, 1.0) * 2.0 - 1.0)
    return np.asarray(pulse.low + (pulse.high - pulse.low) * up)
