"""Training clips from the generator: a pure function of the clip's number."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ssa_stream.data import ATTRIBUTES, TYPE_WEIGHTS, ClipSample, ExpressionType, SceneConfig, sample_clip
from ssa_stream.data.synthetic.expressions import Expression, find_expression
from ssa_stream.data.synthetic.possible import find_possible, names_motion, possible_ids
from ssa_stream.data.synthetic.predicates import Described
from ssa_stream.data.synthetic.truth import ObservedClip, observe
from ssa_stream.training.config.data import SyntheticData
from ssa_stream.training.data.batch import KnownObjects, Sentence, TrainingClip

__all__ = ["SyntheticClips", "photometric"]

_EPOCH_STREAM, _SENTENCE_STREAM, _PHOTO_STREAM, _FRAME_STREAM = 101, 102, 103, 110
_TRIES_PER_SENTENCE = 3
_ABSENT_AND_MOVING = 0.75
"""Without such, every sentence about motion that is said of a picture would mean something in it."""


class SyntheticClips:
    """Numbered clips.

    Args:
        data: What to draw.
        seed: Seed of the run; decides order, further sentences and augmentation, not the clips themselves.
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
        data, length = self._data, max(num_frames, self._data.spread)
        sample = sample_clip(
            data.first_seed + self._scene_number(index),
            length,
            data.size,
            config=self._scenes,
            type_weights=self._weights,
        )
        seen = observe(sample.scene, sample.t0, length)
        sentences = [_sentence(sample.expression, seen)]
        if data.sentences > 1:
            sentences += self._more_sentences(sample, seen, index)
        clip = TrainingClip(sample.frames, tuple(sentences), _known_objects(seen))
        if length > num_frames:
            chosen = self._rng(_FRAME_STREAM, index).choice(length, num_frames, replace=False)
            clip = _some_frames(clip, np.sort(chosen))
        if data.photometric:
            changed = photometric(clip.frames, data.photometric, self._rng(_PHOTO_STREAM, index))
            clip = clip._replace(frames=changed)
        return clip

    def _rng(self, stream: int, index: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, stream, index])

    def _scene_number(self, index: int) -> int:
        """Fresh numbers, or the same few in a new order each round."""
        if self._data.num_clips is None:
            return self._offset + index
        round_number, place = divmod(index, self._data.num_clips)
        order = self._rng(_EPOCH_STREAM, round_number).permutation(self._data.num_clips)
        return int(order[place])

    def _more_sentences(self, sample: ClipSample, seen: ObservedClip, index: int) -> list[Sentence]:
        """Further sentences about the same clip, with other words."""
        wanted = self._data.sentences - 1
        rng = self._rng(_SENTENCE_STREAM, index)
        kinds = list(self._weights)
        weights = np.array([self._weights[kind] for kind in kinds])
        texts = {sample.text}
        found: list[Sentence] = []
        for kind in rng.choice(len(kinds), wanted * _TRIES_PER_SENTENCE, p=weights / weights.sum()):
            expression = _find(sample, seen, rng, kinds[kind])
            if expression is not None and expression.text not in texts and len(found) < wanted:
                texts.add(expression.text)
                found.append(_sentence(expression, seen))
        return found


def _known_objects(seen: ObservedClip) -> KnownObjects:
    looks = [thing.appearance for thing in seen.truth.scene.objects]
    attributes = [[values.index(getattr(look, name)) for name, values in ATTRIBUTES.items()] for look in looks]
    return KnownObjects(seen.masks, np.array(attributes, np.int64).reshape(-1, len(ATTRIBUTES)))


def _sentence(expression: Expression, seen: ObservedClip) -> Sentence:
    """With what single frames leave open: of a clip, a sentence about motion may mean all that looks as it says."""
    ids, meant, possible = seen.truth.scene.ids, set(expression.target_ids), None
    left_open: set[int] = set()
    if len(seen.masks[0]) > 1 and names_motion(expression) and isinstance(expression.described, Described):
        left_open = set(possible_ids(expression.described, seen.truth)) - meant
        possible = seen.masks[[ids.index(other) for other in sorted(left_open)]]
    others = seen.masks[[row for row, one in enumerate(ids) if one not in meant | left_open]]
    return Sentence(
        expression.text, seen.masks[[ids.index(target) for target in expression.target_ids]], possible, others
    )


def _some_frames(clip: TrainingClip, chosen: NDArray[np.int64]) -> TrainingClip:
    """The same clip with some of its frames only."""

    def cut(masks: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
        return None if masks is None else masks[:, chosen]

    sentences = tuple(Sentence(s.text, s.masks[:, chosen], cut(s.possible), cut(s.others)) for s in clip.sentences)
    objects = None if clip.objects is None else clip.objects._replace(masks=clip.objects.masks[:, chosen])
    return TrainingClip(clip.frames[chosen], sentences, objects)


def _find(sample: ClipSample, seen: ObservedClip, rng: np.random.Generator, kind: ExpressionType) -> Expression | None:
    """A further sentence; of a picture, one about motion means all that it may mean there, often nothing."""
    if len(sample.frames) == 1 and (kind == "motion" or kind == "appearance_motion"):
        return find_possible(sample.scene, sample.t0, rng, kind)
    if len(sample.frames) == 1 and kind == "no_target" and rng.uniform() < _ABSENT_AND_MOVING:
        return find_possible(sample.scene, sample.t0, rng, kind)
    return find_expression(seen.truth, rng, kind)


def photometric(frames: NDArray[np.uint8], strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change brightness and contrast of a clip and add noise; one draw for all frames, but for the noise.

    Args:
        frames: `(T, H, W, 3)`.
        strength: Largest relative change.
        rng: Source of chance.
    """
    gain, shift = rng.uniform(1 - strength, 1 + strength), rng.uniform(-64, 64) * strength
    noise = rng.normal(0.0, rng.uniform(0, 24) * strength, frames.shape[:3]).astype(np.float32)[..., None]
    changed = (frames.astype(np.float32) - 128) * gain + (128 + shift) + noise
    return np.asarray(np.clip(changed, 0, 255), np.uint8)
