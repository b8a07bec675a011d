"""What a sentence claims of an object, judged with margins: yes, no, or too close to call."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ssa_stream.data.synthetic.truth import NO, UNSURE, YES, ClipTruth, Verdicts

__all__ = ["Attributes", "Described", "Either", "Predicate", "all_of", "only_match"]


class Predicate(Protocol):
    """A claim about one object of a clip; hashable and comparable by value."""

    def judge(self, truth: ClipTruth) -> Verdicts:
        """Judge the claim of every object, `(N,)` int8 of `YES`, `NO`, `UNSURE`."""
        ...


def all_of(verdicts: Sequence[Verdicts]) -> Verdicts:
    """Join verdicts by "and": one `NO` decides, else one `UNSURE` leaves it open."""
    stacked = np.stack(verdicts)
    open_or_yes = np.where((stacked == UNSURE).any(axis=0), UNSURE, YES)
    return np.where((stacked == NO).any(axis=0), NO, open_or_yes).astype(np.int8)


def only_match(predicate: Predicate, truth: ClipTruth) -> int | None:
    """Give the index of the one object that a claim holds for, None unless it is clearly one."""
    verdicts = predicate.judge(truth)
    matches = np.flatnonzero(verdicts != NO)
    return int(matches[0]) if len(matches) == 1 and verdicts[matches[0]] == YES else None


@dataclass(frozen=True, slots=True)
class Attributes:
    """The object is in the clip and looks like this; None leaves an attribute open."""

    shape: str | None = None
    colour: str | None = None
    texture: str | None = None
    size: str | None = None

    def judge(self, truth: ClipTruth) -> Verdicts:
        """Judge every object's looks; medium objects, and those that grow, are neither small nor large."""
        looks = [thing.appearance for thing in truth.scene.objects]
        claims = [truth.presence]
        for wanted, name in ((self.shape, "shape"), (self.colour, "colour"), (self.texture, "texture")):
            if wanted is not None:
                claims.append(np.array([YES if getattr(look, name) == wanted else NO for look in looks], np.int8))
        if self.size is not None:
            claims.append(np.array([_size_verdict(self.size, index, truth) for index in range(len(looks))], np.int8))
        return all_of(claims)

    @property
    def count(self) -> int:
        """How many attributes are given."""
        return sum(value is not None for value in (self.shape, self.colour, self.texture, self.size))


def _size_verdict(wanted: str, index: int, truth: ClipTruth) -> int:
    thing = truth.scene.objects[index]
    if thing.motion.pulse is not None:
        return UNSURE
    if thing.appearance.size == wanted:
        return YES
    return UNSURE if "medium" in (thing.appearance.size, wanted) else NO


@dataclass(frozen=True, slots=True)
class Described:
    """Looks, and what the object does and how it relates to others."""

    attributes: Attributes
    claims: tuple[Predicate, ...] = ()

    def judge(self, truth: ClipTruth) -> Verdicts:
        """Judge all parts together."""
        return all_of([self.attributes.judge(truth), *(claim.judge(truth) for claim in self.claims)])


@dataclass(frozen=True, slots=True)
class Either:
    """One object or another: "the red circle and the blue star"; open unless each half is clearly one object."""

    first: Described
    second: Described

    def judge(self, truth: ClipTruth) -> Verdicts:
        """Say yes of exactly the two objects meant."""
        verdicts = np.full(len(truth.scene.objects), NO, np.int8)
        pair = {only_match(self.first, truth), only_match(self.second, truth)}
        if None in pair or len(pair) < 2:
            verdicts[:] = UNSURE
        else:
            verdicts[[index for index in pair if index is not None]] = YES
        return verdicts
