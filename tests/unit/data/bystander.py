"""A second, plain judge of sentences: no margins, no third verdict, and none of the library's code for it."""

import numpy as np
import numpy.typing as npt

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
from ssa_stream.data.synthetic.predicates import Attributes, Described, Either, Predicate
from ssa_stream.data.synthetic.relations import Approaches, Beside, Extreme, Nearest, Overtakes
from ssa_stream.data.synthetic.scene import Scene

DEGREES = {
    "right": 0,
    "down-right": 45,
    "down": 90,
    "down-left": 135,
    "left": 180,
    "up-left": 225,
    "up": 270,
    "up-right": 315,
}


class Bystander:
    """Says of each object whether a description fits, from positions and visible masks.

    Args:
        scene: The scene.
        t0: First frame.
        masks: Visible masks, `(N, T, H, W)`.
    """

    def __init__(self, scene: Scene, t0: int, masks: npt.NDArray[np.bool_]) -> None:
        self.scene = scene
        self.poses = scene.trajectories(t0, masks.shape[1])
        self.pixels = masks.sum(axis=(2, 3))
        looks = [thing.appearance for thing in scene.objects]
        self.radii = np.array([look.radius for look in looks])[:, None] * self.poses[..., 3]
        # A third of the shape's area, taken as 1.6 radii squared (a moon has least, a square most).
        self.seen = self.pixels > 0.33 * 1.6 * (self.radii * scene.unit_px) ** 2

    def targets(self, described: Described | Either) -> set[int]:
        """Give the ids of the objects that the description fits."""
        ids = self.scene.ids
        return {ids[index] for index in range(len(ids)) if self.fits(described, index)}

    def fits(self, claim: Predicate, i: int) -> bool:
        """Say whether a claim holds for one object."""
        match claim:
            case Either(first, second):
                return self.fits(first, i) or self.fits(second, i)
            case Described(attributes, claims):
                return self.fits(attributes, i) and all(self.fits(part, i) for part in claims)
            case Attributes():
                look = self.scene.objects[i].appearance
                names = ("shape", "colour", "texture", "size")
                wanted = {name: getattr(claim, name) for name in names if getattr(claim, name) is not None}
                return bool(self.pixels[i].any()) and all(getattr(look, name) == wanted[name] for name in wanted)
            case Beside() | Nearest() | Extreme() | Overtakes() | Approaches():
                return self._relates(claim, i)
            case _:
                return self._moves(claim, i)

    def _the(self, attributes: Attributes) -> int:
        matches = [i for i in range(len(self.poses)) if self.fits(attributes, i)]
        assert len(matches) == 1, f"the anchor {attributes} is not one object"
        return matches[0]

    def _span(self, i: int) -> npt.NDArray[np.float64]:
        when = np.flatnonzero(self.pixels[i])
        return self.poses[i, when[0] : when[-1] + 1] if len(when) else self.poses[i, :0]

    def _moves(self, claim: Predicate, i: int) -> bool:
        poses = self._span(i)
        if len(poses) < 2:
            return False
        steps = np.diff(poses[:, :2], axis=0)
        lengths = np.hypot(*steps.T)
        going = lengths > 0.012  # a pixel and a half
        headings = np.degrees(np.arctan2(steps[:, 1], steps[:, 0]))

        def towards(direction: str | None, part: slice = slice(None)) -> bool:
            apart = np.abs((headings[part] - DEGREES[direction or "up"] + 180) % 360 - 180)
            along = np.count_nonzero((apart < 45) & going[part])
            return bool(direction is None or 2 * along > np.count_nonzero(going[part]))

        match claim:
            case Moving(direction):
                return bool(lengths.sum() > 0.03 and towards(direction))
            case Resting():
                return bool(lengths.sum() < 0.03)
            case Stops(direction):
                return bool(going.any() and not going[-2:].any() and towards(direction))
            case Starts(direction):
                return bool(going.any() and not going[:2].any() and towards(direction))
            case Pauses():
                rests = np.flatnonzero(~going)
                return bool(len(rests) > 1 and going[: rests[0]].any() and going[rests[0] :].any())
            case Turns(first, second):
                cuts = range(1, len(steps))
                return any(towards(first, slice(0, cut)) and towards(second, slice(cut, None)) for cut in cuts)
            case Circles(clockwise):
                turn = np.sum((np.diff(headings) + 180) % 360 - 180)
                smooth = np.median(np.abs((np.diff(headings) + 180) % 360 - 180)) > 0.5
                return bool(smooth and abs(turn) > 150 and clockwise in (None, turn > 0))
            case Spins(clockwise):
                angle = poses[-1, 2] - poses[0, 2]
                return bool(abs(angle) > 0.4 and clockwise in (None, angle > 0))
            case Resizes(grows):
                return bool(poses[-1, 3] > 1.15 * poses[0, 3] if grows else poses[0, 3] > 1.15 * poses[-1, 3])
            case Crosses(enters):
                first, last = self.pixels[i, [0, -1]] if enters else self.pixels[i, [-1, 0]]
                return bool(first < 0.35 * last and self._at_border(i, 0 if enters else -1))
        raise TypeError(f"{claim!r} is not known")

    def _at_border(self, i: int, t: int) -> bool:
        x, y, _, _ = self.poses[i, t] * self.scene.unit_px
        reach = 1.0 * self.radii[i, t] * self.scene.unit_px
        return bool(min(x, y, self.scene.width - x, self.scene.height - y) < reach)

    def _relates(self, claim: Predicate, i: int) -> bool:
        places = self.poses[..., :2]
        if isinstance(claim, Extreme):
            members = [k for k in range(len(places)) if self.fits(claim.among, k)]
            paths = [np.diff(self._span(k)[:, :2], axis=0) for k in members]
            scores = {
                "biggest": self.radii.mean(axis=1)[members],
                "smallest": -self.radii.mean(axis=1)[members],
                "leftmost": -places[members, :, 0].mean(axis=1),
                "rightmost": places[members, :, 0].mean(axis=1),
                "topmost": -places[members, :, 1].mean(axis=1),
                "bottommost": places[members, :, 1].mean(axis=1),
                "fastest": np.array([np.hypot(*path.T).mean() if len(path) else 0.0 for path in paths]),
            }[claim.kind]
            return i == members[int(np.argmax(scores))]
        assert isinstance(claim, Beside | Nearest | Overtakes | Approaches)
        anchor = self._the(claim.anchor)
        if i == anchor:
            return False
        both = self.seen[i] & self.seen[anchor]
        offsets = (places[i] - places[anchor])[both]
        if not len(offsets):
            return False
        match claim:
            case Beside(side, _):
                axis, sign = {"left": (0, -1), "right": (0, 1), "above": (1, -1), "below": (1, 1)}[side]
                return bool((offsets[:, axis] * sign > 0).all())
            case Nearest(among, _, farthest):
                members = [k for k in range(len(places)) if k != anchor and self.fits(among, k)]
                far = np.hypot(*(places[members] - places[anchor]).mean(axis=1).T) * (1 if farthest else -1)
                return i == members[int(np.argmax(far))]
            case Overtakes():
                ahead = self._span(anchor)[-1, :2] - self._span(anchor)[0, :2]
                return bool(offsets[0] @ ahead < 0 < offsets[-1] @ ahead)
            case _:
                return bool(np.hypot(*offsets[-1]) < np.hypot(*offsets[0]) - 0.1)
