"""What a viewer of one clip can see of each object: the ground truth that sentences are judged against.

`N` objects, `T` frames; lengths are in units of the frame's shorter side.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Final

import numpy as np
import numpy.typing as npt

from ssa_stream.data.synthetic.render import renderer
from ssa_stream.data.synthetic.scene import Scene
from ssa_stream.errors import ConfigError

__all__ = ["NO", "UNSURE", "YES", "ClipTruth", "MovementFacts", "ObservedClip", "Segment", "Verdicts", "observe"]

Floats = npt.NDArray[np.float64]
Verdicts = npt.NDArray[np.int8]
"""One of `YES`, `NO`, `UNSURE` for each object, `(N,)`."""

YES: Final = 1
NO: Final = 0
UNSURE: Final = -1

RESTING_STEP: Final = 0.0012
"""Shorter steps from frame to frame are rest."""
NEGLIGIBLE_TRAVEL: Final = 0.012
"""No viewer notices motion shorter than this."""
CLEAR_TRAVEL: Final = 0.06
"""Every viewer notices motion longer than this."""
_SEEN_FRACTION: Final = 0.35
_WRAP_STEP: Final = 0.3
_FEWEST_MOTION_FRAMES: Final = 4
_SAME_DIRECTION: Final = np.deg2rad(18.0)
_CURVED_TURN: Final = np.deg2rad(1.0)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of one clip in which an object rests (`heading` None) or moves one way (radians)."""

    heading: float | None
    travel: float
    num_steps: int


@dataclass(frozen=True)
class MovementFacts:
    """How one object moves while it is seen.

    `segments` are its clear stretches; `is_clear` is False if there are others besides, too short to
    count on; `turned` is the total turn of a curved path (radians, positive clockwise), else None.
    """

    steps: Floats  # (S, 2)
    angles: Floats  # (S + 1,)
    scales: Floats  # (S + 1,)
    segments: tuple[Segment, ...]
    is_clear: bool
    turned: float | None

    @cached_property
    def lengths(self) -> Floats:
        """Length of each step, `(S,)`."""
        return np.hypot(self.steps[:, 0], self.steps[:, 1])

    @property
    def travel(self) -> float:
        """Length of the whole path."""
        return float(self.lengths.sum())

    def travel_towards(self, heading: float, within: float = np.deg2rad(65.0)) -> float:
        """Length of the part of the path that leads roughly in a direction (radians)."""
        headings = np.arctan2(self.steps[:, 1], self.steps[:, 0])
        apart = np.abs(np.angle(np.exp(1j * (headings - heading))))
        return float(self.lengths[apart < within].sum())


@dataclass(frozen=True)
class ClipTruth:
    """Poses and visibility of every object in a clip."""

    scene: Scene
    t0: int
    poses: Floats  # (N, T, 4): x, y, angle, scale
    visible_px: npt.NDArray[np.int64]  # (N, T)
    in_frame: Floats  # (N, T), part of the object within the frame, whatever covers it, 0 to 1
    whole_px: Floats  # (N, T)

    def window(self, first: int, num_frames: int, *, backwards: bool = False) -> "ClipTruth":
        """What a shorter clip shows.

        Args:
            first: Its first frame, counted from this clip's.
            num_frames: Its length.
            backwards: Whether it is played backwards; `t0` then means nothing.
        """
        shown = slice(first, first + num_frames)
        order = slice(None, None, -1 if backwards else 1)
        return ClipTruth(
            self.scene,
            self.t0 + first,
            self.poses[:, shown][:, order],
            self.visible_px[:, shown][:, order],
            self.in_frame[:, shown][:, order],
            self.whole_px[:, shown][:, order],
        )

    def retimed(self, times: npt.NDArray[np.int64]) -> "ClipTruth":
        """What a clip would show whose objects go through these frames in times of their own.

        Args:
            times: Which of these frames each object is in, `(N, T)`.
        """
        rows = np.arange(len(times))[:, None]
        return ClipTruth(
            self.scene,
            self.t0,
            self.poses[rows, times],
            self.visible_px[rows, times],
            self.in_frame[rows, times],
            self.whole_px[rows, times],
        )

    @cached_property
    def seen(self) -> npt.NDArray[np.bool_]:
        """Whether enough of the object is visible to tell what it is, `(N, T)`."""
        return self.visible_px >= np.maximum(_SEEN_FRACTION * self.whole_px, 1.0)

    @cached_property
    def presence(self) -> Verdicts:
        """Whether the object is in the clip at all, `(N,)`."""
        glimpsed = np.where(self.visible_px.sum(axis=1) > 0, UNSURE, NO)
        return np.where(self.seen.any(axis=1), YES, glimpsed).astype(np.int8)

    @cached_property
    def movements(self) -> tuple[MovementFacts | None, ...]:
        """How each object moves; None where the clip shows too little of it to tell."""
        visible = self.visible_px > 0
        return tuple(_movement(*parts) for parts in zip(self.poses, self.seen, visible, strict=True))


