"""J, F and J&F of clips, each clip being one sentence about one video."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import ConfigError
from ssa_stream.metrics.boundary import boundary_accuracy
from ssa_stream.metrics.masks import Masks
from ssa_stream.metrics.region import region_similarity

__all__ = ["ClipKey", "FrameScores", "JAndF", "mean_scores", "score_clip", "score_frames"]


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
