"""Windows of kept clips, in which sentences are judged anew: a clip says more than one thing, and more backwards.

Axes: `B` windows, `K` sentences, `T` frames, `N` queries, `C` channels, `G` objects, `M` movements.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ssa_stream.data.synthetic.movement_sentences import judge_movements
from ssa_stream.data.synthetic.predicates import all_of
from ssa_stream.data.synthetic.truth import NO, UNSURE, YES
from ssa_stream.errors import ConfigError
from ssa_stream.model import SSA
from ssa_stream.training.data.clip_batches import step_seed
from ssa_stream.training.tiny.clips import TinyBatches
from ssa_stream.training.tiny.config import MotionStage
from ssa_stream.training.tiny.locations import velocities
from ssa_stream.training.tiny.motion.kept_clips import KeptFrames, MotionClip, keep_frames, motion_clip
from ssa_stream.training.tiny.motion.recast import Mover, movers, recast
from ssa_stream.training.tiny.motion.retimed import retimed

__all__ = ["KeptClips", "MotionBatch", "MotionBatches", "MotionWindows"]

_WINDOW_STREAM, _ROUND_STREAM = 109, 111
_FEWEST_FRAMES = 5
"""Shorter windows show too little of a movement to be judged by."""


class MotionWindows(NamedTuple):
    """Windows of one length.

    Attributes:
        queries: Frame queries, `(B, T, N, C)` float32, not told where their masks are.
        moments: Moments of their masks, `(B, T, N, M)` float32.
        text: Fused token of each sentence, `(B, K, C)` float32.
        query: Frame query of each object, `(B, T, G)` int64.
        matched: Whether there is one, `(B, T, G)` bool.
        covers: Which queries' masks lie over which object, `(B, T, N, G)` bool.
        location: See `locations.locations`, `(B, T, G, 3)` float32.
        velocity: See `locations.velocities`, `(B, T, G, 3)` float32.
        known: Where it is known, `(B, T, G)` bool.
        does: 1 where an object makes a movement, 0 where it does not, -1 where it cannot be told, `(B, G, M)` float32.
        asked: Movement of each sentence, `(B, K)` int64.
        fits: Which sentences are clear and in the right number, `(B, K)` bool.
        meant: Which objects they mean, `(B, K, G)` bool.
    """

    queries: Tensor
    moments: Tensor
    text: Tensor
    query: Tensor
    matched: Tensor
    covers: Tensor
    location: Tensor
    velocity: Tensor
    known: Tensor
    does: Tensor
    asked: Tensor
    fits: Tensor
    meant: Tensor


class MotionBatch(NamedTuple):
    """What one step trains on; `ordinary` is None without such clips."""

    windows: MotionWindows
    ordinary: KeptFrames | None


class KeptClips:
    """Motion clips by number. Stages that follow each other and keep the same clips compute them once.

    Args:
        seed: Of the run.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._clips: dict[int, MotionClip] = {}
        self._settings: object = None

    def clip(self, model: SSA, stage: MotionStage, number: int) -> MotionClip:
        """Clip number `number`, of the same frames for all stages that make it alike; other settings begin anew.

        Args:
            model: Gives the frame queries. Its video decoder and what tells moments may have changed since.
            stage: What a clip is like.
            number: Over all devices.
        """
        loss = stage.loss  # what it has to do with matching queries to objects
        weights = (loss.class_weight, loss.mask_weight, loss.dice_weight)
        settings = (
            stage.data,
            stage.clips,
            stage.kept_frames,
            stage.retimed > 0,
            stage.unknown_words,
            loss.all_objects,
            loss.num_points,
            weights,
        )
        if settings != self._settings:
            self._clips, self._settings = {}, settings
        if number not in self._clips:
            with torch.random.fork_rng(devices=[]):
                self._clips[number] = motion_clip(model, stage, self._seed, number)
        return self._clips[number]