@dataclass(frozen=True)
class ObservedClip:
    """A rendered clip: `frames` `(T, H, W, 3)` uint8, visible `masks` `(N, T, H, W)` bool, and its truth."""

    frames: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.bool_]
    truth: ClipTruth


def observe(scene: Scene, t0: int, num_frames: int) -> ObservedClip:
    """Render frames `t0` to `t0 + num_frames - 1` and measure what they show.

    Raises:
        ConfigError: If `num_frames` is not positive or `t0` is negative.
    """
    if num_frames < 1:
        raise ConfigError(f"num_frames is {num_frames}; expected 1 or more")
    draw = renderer(scene)
    drawn = [draw.frame(t) for t in range(t0, t0 + num_frames)]
    masks = np.stack([labels.masks for _, labels in drawn], axis=1)
    whole = np.stack([labels.whole_px for _, labels in drawn], axis=1)
    in_frame = np.stack([labels.in_frame_px for _, labels in drawn], axis=1) / np.maximum(whole, 1.0)
    visible = np.count_nonzero(masks, axis=(2, 3)).astype(np.int64)
    truth = ClipTruth(scene, t0, scene.trajectories(t0, num_frames), visible, np.minimum(in_frame, 1.0), whole)
    return ObservedClip(np.stack([image for image, _ in drawn]), masks, truth)


def _movement(poses: Floats, seen: npt.NDArray[np.bool_], visible: npt.NDArray[np.bool_]) -> MovementFacts | None:
    num_seen, when = np.count_nonzero(seen), np.flatnonzero(visible)
    if num_seen < _FEWEST_MOTION_FRAMES:
        return None
    first, last = int(when[0]), int(when[-1])
    span = last - first + 1
    if span < 0.5 * len(seen) or num_seen < 0.6 * span:
        return None
    poses = poses[first : last + 1]
    steps = np.diff(poses[:, :2], axis=0)
    if np.hypot(steps[:, 0], steps[:, 1]).max() > _WRAP_STEP:
        return None  # it left on one side and came back on the other
    turned = _turned(steps)
    segments, is_clear = ((), False) if turned is not None else _segments(steps)
    return MovementFacts(steps, poses[:, 2], poses[:, 3], segments, is_clear, turned)


def _turned(steps: Floats) -> float | None:
    moving = steps[np.hypot(steps[:, 0], steps[:, 1]) > RESTING_STEP]
    if len(moving) < 3:
        return None
    before, after = moving[:-1], moving[1:]
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    turns = np.arctan2(cross, (before * after).sum(axis=1))
    return float(turns.sum()) if np.median(np.abs(turns)) > _CURVED_TURN else None


def _segments(steps: Floats) -> tuple[tuple[Segment, ...], bool]:
    """Cut a path of straight stretches and rests; the flag says whether every stretch is clear."""
    runs = _runs(steps)
    # A step across a change of direction belongs to neither side.
    runs = [run for i, run in enumerate(runs) if run.num_steps > 1 or i in (0, len(runs) - 1)]
    merged: list[Segment] = []
    for run in runs:
        if run.num_steps == 1 and run.travel < NEGLIGIBLE_TRAVEL:
            continue
        if merged and _alike(merged[-1].heading, run.heading):
            last = merged.pop()
            run = Segment(last.heading, last.travel + run.travel, last.num_steps + run.num_steps)
        merged.append(run)
    shortest_rest = max(2, ceil(0.18 * len(steps)))
    clear = [
        run
        for run in merged
        if (run.travel >= CLEAR_TRAVEL if run.heading is not None else run.num_steps >= shortest_rest)
    ]
    return tuple(clear), len(clear) == len(merged)


def _runs(steps: Floats) -> list[Segment]:
    runs: list[Segment] = []
    for x, y in steps:
        length = float(np.hypot(x, y))
        heading = None if length < RESTING_STEP else float(np.arctan2(y, x))
        if runs and _alike(runs[-1].heading, heading):
            last = runs.pop()
            runs.append(Segment(last.heading, last.travel + length, last.num_steps + 1))
        else:
            runs.append(Segment(heading, length, 1))
    return runs


def _alike(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return bool(abs(np.angle(np.exp(1j * (first - second)))) < _SAME_DIRECTION)
