"""Scores of clips, each being one sentence about one video: J, F, J&F, streaming J&F, and presence of the target."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import ConfigError
from ssa_stream.metrics.boundary import boundary_accuracy
from ssa_stream.metrics.masks import Masks, areas, check_masks, check_pair

__all__ = [
    "ClipKey",
    "FrameScores",
    "JAndF",
    "TargetPresence",
    "mean_scores",
    "region_similarity",
    "score_clip",
    "score_frames",
    "shown_masks",
    "streaming_j_and_f",
    "target_presence",
]

_ROUNDING_S = 1e-9


def region_similarity(predicted: Masks, target: Masks) -> NDArray[np.float64]:
    """Intersection over union of each frame; 1 where both masks are empty.

    Args:
        predicted: `(T, H, W)` bool.
        target: The same shape.
    Returns:
        `(T,)`, 0..1.
    Raises:
        ShapeError: Shapes or types are others.
    Source: DAVIS 2017, `db_eval_iou`.
    """
    predicted, target = check_pair(predicted, target)
    common = areas(predicted & target)
    union = areas(predicted) + areas(target) - common
    return np.where(union == 0, 1.0, common / np.maximum(union, 1))


class ClipKey(NamedTuple):
    """What identifies a clip: sentences of different videos may have the same id."""

    video: str
    expression_id: str


class JAndF(NamedTuple):
    """Region similarity and boundary accuracy, 0..1 each."""

    j: float
    f: float

    @property
    def j_and_f(self) -> float:
        """Their mean."""
        return (self.j + self.f) / 2


class FrameScores(NamedTuple):
    """J and F of each frame, `(T,)` each."""

    j: NDArray[np.float64]
    f: NDArray[np.float64]

    def mean(self) -> JAndF:
        """Mean over the frames."""
        return JAndF(float(self.j.mean()), float(self.f.mean()))


def score_frames(predicted: Masks, target: Masks) -> FrameScores:
    """J and F of each frame, see `region_similarity` and `boundary_accuracy`.

    Args:
        predicted: Union of all that was found, `(T, H, W)` bool.
        target: Union of all that the sentence means, the same shape.
    Raises:
        ShapeError: Shapes or types are others.
    """
    return FrameScores(region_similarity(predicted, target), boundary_accuracy(predicted, target))


def score_clip(predicted: Masks, target: Masks) -> JAndF:
    """J and F of a clip, the means over its frames (the MeViS protocol); arguments as for `score_frames`."""
    return score_frames(predicted, target).mean()


def mean_scores(scores: Mapping[ClipKey, JAndF]) -> JAndF:
    """Means over clips; every clip counts the same, whatever its length.

    Raises:
        ConfigError: There are none.
    """
    if not scores:
        raise ConfigError("no clips were scored; expected at least one")
    return JAndF(*(float(np.mean(column)) for column in zip(*scores.values(), strict=True)))


class TargetPresence(NamedTuple):
    """Whether one sentence's target is in one clip, and whether anything was found.

    Attributes:
        right_frames: Share of the frames in which prediction and target are both empty or both not.
        expected: Whether the target is in any frame.
        found: Whether anything was found in any frame.
    """

    right_frames: float
    expected: bool
    found: bool


def target_presence(predicted: Masks, target: Masks) -> TargetPresence:
    """Compare where masks are empty.

    Args:
        predicted: Union of all that was found, `(T, H, W)` bool.
        target: Union of all that the sentence means, the same shape.
    Raises:
        ShapeError: Shapes or types are others.
    """
    predicted, target = check_pair(predicted, target)
    found, expected = predicted.any(axis=(1, 2)), target.any(axis=(1, 2))
    return TargetPresence(float((found == expected).mean()), bool(expected.any()), bool(found.any()))


def shown_masks(emitted_at_s: Sequence[float], num_frames: int, fps: float, eta: float = 0.0) -> list[int | None]:
    """Which mask each frame is compared with: frame `i` with the last one emitted by `(i - eta) / fps`.

    Args:
        emitted_at_s: When each mask came out, ascending, on the clock on which frame `i` is captured at `i / fps`.
        num_frames: Frames of the stream.
        fps: Frames per second.
        eta: Frames by which masks must come out before the frame they are compared with; negative gives them grace.
    Returns:
        For each frame the index of a mask, None where none was out.
    Raises:
        ConfigError: `fps` is not positive or times do not ascend.
    """
    if not 0 < fps < float("inf"):
        raise ConfigError(f"fps is {fps}; expected a positive number")
    if any(later < earlier for earlier, later in pairwise(emitted_at_s)):
        raise ConfigError("emission times go back; expected the masks in the order in which they came out")
    out = [bisect_right(emitted_at_s, (i - eta) / fps + _ROUNDING_S) for i in range(num_frames)]
    return [count - 1 if count else None for count in out]


def streaming_j_and_f(
    masks: Masks, emitted_at_s: Sequence[float], target: Masks, fps: float, eta: float = 0.0
) -> JAndF:
    """Streaming J and F, sJ&F(eta, fps): each frame against `shown_masks`, an empty mask where there is none.

    Args:
        masks: Emitted masks, `(K, H, W)` bool.
        emitted_at_s: When each came out, ascending, `K` times.
        target: Target of every frame, `(T, H, W)` bool.
        fps: Frames per second.
        eta: See `shown_masks`.
    Raises:
        ConfigError: See `shown_masks`, or the number of times is another than that of masks.
        ShapeError: Shapes or types are others.
    """
    check_masks(masks, "emitted masks")
    check_masks(target, "target masks")
    if len(masks) != len(emitted_at_s):
        raise ConfigError(f"{len(masks)} masks and {len(emitted_at_s)} times; expected one time a mask")
    seen = np.zeros((len(target), *masks.shape[1:]), np.bool_)
    for i, k in enumerate(shown_masks(emitted_at_s, len(target), fps, eta)):
        if k is not None:
            seen[i] = masks[k]
    return score_clip(seen, target)
