"""Clauses: how a claim about motion or position is put, as "moving left" or "that moves left"."""

from typing import Final, NamedTuple

from ssa_stream.data.synthetic.movements import (
    Circles,
    Crosses,
    Moving,
    Pauses,
    Resizes,
    Resting,
    Spins,
    Starts,
    Stops,
    Turns,
)
from ssa_stream.data.synthetic.predicates import Attributes, Predicate
from ssa_stream.data.synthetic.relations import Approaches, Beside, Nearest, Overtakes
from ssa_stream.data.synthetic.wording import Wording, noun_phrase

__all__ = ["Clause", "clause"]


class Clause(NamedTuple):
    """One claim in two forms: after a noun ("moving left", "above the ring") and after "that"."""

    participle: str
    finite: str


class _Verb(NamedTuple):
    participle: str
    singular: str
    plural: str


_GO: Final = (
    _Verb("moving", "moves", "move"),
    _Verb("going", "goes", "go"),
    _Verb("heading", "heads", "head"),
    _Verb("travelling", "travels", "travel"),
)
_GO_HELD_OUT: Final = (_Verb("drifting", "drifts", "drift"),)
_ADVERBS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "left": (("left", "to the left", "leftwards"), ()),
    "right": (("right", "to the right", "rightwards"), ()),
    "up": (("up", "upwards"), ("towards the top",)),
    "down": (("down", "downwards"), ("towards the bottom",)),
    "up-left": (("up and left", "diagonally up to the left", "to the upper left"), ()),
    "up-right": (("up and right", "diagonally up to the right", "to the upper right"), ()),
    "down-left": (("down and left", "diagonally down to the left", "to the lower left"), ()),
    "down-right": (("down and right", "diagonally down to the right", "to the lower right"), ()),
}
_BESIDE: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "left": (("left of", "to the left of"), ("on the left-hand side of",)),
    "right": (("right of", "to the right of"), ("on the right-hand side of",)),
    "above": (("above", "higher than"), ()),
    "below": (("below", "under", "lower than"), ("beneath",)),
}


def clause(claim: Predicate, wording: Wording, *, plural: bool = False) -> Clause:
    """Put a claim into words.

    Args:
        claim: A movement or a relation, but not a superlative: that stands before the noun.
        wording: Chooses the words.
        plural: Whether the subject is several objects.
    """
    match claim:
        case Beside(side, anchor):
            return _state(f"{wording.pick(*_BESIDE[side])} {_anchor(anchor, wording)}", plural)
        case Nearest(_, anchor, farthest):
            word = wording.pick(("farthest from", "furthest away from") if farthest else ("nearest to", "closest to"))
            return _state(f"{word} {_anchor(anchor, wording)}", plural)
        case Overtakes(anchor):
            verbs = (_Verb("overtaking", "overtakes", "overtake"), _Verb("passing", "passes", "pass"))
            held_out = (_Verb("overhauling", "overhauls", "overhaul"),)
            return _act(_verb(wording, verbs, held_out), _anchor(anchor, wording), plural)
        case Approaches(anchor):
            word = wording.pick(("towards", "toward"))
            return _act(_verb(wording, _GO), f"{word} {_anchor(anchor, wording)}", plural)
        case _:
            return _movement(claim, wording, plural)


