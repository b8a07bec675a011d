"""Candidates for sentences, proposed from what one object of the clip looks like and does.

A candidate may fit other objects too, or be too close to call: whoever asks has to judge it.
"""

from dataclasses import fields, replace
from typing import Final

import numpy as np

from ssa_stream.data.synthetic.appearance import COLOURS, SIZES, TEXTURES
from ssa_stream.data.synthetic.motion import DIRECTIONS
from ssa_stream.data.synthetic.movements import (
    Circles,
    Crosses,
    Movement,
    Moving,
    Pauses,
    Resizes,
    Resting,
    Spins,
    Starts,
    Stops,
    Turns,
)
from ssa_stream.data.synthetic.predicates import Attributes, Described, Either, Predicate, only_match
from ssa_stream.data.synthetic.relations import (
    SIDES,
    SUPERLATIVES,
    Approaches,
    Beside,
    Extreme,
    Nearest,
    Overtakes,
)
from ssa_stream.data.synthetic.shapes import SHAPES
from ssa_stream.data.synthetic.truth import YES, ClipTruth

__all__ = ["CROSSINGS", "MOVEMENTS", "propose", "some_looks"]

_AXES: Final = tuple(DIRECTIONS)[::2]
_VALUES: Final[dict[str, tuple[str, ...]]] = {
    "shape": SHAPES,
    "colour": tuple(COLOURS),
    "texture": TEXTURES,
    "size": SIZES,
}
CROSSINGS: Final = (Crosses(enters=True), Crosses(enters=False))
MOVEMENTS: Final[tuple[Movement, ...]] = (
    Resting(),
    Pauses(),
    Resizes(grows=True),
    Resizes(grows=False),
    *(make(clockwise) for make in (Spins, Circles) for clockwise in (None, True, False)),
    *(Moving(name) for name in DIRECTIONS),
    *(make(name) for make in (Stops, Starts) for name in (*_AXES, None)),
    *(Turns(first, second) for first in DIRECTIONS for second in DIRECTIONS if first != second),
)


def propose(truth: ClipTruth, rng: np.random.Generator, kind: str) -> Described | Either | None:
    """Propose a description of the given expression type, None if this try found nothing to say."""
    present = np.flatnonzero(truth.presence == YES)
    if kind == "no_target":
        return _absent(truth, rng)
    if len(present) == 0:
        return None
    index = int(rng.choice(present))
    match kind:
        case "appearance":
            return Described(some_looks(truth, rng, index, fewest=1))
        case "motion":
            claim = _movement_of(truth, rng, index)
            return None if claim is None else Described(Attributes(), (claim,))
        case "appearance_motion":
            claim = _movement_of(truth, rng, index)
            return None if claim is None else Described(some_looks(truth, rng, index, fewest=1), (claim,))
        case "relation":
            return _relation_of(truth, rng, index)
        case _:
            return _group_of(truth, rng, index)


def some_looks(truth: ClipTruth, rng: np.random.Generator, index: int, fewest: int = 0) -> Attributes:
    """Give some true looks of an object, the shape and the colour most often."""
    look = truth.scene.objects[index].appearance
    chances = {"shape": 0.8, "colour": 0.75, "texture": 0.3, "size": 0.25}
    while True:
        chosen = {name: str(getattr(look, name)) for name, chance in chances.items() if rng.uniform() < chance}
        if chosen.get("texture") == "plain" and rng.uniform() < 0.7:
            del chosen["texture"]
        if len(chosen) >= fewest:
            return Attributes(**chosen)


def _movement_of(truth: ClipTruth, rng: np.random.Generator, index: int) -> Predicate | None:
    """Give something that the object clearly does, seldom only that it moves."""
    facts = truth.movements[index]
    if facts is None:
        return None
    crossings: list[Predicate] = [claim for claim in CROSSINGS if claim.judge(truth)[index] == YES]
    true = crossings + [claim for claim in MOVEMENTS if claim.verdict(facts) == YES]
    if true and rng.uniform() < 0.93:
        return true[int(rng.integers(len(true)))]
    return Moving() if Moving().verdict(facts) == YES else None


