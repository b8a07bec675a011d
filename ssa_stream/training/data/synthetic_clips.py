"""Training clips from the generator: a pure function of the clip's number."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssa_stream.data import TYPE_WEIGHTS, ClipSample, ExpressionType, SceneConfig, sample_clip
from ssa_stream.data.synthetic.expressions import Expression, find_expression
from ssa_stream.data.synthetic.possible import find_possible
from ssa_stream.data.synthetic.truth import ObservedClip, observe
from ssa_stream.training.data.batch import Sentence, TrainingClip
from ssa_stream.training.data.settings import SyntheticData

__all__ = ["DrawnClip", "SyntheticClips"]

_EPOCH_STREAM, _SENTENCE_STREAM = 101, 102
_TRIES_PER_SENTENCE = 3
_ABSENT_AND_MOVING = 0.75
"""Without such, every sentence about motion that is said of a picture would mean something in it."""


class DrawnClip(NamedTuple):
    """Frames `(T, H, W, 3)` uint8, all that is known of them, and what is said of them."""

    frames: NDArray[np.uint8]
    seen: ObservedClip
    expressions: tuple[Expression, ...]


class SyntheticClips:
    """Numbered clips.

    Args:
        data: What to draw.
        seed: Seed of the run; decides order and further sentences, not the clips themselves.
        offset: Added to all clip numbers, so that stages see different clips; not used if clips are repeated.
    """

    def __init__(self, data: SyntheticData, seed: int, offset: int = 0) -> None:
        self._data, self._seed, self._offset = data, seed, offset
        self._scenes = SceneConfig(min_objects=data.min_objects, max_objects=data.max_objects)
        self._weights: Mapping[ExpressionType, float] = data.type_weights or TYPE_WEIGHTS

    def clip(self, index: int, num_frames: int) -> TrainingClip:
        """Make one clip.

        Args:
            index: Number within the stage.
            num_frames: Its length.
        """
        frames, seen, expressions = self.draw(index, num_frames)
        ids = seen.truth.scene.ids
        return TrainingClip(
            frames,
            tuple(Sentence(one.text, seen.masks[[ids.index(i) for i in one.target_ids]]) for one in expressions),
        )

    def draw(self, index: int, num_frames: int) -> DrawnClip:
        """The same, with all that the generator knows."""
        sample = sample_clip(
            self._data.first_seed + self._scene_number(index),
            num_frames,
            self._data.size,
            config=self._scenes,
            type_weights=self._weights,
        )
        seen = observe(sample.scene, sample.t0, num_frames)
        further = self._further(sample, seen, index) if self._data.sentences > 1 else []
        return DrawnClip(sample.frames, seen, (sample.expression, *further))

    def _rng(self, stream: int, index: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, stream, index])

    def _scene_number(self, index: int) -> int:
        """Fresh numbers, or the same few in a new order each round."""
        if self._data.num_clips is None:
            return self._offset + index
        round_number, position = divmod(index, self._data.num_clips)
        order = self._rng(_EPOCH_STREAM, round_number).permutation(self._data.num_clips)
        return int(order[position])

    def _further(self, sample: ClipSample, seen: ObservedClip, index: int) -> list[Expression]:
        """Further sentences about the same clip, with other words."""
        wanted = self._data.sentences - 1
        rng = self._rng(_SENTENCE_STREAM, index)
        kinds = list(self._weights)
        weights = np.array([self._weights[kind] for kind in kinds])
        texts = {sample.text}
        found: list[Expression] = []
        for kind in rng.choice(len(kinds), wanted * _TRIES_PER_SENTENCE, p=weights / weights.sum()):
            expression = _find(sample, seen, rng, kinds[kind])
            if expression is not None and expression.text not in texts and len(found) < wanted:
                texts.add(expression.text)
                found.append(expression)
        return found


def _find(sample: ClipSample, seen: ObservedClip, rng: np.random.Generator, kind: ExpressionType) -> Expression | None:
    """A further sentence; of a picture, one about motion means all that it may mean there, often nothing."""
    if len(sample.frames) == 1 and (kind == "motion" or kind == "appearance_motion"):
        return find_possible(sample.scene, sample.t0, rng, kind)
    if len(sample.frames) == 1 and kind == "no_target" and rng.uniform() < _ABSENT_AND_MOVING:
        return find_possible(sample.scene, sample.t0, rng, kind)
    return find_expression(seen.truth, rng, kind)
