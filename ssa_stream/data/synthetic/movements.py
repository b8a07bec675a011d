"""Claims about how an object moves within the clip."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ssa_stream.data.synthetic.motion import DIRECTIONS
from ssa_stream.data.synthetic.truth import (
    CLEAR_TRAVEL,
    NEGLIGIBLE_TRAVEL,
    NO,
    RESTING_STEP,
    UNSURE,
    YES,
    ClipTruth,
    MovementFacts,
    Segment,
    Verdicts,
)

__all__ = [
    "Circles",
    "Crosses",
    "Movement",
    "Moving",
    "Pauses",
    "Resizes",
    "Resting",
    "Spins",
    "Starts",
    "Stops",
    "Turns",
    "direction_verdict",
]

_CLOSE: Final = np.deg2rad(20.0)
_FAR: Final = np.deg2rad(65.0)
_FULL_CIRCLE: Final = np.deg2rad(190.0)


class Movement:
    """A claim judged from each object's own movement; too little seen of it leaves the claim open."""

    __slots__ = ()

    def judge(self, truth: ClipTruth) -> Verdicts:
        """Judge every object; one that is never visible does nothing."""
        verdicts = [UNSURE if facts is None else self.verdict(facts) for facts in truth.movements]
        return np.where(truth.presence == NO, NO, verdicts).astype(np.int8)

    def verdict(self, facts: MovementFacts) -> int:
        """Judge one object."""
        raise NotImplementedError


def direction_verdict(direction: str | None, segments: tuple[Segment, ...]) -> int:
    """Judge whether all moving segments lead in one direction (None: in any)."""
    headings = [segment.heading for segment in segments if segment.heading is not None]
    if direction is None:
        return YES if headings else NO
    apart = [_apart(heading, direction) for heading in headings]
    if headings and max(apart) < _CLOSE:
        return YES
    return NO if not headings or min(apart) > _FAR else UNSURE


def _heading(direction: str) -> float:
    x, y = DIRECTIONS[direction]
    return float(np.arctan2(y, x))


def _apart(heading: float, direction: str) -> float:
    return abs(float(np.angle(np.exp(1j * (heading - _heading(direction))))))


def _rests(segment: Segment) -> bool:
    return segment.heading is None


@dataclass(frozen=True, slots=True)
class Moving(Movement):
    """It keeps moving, in one direction if one is given."""

    direction: str | None = None

    def verdict(self, facts: MovementFacts) -> int:
        """Judge one object."""
        if self.direction is None:
            return YES if facts.travel > CLEAR_TRAVEL else NO if Resting().verdict(facts) == YES else UNSURE
        if facts.travel_towards(_heading(self.direction)) < NEGLIGIBLE_TRAVEL:
            return NO
        if facts.is_clear and facts.segments and not any(map(_rests, facts.segments)):
            return YES if direction_verdict(self.direction, facts.segments) == YES else UNSURE
        return UNSURE


@dataclass(frozen=True, slots=True)
class Resting(Movement):
    """It stays where and as it is."""

    def verdict(self, facts: MovementFacts) -> int:
        """Judge one object; to spin or to grow is not to rest, nor quite to move."""
        if facts.travel > CLEAR_TRAVEL:
            return NO
        changes = float(np.ptp(facts.angles)) > 0.05 or float(np.ptp(facts.scales)) > 0.03
        return YES if facts.travel < NEGLIGIBLE_TRAVEL and not changes else UNSURE


@dataclass(frozen=True, slots=True)
class Stops(Movement):
    """It moves (in one direction if given) and then rests until the end."""

    direction: str | None = None

    def verdict(self, facts: MovementFacts) -> int:
        """Judge one object."""
        return _move_and_rest(facts, self.direction, rest_at=-1)


@dataclass(frozen=True, slots=True)
class Starts(Movement):
    """It rests and then moves (in one direction if given) until the end."""

    direction: str | None = None

    def verdict(self, facts: MovementFacts) -> int:
        """Judge one object."""
        return _move_and_rest(facts, self.direction, rest_at=0)