def _relation_of(truth: ClipTruth, rng: np.random.Generator, index: int) -> Described | None:
    looks = some_looks(truth, rng, index)
    among = replace(looks, size=None)
    if rng.uniform() < 0.3:
        kind = str(rng.choice(SUPERLATIVES))
        claim: Predicate = Extreme(kind, among)
        if claim.judge(truth)[index] != YES:
            return None
        return Described(among, (claim,))
    others = [int(other) for other in np.flatnonzero(truth.presence == YES) if other != index]
    anchor = _unique_looks(truth, rng, int(rng.choice(others))) if others else None
    if anchor is None:
        return None
    claims: list[Predicate] = [Beside(side, anchor) for side in SIDES]
    claims += [Overtakes(anchor), Overtakes(anchor), Approaches(anchor)]
    claims += [Nearest(among, anchor), Nearest(among, anchor, farthest=True)]
    true = [claim for claim in claims if claim.judge(truth)[index] == YES]
    if not true:
        return None
    claim = true[int(rng.integers(len(true)))]
    return Described(among if isinstance(claim, Nearest) else looks, (claim,))


def _unique_looks(truth: ClipTruth, rng: np.random.Generator, index: int) -> Attributes | None:
    for _ in range(3):
        looks = some_looks(truth, rng, index, fewest=1)
        if only_match(looks, truth) == index:
            return looks
    return None


def _group_of(truth: ClipTruth, rng: np.random.Generator, index: int) -> Described | Either | None:
    chance = rng.uniform()
    if chance < 0.2:
        others = [int(other) for other in np.flatnonzero(truth.presence == YES) if other != index]
        if not others:
            return None
        halves = [_unique_looks(truth, rng, which) for which in (index, int(rng.choice(others)))]
        first, second = halves
        return None if first is None or second is None else Either(Described(first), Described(second))
    looks = some_looks(truth, rng, index)
    single = [name for name in ("shape", "colour", "texture", "size") if getattr(looks, name) is not None]
    if len(single) > 1 and rng.uniform() < 0.75:
        kept = str(rng.choice(single))
        looks = Attributes(**{kept: getattr(looks, kept)})
    if chance < 0.6:
        claim = _movement_of(truth, rng, index)
        return None if claim is None else Described(looks, (claim,))
    return Described(looks)


def _absent(truth: ClipTruth, rng: np.random.Generator) -> Described | None:
    """Give a true description with one thing changed."""
    present = np.flatnonzero(truth.presence == YES)
    if len(present) == 0:
        return Described(Attributes(str(rng.choice(SHAPES)), str(rng.choice(list(COLOURS)))))
    index = int(rng.choice(present))
    looks = some_looks(truth, rng, index, fewest=1)
    claim = _movement_of(truth, rng, index) if rng.uniform() < 0.6 else None
    if claim is not None and rng.uniform() < 0.55:
        return Described(looks, (_changed_claim(claim, rng),))
    if claim is None and rng.uniform() < 0.4:
        relation = _relation_of(truth, rng, index)
        changed = None if relation is None else _changed_relation(relation, rng)
        if changed is not None:
            return changed
    return Described(_changed_looks(looks, rng), () if claim is None else (claim,))


def _changed_looks(looks: Attributes, rng: np.random.Generator) -> Attributes:
    given = [field.name for field in fields(looks) if getattr(looks, field.name) is not None]
    name = str(rng.choice(given))
    others = [value for value in _VALUES[name] if value != getattr(looks, name)]
    return replace(looks, **{name: str(rng.choice(others))})


def _changed_claim(claim: Predicate, rng: np.random.Generator) -> Predicate:
    direction = str(rng.choice(_AXES))
    others: tuple[Predicate, ...] = (Moving(direction), Resting(), Stops(direction), Starts(direction), Spins())
    match claim:
        case Moving(str(old)) | Stops(str(old)):
            return replace(claim, direction=str(rng.choice([name for name in _AXES if name != old])))
        case Turns(first, second) if rng.uniform() < 0.5:
            return Turns(second, first)
        case Resizes(grows):
            return Resizes(not grows)
        case Circles(bool(clockwise)):
            return Circles(not clockwise)
        case _:
            return others[int(rng.integers(len(others)))]


def _changed_relation(described: Described, rng: np.random.Generator) -> Described | None:
    match described.claims[0]:
        case Beside(side, anchor):
            opposite = {"left": "right", "right": "left", "above": "below", "below": "above"}[side]
            return replace(described, claims=(Beside(opposite, anchor),))
        case _:
            return None
