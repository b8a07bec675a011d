"""Sampling of motion programs whose events show within a clip of a given length."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ssa_stream.data.synthetic.motion import DIRECTIONS, Box, Leg, MotionProgram, Orbit, Pulse

__all__ = ["Stage", "overtaking_pair", "sample_program"]

_TURN: Final = np.pi / 4.0
_MAX_SPIN_PER_FRAME: Final = 0.35
_MAX_ORBIT_PER_FRAME: Final = 0.5


@dataclass(frozen=True, slots=True)
class Stage:
    """Where programs play: frame extent in units, the clip's length and the frame rate they are timed for."""

    width: float
    height: float
    clip_s: float
    fps: float


def sample_program(rng: np.random.Generator, stage: Stage, radius: float, *, may_spin: bool) -> MotionProgram:
    """Draw a motion: a path, and now and then spinning or growing and shrinking with it.

    Args:
        rng: Source of chance.
        stage: Frame and clip.
        radius: The object's radius at scale 1.
        may_spin: Whether a viewer would see the object turn.
    """
    pulse = _pulse(rng, stage) if rng.uniform() < 0.13 else None
    reach = radius * (pulse.high if pulse else 1.0)
    make = _PATHS[int(rng.choice(len(_PATHS), p=_PATH_WEIGHTS))]
    x, y = _inside(rng, stage, reach)
    spin = _spin(rng, stage) if may_spin and rng.uniform() < 0.17 else 0.0
    path = make(rng, stage, reach, x, y)
    tilt = float(rng.uniform(-0.22, 0.22))
    return MotionProgram(path.x, path.y, path.box, path.border, path.legs, path.orbit, tilt, spin, pulse)


def overtaking_pair(
    rng: np.random.Generator, stage: Stage, radii: tuple[float, float]
) -> tuple[MotionProgram, MotionProgram]:
    """Draw two parallel motions, of which the first passes the second within the clip."""
    direction = _vector(rng, axes_only=True)
    gap = radii[0] + radii[1] + 0.04
    across_x, across_y = abs(direction[1]) * gap, abs(direction[0]) * gap
    sign = float(rng.choice([-1.0, 1.0]))
    lead = float(rng.uniform(0.16, 0.26))
    slow = float(rng.uniform(0.15, 0.25)) / stage.clip_s
    fast = slow + 2.2 * lead / stage.clip_s
    x, y = stage.width * float(rng.uniform(0.4, 0.6)), stage.height * float(rng.uniform(0.4, 0.6))
    x, y = x - direction[0] * 0.35, y - direction[1] * 0.35
    behind = (x - direction[0] * lead - sign * across_x / 2.0, y - direction[1] * lead - sign * across_y / 2.0)
    ahead = (x + sign * across_x / 2.0, y + sign * across_y / 2.0)
    first = _straight(stage, radii[0], *behind, direction, fast, wraps=True)
    second = _straight(stage, radii[1], *ahead, direction, slow, wraps=True)
    return first, second


def _vector(rng: np.random.Generator, *, axes_only: bool = False) -> tuple[float, float]:
    names = list(DIRECTIONS)
    names = names[::2] if axes_only or rng.uniform() < 0.72 else names[1::2]
    x, y = DIRECTIONS[str(rng.choice(names))]
    angle = np.arctan2(y, x) + rng.uniform(-0.09, 0.09)
    return float(np.cos(angle)), float(np.sin(angle))


def _inside(rng: np.random.Generator, stage: Stage, reach: float) -> tuple[float, float]:
    x = rng.uniform(min(reach, stage.width / 2), max(stage.width - reach, stage.width / 2))
    y = rng.uniform(min(reach, stage.height / 2), max(stage.height - reach, stage.height / 2))
    return float(x), float(y)


def _bouncing_box(stage: Stage, reach: float) -> Box:
    inset = min(0.8 * reach, 0.45 * min(stage.width, stage.height))
    return Box(inset, inset, stage.width - inset, stage.height - inset)


def _straight(
    stage: Stage, reach: float, x: float, y: float, direction: tuple[float, float], speed: float, *, wraps: bool
) -> MotionProgram:
    out = 1.45 * reach
    box = Box(-out, -out, stage.width + out, stage.height + out) if wraps else _bouncing_box(stage, reach)
    leg = Leg(direction[0] * speed, direction[1] * speed, 3600.0)
    return MotionProgram(x, y, box, "wrap" if wraps else "bounce", (leg,))


def _still(rng: np.random.Generator, stage: Stage, reach: float, x: float, y: float) -> MotionProgram:
    return MotionProgram(x, y, _bouncing_box(stage, 0.0))


def _move(rng: np.random.Generator, stage: Stage, reach: float, x: float, y: float) -> MotionProgram:
    direction = _vector(rng)
    travel = float(rng.uniform(0.28, 0.7))
    chance = rng.uniform()
    if chance < 0.3:  # start where the way ahead is long
        x -= direction[0] * 0.3 * stage.width
        y -= direction[1] * 0.3 * stage.height
    elif chance < 0.5:  # enter or leave during the clip
        edge = -1.0 if chance < 0.4 else 1.0
        if abs(direction[0]) > 0.5:
            x = stage.width / 2 + np.sign(direction[0]) * edge * (stage.width / 2 - edge * 0.6 * reach)
        else:
            y = stage.height / 2 + np.sign(direction[1]) * edge * (stage.height / 2 - edge * 0.6 * reach)
    wraps = bool(chance < 0.5 or rng.uniform() < 0.5)
    return _straight(stage, reach, float(x), float(y), direction, travel / stage.clip_s, wraps=wraps)