def _move_and_rest(facts: MovementFacts, direction: str | None, rest_at: int) -> int:
    if facts.travel < NEGLIGIBLE_TRAVEL or not bool((facts.lengths < RESTING_STEP).any()):
        return NO
    if direction is not None and facts.travel_towards(_heading(direction)) < NEGLIGIBLE_TRAVEL:
        return NO
    segments = facts.segments
    if not facts.is_clear or len(segments) > 2:
        return UNSURE
    if len(segments) < 2 or not _rests(segments[rest_at]):
        return NO
    return direction_verdict(direction, segments)


@dataclass(frozen=True, slots=True)
class Pauses(Movement):
    """It moves, rests, and moves again."""

    def verdict(self, facts: MovementFacts) -> int:
        """Judge one object."""
        if facts.travel < NEGLIGIBLE_TRAVEL or not bool((facts.lengths < RESTING_STEP).any()):
            return NO
        if not facts.is_clear:
            return UNSURE
        return YES if any(map(_rests, facts.segments[1:-1])) else NO


@dataclass(frozen=True, slots=True)
class Turns(Movement):
    """It moves first in one direction and then in another."""

    first: str
    second: str

    def verdict(self, facts: MovementFacts) -> int:
        """Judge one object."""
        if any(facts.travel_towards(_heading(name)) < NEGLIGIBLE_TRAVEL for name in (self.first, self.second)):
            return NO
        if not facts.is_clear or len(facts.segments) > 2 or any(map(_rests, facts.segments)):
            return UNSURE
        if len(facts.segments) < 2:
            return NO
        halves = [direction_verdict(self.first, facts.segments[:1]), direction_verdict(self.second, facts.segments[1:])]
        return NO if NO in halves else UNSURE if UNSURE in halves else YES


@dataclass(frozen=True, slots=True)
class Circles(Movement):
    """It goes round in a circle."""

    clockwise: bool | None = None

    def verdict(self, facts: MovementFacts) -> int:
        """Judge one object; three straight turns could be taken for a circle."""
        if facts.turned is None:
            return NO if facts.is_clear and len(facts.segments) < 4 else UNSURE
        if self.clockwise is not None and (facts.turned > 0.0) != self.clockwise:
            return NO
        return YES if abs(facts.turned) > _FULL_CIRCLE else UNSURE


@dataclass(frozen=True, slots=True)
class Spins(Movement):
    """It turns about its own centre."""

    clockwise: bool | None = None

    def verdict(self, facts: MovementFacts) -> int:
        """Judge one object."""
        angle = float(facts.angles[-1] - facts.angles[0])
        if abs(angle) < 0.08:
            return NO
        if abs(angle) < 0.85:
            return UNSURE
        return YES if self.clockwise is None or (angle > 0.0) == self.clockwise else NO


@dataclass(frozen=True, slots=True)
class Resizes(Movement):
    """It becomes larger (or smaller) all the time."""

    grows: bool

    def verdict(self, facts: MovementFacts) -> int:
        """Judge one object."""
        scales = facts.scales if self.grows else facts.scales[::-1]
        if float(scales.max() / scales.min()) < 1.06:
            return NO
        steps = np.diff(scales)
        if (steps < 1e-9).all():
            return NO
        return YES if (steps > -1e-9).all() and float(scales[-1] / scales[0]) > 1.28 else UNSURE


@dataclass(frozen=True, slots=True)
class Crosses:
    """It comes into the picture, or leaves it, over the frame's border."""

    enters: bool

    def judge(self, truth: ClipTruth) -> Verdicts:
        """Judge every object by how much of it is within the frame."""
        parts = truth.in_frame if self.enters else truth.in_frame[:, ::-1]
        rises, falls = np.diff(parts, axis=1) > 0.05, np.diff(parts, axis=1) < -0.05
        never = (parts.min(axis=1) > 0.85) | ~rises.any(axis=1)
        clear = (parts[:, 0] < 0.12) & (parts[:, -1] > 0.7) & ~falls.any(axis=1)
        seen = truth.seen.sum(axis=1) >= min(3, truth.seen.shape[1])
        verdicts = np.where(never, NO, np.where(clear & seen, YES, UNSURE))
        return np.where(truth.presence == NO, NO, verdicts).astype(np.int8)