class MotionBatches(torch.utils.data.Dataset[MotionBatch]):
    """Batch number `step` of one device. Clips that are not there yet are computed, also after a resume.

    Args:
        ordinary: Other clips; None for none.
        model: Gives the frame queries; only its video decoder and what tells moments may change.
        stage: Sizes.
        seed: Seed of the run.
        rank: Number of this device.
        world_size: Number of devices; they share a step's batch and the clips.
        kept: Clips of stages before this one; None for none.
    Raises:
        ConfigError: The batch cannot be shared evenly, or the network cannot learn from recast clips.
    """

    def __init__(
        self,
        ordinary: TinyBatches | None,
        model: SSA,
        stage: MotionStage,
        seed: int,
        rank: int,
        world_size: int,
        kept: KeptClips | None = None,
    ) -> None:
        if stage.batch % world_size or min(stage.clips, stage.cast_scenes) < world_size:
            raise ConfigError(
                f"stage {stage.name}: batch {stage.batch}, clips {stage.clips} and cast_scenes {stage.cast_scenes} "
                f"cannot be shared by {world_size} devices"
            )
        if stage.recast and not model.config.frame_decoder.mask_moments:
            raise ConfigError(
                f"stage {stage.name}: recast is {stage.recast}, but {model.config.name} is not told where masks are; "
                f"expected a model with frame_decoder.mask_moments: true, or recast: 0"
            )
        self._ordinary, self._model, self._stage, self._seed = ordinary, model, stage, seed
        self._rank, self._world_size = rank, world_size
        self._kept = kept or KeptClips(seed)
        self._kept_ordinary: dict[int, KeptFrames] = {}
        self._cast: list[Mover] = []

    def __len__(self) -> int:
        return self._stage.steps

    def __getitem__(self, step: int) -> MotionBatch:
        stage = self._stage
        rng = np.random.default_rng([self._seed, _WINDOW_STREAM, step])
        length = int(rng.integers(stage.frames[0], stage.frames[1] + 1))
        rng = np.random.default_rng([self._seed, _WINDOW_STREAM, step, self._rank])
        numbers = rng.integers(stage.clips // self._world_size, size=stage.batch // self._world_size)
        clips = [self._clip(int(number)) for number in numbers]
        clips = [self._varied(clip, rng) for clip in clips]
        windows = [_window(clip, length, rng) for clip in clips]
        G = max(window.location.shape[1] for window in windows)
        fields = zip(*(_padded(window, G) for window in windows), strict=True)
        return MotionBatch(
            MotionWindows(*(torch.stack(field) for field in fields)),
            None if self._ordinary is None else self._other_clips(self._ordinary, step),
        )

    def _other_clips(self, source: TinyBatches, step: int) -> KeptFrames:
        """Ordinary clips of a step, fresh ones or kept ones, these in a new order each round."""
        stage = self._stage
        if not stage.ordinary_batches:
            return self._frames_of(source, step)
        round_number, position = divmod(step, stage.ordinary_batches)
        order = np.random.default_rng([self._seed, _ROUND_STREAM, round_number]).permutation(stage.ordinary_batches)
        number = int(order[position])
        if number not in self._kept_ordinary:
            self._kept_ordinary[number] = self._frames_of(source, number)
        return self._kept_ordinary[number]

    def _frames_of(self, source: TinyBatches, number: int) -> KeptFrames:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(step_seed(self._seed, 0, number, self._rank))
            return keep_frames(self._model, self._stage.loss, source[number])

    def _varied(self, clip: MotionClip, rng: np.random.Generator) -> MotionClip:
        """As it was kept, or with objects that move otherwise."""
        stage, chance = self._stage, rng.uniform()
        if chance < stage.retimed:
            return retimed(clip, rng)
        if chance >= stage.retimed + stage.recast:
            return clip
        if not self._cast:
            numbers = range(self._rank, stage.cast_scenes, self._world_size)
            self._cast = [mover for number in numbers for mover in movers(stage, self._seed, number)]
        return recast(clip, self._cast, rng)

    def _clip(self, number: int) -> MotionClip:
        return self._kept.clip(self._model, self._stage, number * self._world_size + self._rank)


def _window(clip: MotionClip, length: int, rng: np.random.Generator) -> MotionWindows:
    """A window without the axis `B`. A short one, as at a stream's beginning, is judged by its whole clip."""
    first = int(rng.integers(len(clip.queries) - length + 1))
    backwards = rng.uniform() < 0.5
    truth = clip.truth.window(first, length, backwards=backwards)
    is_short = length < _FEWEST_FRAMES
    judged = clip.truth.window(0, len(clip.queries), backwards=backwards) if is_short else truth
    looking, moving = clip.looks.judge(judged), judge_movements(judged)
    verdicts = [all_of([looking, moving[sentence.claim]]) for sentence in clip.sentences]
    others = np.delete(looking, clip.rows)
    clear = not len(others) or bool((others == NO).all())  # else something looks so that frames were not asked for

    def cut(values: Tensor) -> Tensor:
        part = values[first : first + length]
        return part.flip(0) if backwards else part

    rows = list(clip.rows)
    velocity, known = velocities(clip.location.transpose(0, 1)[None])  # (1, T, G, 3)
    return MotionWindows(
        queries=cut(clip.queries).float(),
        moments=cut(clip.moments),
        text=clip.text.float(),
        query=cut(clip.query),
        matched=cut(clip.matched),
        covers=cut(clip.covers),
        location=cut(clip.location),
        velocity=cut(velocity[0]) * (-1.0 if backwards else 1.0),
        known=cut(known[0]),
        does=torch.from_numpy(np.where((moving == UNSURE) | is_short, -1, moving == YES)[:, rows].T.astype(np.float32)),
        asked=torch.tensor([sentence.claim for sentence in clip.sentences]),
        fits=torch.tensor([clear and s.fits(v) for s, v in zip(clip.sentences, verdicts, strict=True)]),
        meant=torch.from_numpy(np.array(verdicts)[:, rows] == YES),
    )


def _padded(window: MotionWindows, G: int) -> MotionWindows:
    """With room for `G` objects; one that is not there has no query, and nothing is known of it."""
    lacking = G - window.location.shape[1]
    last, one_before = (0, lacking), (0, 0, 0, lacking)
    return window._replace(
        query=F.pad(window.query, last),
        matched=F.pad(window.matched, last),
        covers=F.pad(window.covers, last),
        location=F.pad(window.location, one_before),
        velocity=F.pad(window.velocity, one_before),
        known=F.pad(window.known, last),
        does=F.pad(window.does, one_before, value=-1.0),
        meant=F.pad(window.meant, last),
    )
