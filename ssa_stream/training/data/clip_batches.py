"""Batches of clips, each a pure function of the run's seed and the step: what makes a run resumable at any step."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ssa_stream.errors import ConfigError
from ssa_stream.model.clip import tokenize
from ssa_stream.training.config.data import MevisData
from ssa_stream.training.config.stages import SegmentStage
from ssa_stream.training.data.batch import ClipBatch, TrainingClip, collate_clips
from ssa_stream.training.data.mevis_clips import MevisClips
from ssa_stream.training.data.synthetic_clips import SyntheticClips
from ssa_stream.training.tiny.clip.unknown_words import some_with_unknown_words

__all__ = ["ClipBatches", "ClipSource", "open_source"]

_LENGTH_STREAM, _UNKNOWN_STREAM = 105, 113
_CLIPS_PER_STAGE = 100_000_000


class ClipSource(Protocol):
    """Numbered training clips."""

    def clip(self, index: int, num_frames: int) -> TrainingClip:
        """Make clip `index`; equal arguments give the same clip."""


def open_source(stage: SegmentStage, seed: int, stage_number: int) -> ClipSource:
    """Open a stage's data.

    Raises:
        ConfigError: The data is not there.
    """
    if isinstance(stage.data, MevisData):
        return MevisClips(stage.data, seed)
    return SyntheticClips(stage.data, seed, offset=stage_number * _CLIPS_PER_STAGE)


class ClipBatches(torch.utils.data.Dataset[ClipBatch]):
    """Batch number `step` of one device.

    Args:
        stage: Sizes and data.
        source: The clips.
        seed: Seed of the run.
        context_length: Of the text tower.
        rank: Number of this device.
        world_size: Number of devices; they share a step's batch.
    Raises:
        ConfigError: The batch cannot be shared evenly.
    """

    def __init__(
        self,
        stage: SegmentStage,
        source: ClipSource,
        seed: int,
        context_length: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if stage.batch % world_size:
            raise ConfigError(f"stage {stage.name}: batch {stage.batch} cannot be shared by {world_size} devices")
        self._stage, self._source, self._seed, self._context = stage, source, seed, context_length
        self._rank, self._local = rank, stage.batch // world_size

    def __len__(self) -> int:
        return self._stage.steps

    def __getitem__(self, step: int) -> ClipBatch:
        fewest, most = self._stage.frame_range
        length = int(np.random.default_rng([self._seed, _LENGTH_STREAM, step]).integers(fewest, most + 1))
        first = step * self._stage.batch + self._rank * self._local
        numbers = range(first, first + self._local)
        clips = [self._source.clip(number, length) for number in numbers]
        tokens = [self._tokens(clip, number) for clip, number in zip(clips, numbers, strict=True)]
        return collate_clips(clips, torch.cat(tokens))

    def _tokens(self, clip: TrainingClip, number: int) -> Tensor:
        tokens = tokenize([sentence.text for sentence in clip.sentences], self._context)
        rng = np.random.default_rng([self._seed, _UNKNOWN_STREAM, number])
        return some_with_unknown_words(tokens, self._stage.unknown_words, rng)
