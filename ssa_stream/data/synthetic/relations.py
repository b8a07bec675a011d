"""Claims about an object in relation to others; all must hold throughout the clip."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ssa_stream.data.synthetic.predicates import Attributes, only_match
from ssa_stream.data.synthetic.truth import CLEAR_TRAVEL, NEGLIGIBLE_TRAVEL, NO, UNSURE, YES, ClipTruth, Verdicts

__all__ = ["SIDES", "SUPERLATIVES", "Approaches", "Beside", "Extreme", "Nearest", "Overtakes"]

SIDES: Final[dict[str, tuple[int, float]]] = {
    "left": (0, -1.0),
    "right": (0, 1.0),
    "above": (1, -1.0),
    "below": (1, 1.0),
}
"""Axis and sign of each side."""
SUPERLATIVES: Final = ("biggest", "smallest", "leftmost", "rightmost", "topmost", "bottommost", "fastest")

_FEWEST_FRAMES: Final = 0.6
_EXTREMES: Final = dict(zip(("leftmost", "rightmost", "topmost", "bottommost"), SIDES.values(), strict=True))

Floats = npt.NDArray[np.float64]


def _open(truth: ClipTruth, verdict: int = UNSURE) -> Verdicts:
    return np.full(len(truth.scene.objects), verdict, np.int8)


def _seen_together(truth: ClipTruth, indices: list[int]) -> npt.NDArray[np.bool_] | None:
    """Give the frames `(T,)` in which something of all the objects is visible, None if they are seen too seldom."""
    if truth.seen[indices].all(axis=0).mean() < _FEWEST_FRAMES:
        return None
    return np.asarray((truth.visible_px[indices] > 0).all(axis=0), np.bool_)


def _against_anchor(truth: ClipTruth, anchor: Attributes) -> tuple[Verdicts, int | None]:
    """Start verdicts: open for those that are there, no for those that are not and for the anchor itself."""
    verdicts = np.where(truth.presence == NO, NO, UNSURE).astype(np.int8)
    index = only_match(anchor, truth)
    if index is not None:
        verdicts[index] = NO
    return verdicts, index


@dataclass(frozen=True, slots=True)
class Beside:
    """It is on one side of the anchor."""

    side: str
    anchor: Attributes

    def judge(self, truth: ClipTruth) -> Verdicts:
        """Judge every object while both are seen."""
        verdicts, anchor = _against_anchor(truth, self.anchor)
        axis, sign = SIDES[self.side]
        for index in np.flatnonzero(verdicts == UNSURE) if anchor is not None else ():
            together = _seen_together(truth, [int(index), int(anchor or 0)])
            if together is None:
                continue
            offset = (truth.poses[index, together, :2] - truth.poses[anchor, together, :2]) * sign
            along, across = offset[:, axis], np.abs(offset[:, 1 - axis])
            if (along < -0.01).all():
                verdicts[index] = NO
            elif (along > 0.07).all() and (along > 0.5 * across).all():
                verdicts[index] = YES
        return verdicts


@dataclass(frozen=True, slots=True)
class Nearest:
    """Of the objects of a kind, it is the nearest to (or the farthest from) the anchor."""

    among: Attributes
    anchor: Attributes
    farthest: bool = False

    def judge(self, truth: ClipTruth) -> Verdicts:
        """Judge the objects of the kind; open unless one is clearly nearest in every frame."""
        anchor = only_match(self.anchor, truth)
        if anchor is None:
            return _open(truth)
        offsets = truth.poses[:, :, :2] - truth.poses[anchor, :, :2]
        distances = np.hypot(offsets[..., 0], offsets[..., 1])
        scores = -np.log(np.maximum(distances, 1e-3)) * (-1.0 if self.farthest else 1.0)
        return _best(truth, self.among, scores, margin=float(np.log(1.3)), also=anchor)


@dataclass(frozen=True, slots=True)
class Extreme:
    """Of the objects of a kind, it is the biggest, the leftmost, the fastest and so on."""

    kind: str
    among: Attributes

    def judge(self, truth: ClipTruth) -> Verdicts:
        """Judge the objects of the kind; open unless one stands out in every frame."""
        if self.kind in _EXTREMES:
            axis, sign = _EXTREMES[self.kind]
            return _best(truth, self.among, truth.poses[..., axis] * sign, margin=0.08)
        if self.kind == "fastest":
            return _best(truth, self.among, _speeds(truth), margin=float(np.log(1.6)))
        sign = 1.0 if self.kind == "biggest" else -1.0
        radii = np.array([thing.appearance.radius for thing in truth.scene.objects])[:, None] * truth.poses[..., 3]
        by_radius = _best(truth, self.among, sign * np.log(radii), margin=float(np.log(1.22)))
        area = np.log(np.maximum(truth.whole_px, 1.0)) / 2.0
        by_area = _best(truth, self.among, sign * area, margin=float(np.log(1.12)))
        return np.where(by_radius == by_area, by_radius, UNSURE).astype(np.int8)


def _speeds(truth: ClipTruth) -> Floats:
    """Give the log of each object's mean speed, NaN where it cannot be told, `(N, T)`."""
    speeds = [np.nan if facts is None else facts.travel / len(facts.steps) for facts in truth.movements]
    if truth.movements and max((facts.travel for facts in truth.movements if facts), default=0.0) < CLEAR_TRAVEL:
        speeds = [np.nan] * len(speeds)
    logs = np.log(np.maximum(np.array(speeds), 1e-4))
    return np.repeat(logs[:, None], truth.seen.shape[1], axis=1)


