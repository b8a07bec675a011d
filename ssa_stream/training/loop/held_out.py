"""The held-out part of a public data set that progress is judged on: short clips, the same each time."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ssa_stream.evaluation import Sentence, VideoEntry
from ssa_stream.training.data.samples import Sample, SampleIndex

__all__ = ["HeldOutClips"]

_CHOICE_SEED: Final = 0
_FPS: Final = 12.0
"""Offline evaluation does not depend on it."""


class HeldOutClips:
    """Clips of a data set, as `evaluation.EvaluationData`; one sentence each.

    Args:
        samples: All there are.
        most: How many clips to take; the same ones each time.
        num_frames: Longest clip.
        name: What the report calls them.
    """

    fps = _FPS

    def __init__(self, samples: SampleIndex, most: int, num_frames: int, name: str) -> None:
        self.name, self._num_frames = name, num_frames
        chosen = np.sort(np.random.default_rng(_CHOICE_SEED).permutation(len(samples))[:most])
        self._samples = {str(number): samples[int(number)] for number in chosen}
        self.videos = [
            VideoEntry(number, (Sentence(sample.expression.expression_id, sample.text),))
            for number, sample in self._samples.items()
        ]

    def frames(self, video: str, indices: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """See `EvaluationData`; a clip's frames are counted from its first one."""
        sample = self._samples[video]
        chosen = self._chosen(sample)
        return sample.data.frames(sample.video.name, chosen if indices is None else [chosen[i] for i in indices])

    def targets(self, video: str, expression_id: str) -> NDArray[np.bool_]:
        """See `EvaluationData`."""
        sample = self._samples[video]
        return sample.data.masks(sample.video.name, sample.expression, self._chosen(sample))

    def _chosen(self, sample: Sample) -> list[int]:
        """The annotated frame, or frames in a row from the middle of the video."""
        if sample.frame is not None:
            return [sample.frame]
        total = len(sample.video.frames)
        first = max(0, (total - self._num_frames) // 2)
        return list(range(first, min(total, first + self._num_frames)))
