"""Batches of clips, each a pure function of the run's seed and the step: what makes a run resumable at any step."""

from typing import Protocol, TypeVar

import numpy as np
import torch

from ssa_stream.errors import ConfigError
from ssa_stream.model.clip import tokenize
from ssa_stream.training.config import ClipsStage, SegmentStage, Stage
from ssa_stream.training.data.batch import ClipBatch, TrainingClip, collate_clips
from ssa_stream.training.data.referring_clips import ReferringClips
from ssa_stream.training.data.settings import ReferringSets
from ssa_stream.training.data.synthetic_clips import SyntheticClips

__all__ = ["ClipBatches", "ClipSource", "StepBatches", "first_clip", "open_clips", "share_of_batch", "step_seed"]

Batch = TypeVar("Batch", covariant=True)
_LENGTH_STREAM = 105
_CLIPS_PER_STAGE = 100_000_000


def step_seed(seed: int, stage: int, step: int, rank: int) -> int:
    """Seed for torch at the beginning of a step (dropout, points), so that a resumed run needs no generator's state.

    Args:
        seed: Of the run.
        stage: Number of the stage.
        step: Steps done in the stage.
        rank: Number of the device.
    """
    return int(np.random.SeedSequence([seed, stage, step, rank]).generate_state(1, np.uint64)[0])


def share_of_batch(stage: Stage, world_size: int) -> int:
    """How much of each batch one device has.

    Raises:
        ConfigError: The batch cannot be shared evenly.
    """
    if stage.batch % world_size:
        raise ConfigError(f"stage {stage.name}: batch {stage.batch} cannot be shared by {world_size} devices")
    return stage.batch // world_size


def first_clip(stage_number: int) -> int:
    """Number of a stage's first clip in the generator, so that stages see different clips."""
    return stage_number * _CLIPS_PER_STAGE


class ClipSource(Protocol):
    """Numbered training clips."""

    def clip(self, index: int, num_frames: int) -> TrainingClip:
        """Make clip `index`; equal arguments give the same clip."""


def open_clips(stage: ClipsStage, seed: int, stage_number: int) -> ClipSource:
    """Open a stage's data.

    Raises:
        ConfigError: The data is not there.
    """
    if isinstance(stage.data, ReferringSets):
        return ReferringClips(stage.data, seed, stage.name, stage_number)
    return SyntheticClips(stage.data, seed, first_clip(stage_number))


class StepBatches(torch.utils.data.Dataset[Batch]):
    """Batch number `step` of one device; what it is made of, subclasses say.

    Args:
        stage: Sizes and data.
        seed: Seed of the run.
        context_length: Of the text tower.
        rank: Number of this device.
        world_size: Number of devices; they share a step's batch.
    Raises:
        ConfigError: The batch cannot be shared evenly.
    """

    def __init__(self, stage: SegmentStage, seed: int, context_length: int, rank: int = 0, world_size: int = 1) -> None:
        share_of_batch(stage, world_size)
        self._stage, self._seed, self._context = stage, seed, context_length
        self._rank, self._world_size = rank, world_size

    def __len__(self) -> int:
        return self._stage.steps

    def _clips_of_step(self, step: int) -> tuple[range, int]:
        """Numbers of the clips that this device sees in a step, and their length, which all devices share."""
        fewest, most = self._stage.frames
        length = int(np.random.default_rng([self._seed, _LENGTH_STREAM, step]).integers(fewest, most + 1))
        share = share_of_batch(self._stage, self._world_size)
        first = step * self._stage.batch + self._rank * share
        return range(first, first + share), length


class ClipBatches(StepBatches[ClipBatch]):
    """Batches of the clips of a source; see `StepBatches`."""

    def __init__(
        self,
        stage: ClipsStage,
        source: ClipSource,
        seed: int,
        context_length: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(stage, seed, context_length, rank, world_size)
        self._source = source

    def __getitem__(self, step: int) -> ClipBatch:
        numbers, length = self._clips_of_step(step)
        clips = [self._source.clip(number, length) for number in numbers]
        texts = [sentence.text for clip in clips for sentence in clip.sentences]
        return collate_clips(clips, tokenize(texts, self._context))