def _best(truth: ClipTruth, among: Attributes, scores: Floats, margin: float, also: int | None = None) -> Verdicts:
    """Say yes of the member with the highest score, `(N, T)`, if it leads by a margin in every frame."""
    member = among.judge(truth)
    if also is not None:
        member[also] = NO
    verdicts = np.where(member == NO, NO, UNSURE).astype(np.int8)
    members = [int(index) for index in np.flatnonzero(member == YES)]
    together = _seen_together(truth, members if also is None else [*members, also])
    if (member == UNSURE).any() or len(members) < 2 or together is None:
        return verdicts
    ranked = scores[members][:, together]
    leader = int(np.argmax(ranked[:, 0]))
    others = np.delete(ranked, leader, axis=0).max(axis=0)
    if (ranked[leader] - others >= margin).all():
        verdicts[members] = NO
        verdicts[members[leader]] = YES
    return verdicts


@dataclass(frozen=True, slots=True)
class Overtakes:
    """It moves the same way as the anchor, from behind it to ahead of it."""

    anchor: Attributes

    def judge(self, truth: ClipTruth) -> Verdicts:
        """Judge every object; open unless the anchor moves straight."""
        verdicts, anchor = _against_anchor(truth, self.anchor)
        other = None if anchor is None else truth.movements[anchor]
        if anchor is None or other is None or not other.is_clear or len(other.segments) != 1:
            return verdicts
        heading = other.segments[0].heading
        if heading is None:
            return np.where(truth.presence == UNSURE, UNSURE, NO).astype(np.int8)
        ahead = np.array([np.cos(heading), np.sin(heading)])
        for index in np.flatnonzero(verdicts == UNSURE):
            facts, together = truth.movements[index], _seen_together(truth, [int(index), anchor])
            if facts is None or together is None:
                continue
            offset = truth.poses[index, together, :2] - truth.poses[anchor, together, :2]
            lead = offset @ ahead
            aside = float(np.abs(offset @ np.array([-ahead[1], ahead[0]])).max())
            never = bool((lead > 0.02).all() or (lead < -0.02).all() or lead[-1] < lead[0])
            if facts.travel_towards(heading) < NEGLIGIBLE_TRAVEL or never:
                verdicts[index] = NO
            elif lead[0] < -0.05 and lead[-1] > 0.05 and aside < 0.5:
                along = facts.travel_towards(heading, within=float(np.deg2rad(25.0))) > 0.9 * facts.travel
                verdicts[index] = YES if along else UNSURE
        return verdicts


@dataclass(frozen=True, slots=True)
class Approaches:
    """It moves straight towards the anchor."""

    anchor: Attributes

    def judge(self, truth: ClipTruth) -> Verdicts:
        """Judge every object."""
        verdicts, anchor = _against_anchor(truth, self.anchor)
        for index in np.flatnonzero(verdicts == UNSURE) if anchor is not None else ():
            facts, together = truth.movements[index], _seen_together(truth, [int(index), int(anchor or 0)])
            if facts is None or together is None:
                continue
            way = truth.poses[anchor, together, :2] - truth.poses[index, together, :2]
            distance = np.hypot(way[:, 0], way[:, 1])
            if facts.travel < NEGLIGIBLE_TRAVEL or distance[-1] > distance[0] + 0.02:
                verdicts[index] = NO
            elif facts.is_clear and len(facts.segments) == 1 and distance[-1] < distance[0] - 0.15:
                off = np.arctan2(way[:, 1], way[:, 0]) - (facts.segments[0].heading or 0.0)
                straight = (np.abs(np.angle(np.exp(1j * off[:-1]))) < np.deg2rad(25.0)).all()
                verdicts[index] = YES if straight and distance.min() > 0.05 else UNSURE
        return verdicts