def _movement(claim: Predicate, wording: Wording, plural: bool) -> Clause:
    match claim:
        case Moving(None):
            return _act(_GO[0], "", plural)
        case Moving(str(direction)):
            return _act(_verb(wording, _GO, _GO_HELD_OUT), _adverb(direction, wording), plural)
        case Resting():
            if wording.chance(0.3):
                return _act(_Verb("not moving", "does not move", "do not move"), "", plural)
            stays = _Verb("staying still", "stays still", "stay still")
            stands = _Verb("standing still", "stands still", "stand still")
            if wording.chance(0.5):
                return _act(_verb(wording, (stays, stands)), "", plural)
            return _state(wording.pick(("at rest",), ("motionless",)), plural)
        case Stops(direction):
            stop = _verb(wording, (_Verb("stopping", "stops", "stop"),), (_Verb("halting", "halts", "halt"),))
            return _join(
                _go(direction, wording, plural), _act(stop, "", plural), wording.pick(("and then", "then", "and"))
            )
        case Starts(direction):
            adverb = "" if direction is None else " " + _adverb(direction, wording)
            if wording.chance(0.5):
                wait = _act(
                    _verb(wording, (_Verb("waiting", "waits", "wait"), _Verb("resting", "rests", "rest"))), "", plural
                )
                return _join(wait, _go(direction, wording, plural), "and then")
            return _act(_Verb("starting to move", "starts to move", "start to move"), adverb.strip(), plural)
        case Pauses():
            if wording.chance(0.5):
                return _act(_Verb("pausing", "pauses", "pause"), "and goes on" if not plural else "and go on", plural)
            return _act(_Verb("stopping for a moment", "stops for a moment", "stop for a moment"), "", plural)
        case Turns(first, second):
            return _join(
                _go(first, wording, plural), _act(_verb(wording, _GO[:2]), _adverb(second, wording), plural), "and then"
            )
        case _:
            return _change(claim, wording, plural)


def _change(claim: Predicate, wording: Wording, plural: bool) -> Clause:
    match claim:
        case Circles(clockwise):
            way = _turning_way(clockwise)
            verb = _verb(wording, _GO[:2])
            return _act(verb, wording.pick(("in a circle", "in circles", "round in a circle")) + way, plural)
        case Spins(clockwise):
            verbs = (_Verb("spinning", "spins", "spin"), _Verb("rotating", "rotates", "rotate"))
            held_out = (_Verb("whirling", "whirls", "whirl"),)
            return _act(_verb(wording, verbs, held_out), _turning_way(clockwise).strip(), plural)
        case Resizes(grows):
            more = (_Verb("growing", "grows", "grow"), _Verb("getting bigger", "gets bigger", "get bigger"))
            less = (_Verb("shrinking", "shrinks", "shrink"), _Verb("getting smaller", "gets smaller", "get smaller"))
            return _act(_verb(wording, more if grows else less), "", plural)
        case Crosses(enters):
            into = (_Verb("coming", "comes", "come"), _Verb("moving", "moves", "move"))
            if enters:
                return _act(_verb(wording, into), wording.pick(("into view", "into the picture")), plural)
            out = (_Verb("leaving", "leaves", "leave"),)
            return _act(_verb(wording, out), wording.pick(("the picture", "the frame")), plural)
        case _:
            raise TypeError(f"no words for {claim!r}")


def _turning_way(clockwise: bool | None) -> str:
    return "" if clockwise is None else " clockwise" if clockwise else " counterclockwise"


def _anchor(anchor: Attributes, wording: Wording) -> str:
    return f"the {noun_phrase(anchor, wording)}"


def _adverb(direction: str, wording: Wording) -> str:
    return wording.pick(*_ADVERBS[direction])


def _go(direction: str | None, wording: Wording, plural: bool) -> Clause:
    if direction is None:
        return _act(_GO[0], "", plural)
    return _act(_verb(wording, _GO, _GO_HELD_OUT), _adverb(direction, wording), plural)


def _verb(wording: Wording, verbs: tuple[_Verb, ...], held_out: tuple[_Verb, ...] = ()) -> _Verb:
    by_name = {verb.participle: verb for verb in (*verbs, *held_out)}
    return by_name[wording.pick([verb.participle for verb in verbs], [verb.participle for verb in held_out])]


def _act(verb: _Verb, rest: str, plural: bool) -> Clause:
    finite = verb.plural if plural else verb.singular
    return Clause(f"{verb.participle} {rest}".strip(), f"{finite} {rest}".strip())


def _state(words: str, plural: bool) -> Clause:
    return Clause(words, f"{'are' if plural else 'is'} {words}")


def _join(first: Clause, second: Clause, conjunction: str) -> Clause:
    return Clause(
        f"{first.participle} {conjunction} {second.participle}", f"{first.finite} {conjunction} {second.finite}"
    )
