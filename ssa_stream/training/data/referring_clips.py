"""Training clips of public data sets: one sentence each, frames around a reference frame, augmented together."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import ConfigError
from ssa_stream.training.data.augmentation import AugmentedClip, augment_clip, sample_frames
from ssa_stream.training.data.batch import BrokenSample, Sentence, TrainingClip
from ssa_stream.training.data.mixture import Mixture
from ssa_stream.training.data.samples import Sample, open_sets
from ssa_stream.training.data.settings import ReferringSets

__all__ = ["ReferringClips"]

_CLIP_STREAM, _REPLACEMENT_STREAM = 112, 114
_MOST_TRIES: Final = 20
"""For one clip. If a share of 0.2 of all samples is broken, one clip in 10^14 needs more."""


class ReferringClips:
    """Numbered clips: each set is gone through as a whole, in a new order, before a sample comes again.

    A broken sample is replaced by another of its set, drawn by the clip's number, so that a clip stays a pure function
    of seed and number as long as the files stay the same.

    Args:
        data: Sets and augmentation.
        seed: Seed of the run.
        stage: The stage's name, for messages.
        stage_number: Stages see their samples in different orders.
    Raises:
        ConfigError: A data set is not there or not in its format, or has nothing to train on.
    """

    def __init__(self, data: ReferringSets, seed: int, stage: str, stage_number: int = 0) -> None:
        self._data, self._seed, self._stage = data, (seed, stage_number), stage
        self._sets = open_sets(data, stage)
        sizes = [len(samples) for samples in self._sets]
        self._mixture = Mixture(sizes, [part.weight for part in data.sets], self._seed)
        self._most_broken = int(data.broken_share * sum(sizes))

    def clip(self, index: int, num_frames: int) -> TrainingClip:
        """Make one clip; see `ClipSource.clip`.

        Raises:
            ConfigError: One sample after the other is broken.
        """
        broken: list[BrokenSample] = []
        number, position = self._mixture[index]
        while len(broken) < _MOST_TRIES:
            sample = self._sets[number][position]
            try:
                clip = self._make(sample, num_frames, self._rng(_CLIP_STREAM, index, len(broken)))
            except ConfigError as error:
                broken.append(BrokenSample(str(sample), str(error), self._most_broken))
                position = int(self._rng(_REPLACEMENT_STREAM, index, len(broken)).integers(len(self._sets[number])))
            else:
                return clip._replace(broken=tuple(broken))
        last = broken[-1]
        raise ConfigError(
            f"stage {self._stage}: {_MOST_TRIES} samples in a row are broken, the last one {last.sample}: {last.reason}"
        )

    def _rng(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([*self._seed, *stream])

    def _make(self, sample: Sample, num_frames: int, rng: np.random.Generator) -> TrainingClip:
        """Read and augment; objects that are in no frame of the clip are left out."""
        video, expression = sample.video, sample.expression
        candidates = np.arange(len(video.frames)) if expression.annotated is None else np.array(expression.annotated)
        chosen = sample_frames(candidates, num_frames, self._data.frame_range, rng, sample.frame)
        clip = augment_clip(
            _read(sample, chosen),
            sample.text,
            self._data,
            rng,
            is_pseudo_video=len(video.frames) == 1 and num_frames > 1,
        )
        masks = clip.masks[clip.masks.any(axis=(1, 2, 3))]
        return TrainingClip(clip.frames, (Sentence(sample.text, masks),))


def _read(sample: Sample, chosen: NDArray[np.int64]) -> AugmentedClip:
    distinct, back = np.unique(chosen, return_inverse=True)
    frames = sample.data.frames(sample.video.name, distinct.tolist())
    masks = sample.data.masks(sample.video.name, sample.expression, distinct.tolist())
    if masks.shape[1:] != frames.shape[:3]:
        raise ConfigError(
            f"masks of {sample} are of {masks.shape[3]}x{masks.shape[2]} pixels; expected "
            f"{frames.shape[2]}x{frames.shape[1]}, the size of the frames"
        )
    return AugmentedClip(frames[back], masks[:, back])