def _legs(stage: Stage, reach: float, x: float, y: float, legs: Sequence[Leg]) -> MotionProgram:
    """Centre the path within the frame as far as it fits, then let it bounce."""
    box = _bouncing_box(stage, reach)
    steps = [(leg.velocity_x * leg.duration_s, leg.velocity_y * leg.duration_s) for leg in legs]
    path = np.cumsum(np.array([(0.0, 0.0), *steps]), axis=0)
    low, high = path.min(axis=0), path.max(axis=0)
    x = float(np.clip(x, *sorted((box.left - low[0], box.right - high[0]))))
    y = float(np.clip(y, *sorted((box.top - low[1], box.bottom - high[1]))))
    return MotionProgram(x, y, box, "bounce", tuple(legs))


def _leg(direction: tuple[float, float], travel: float, duration_s: float) -> Leg:
    return Leg(direction[0] * travel / duration_s, direction[1] * travel / duration_s, duration_s)


def _stop(rng: np.random.Generator, stage: Stage, reach: float, x: float, y: float) -> MotionProgram:
    """Move and stop, or wait and start; the cycle goes on the other way so that it stays in the frame."""
    direction = _vector(rng)
    travel = float(rng.uniform(0.22, 0.42))
    move_s, rest_s = (float(s) * stage.clip_s for s in rng.uniform(0.42, 0.6, 2))
    go, wait = _leg(direction, travel, move_s), Leg(0.0, 0.0, rest_s)
    back = _leg((-direction[0], -direction[1]), travel, move_s)
    legs = (go, wait, back, wait) if rng.uniform() < 0.6 else (wait, go, wait, back)
    return _legs(stage, reach, x, y, legs)


def _stop_and_go(rng: np.random.Generator, stage: Stage, reach: float, x: float, y: float) -> MotionProgram:
    direction = _vector(rng)
    move_s = 0.35 * stage.clip_s
    go, wait = _leg(direction, float(rng.uniform(0.16, 0.26)), move_s), Leg(0.0, 0.0, 0.3 * stage.clip_s)
    return _legs(stage, reach, x, y, (go, wait, go, Leg(0.0, 0.0, stage.clip_s)))


def _turn(rng: np.random.Generator, stage: Stage, reach: float, x: float, y: float) -> MotionProgram:
    first = _vector(rng)
    angle = np.arctan2(first[1], first[0]) + float(rng.choice([-2.0, 2.0])) * _TURN
    second = (float(np.cos(angle)), float(np.sin(angle)))
    half_s = float(rng.uniform(0.45, 0.55)) * stage.clip_s
    travel = rng.uniform(0.2, 0.36, 2)
    legs = [_leg(first, float(travel[0]), half_s), _leg(second, float(travel[1]), half_s)]
    legs += [Leg(-leg.velocity_x, -leg.velocity_y, leg.duration_s) for leg in legs]
    return _legs(stage, reach, x, y, legs)


def _reverse(rng: np.random.Generator, stage: Stage, reach: float, x: float, y: float) -> MotionProgram:
    direction = _vector(rng)
    travel = float(rng.uniform(0.2, 0.36))
    half_s = float(rng.choice([0.5, 0.34])) * stage.clip_s
    legs = (_leg(direction, travel, half_s), _leg((-direction[0], -direction[1]), travel, half_s))
    return _legs(stage, reach, x, y, legs)


def _circle(rng: np.random.Generator, stage: Stage, reach: float, x: float, y: float) -> MotionProgram:
    radius = float(rng.uniform(0.12, 0.24))
    rate = float(rng.uniform(3.6, 7.0)) / stage.clip_s
    rate = min(rate, _MAX_ORBIT_PER_FRAME * stage.fps) * float(rng.choice([-1.0, 1.0]))
    room = 0.6 * reach + radius
    x = float(np.clip(x, min(room, stage.width / 2), max(stage.width - room, stage.width / 2)))
    y = float(np.clip(y, min(room, stage.height / 2), max(stage.height - room, stage.height / 2)))
    orbit = Orbit(radius, rate, float(rng.uniform(0.0, 2.0 * np.pi)))
    return MotionProgram(x, y, _bouncing_box(stage, 0.0), orbit=orbit)


def _spin(rng: np.random.Generator, stage: Stage) -> float:
    rate = float(rng.uniform(1.6, 4.8)) / stage.clip_s
    return min(rate, _MAX_SPIN_PER_FRAME * stage.fps) * float(rng.choice([-1.0, 1.0]))


def _pulse(rng: np.random.Generator, stage: Stage) -> Pulse:
    low, high = float(rng.uniform(0.62, 0.78)), float(rng.uniform(1.25, 1.5))
    return Pulse(low, high, float(rng.uniform(2.0, 3.2)) * stage.clip_s, float(rng.choice([0.0, 0.5])))


_PathMaker = Callable[[np.random.Generator, Stage, float, float, float], MotionProgram]
_PATHS: Final[tuple[_PathMaker, ...]] = (_still, _move, _stop, _stop_and_go, _turn, _reverse, _circle)
_PATH_WEIGHTS: Final = (0.2, 0.4, 0.12, 0.05, 0.09, 0.07, 0.07)
