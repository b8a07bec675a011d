"""Generated clips with all that is known of them: what else a sentence may mean, and what all objects look like.

`B` clips, `I` items (a sentence on a clip), `G` objects, `T` frames, `R` objects of all clips.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssa_stream.data import ATTRIBUTES
from ssa_stream.data.synthetic.expressions import Expression
from ssa_stream.data.synthetic.possible import names_motion, possible_ids
from ssa_stream.data.synthetic.predicates import Described
from ssa_stream.data.synthetic.truth import ObservedClip
from ssa_stream.model.clip import tokenize
from ssa_stream.training.data.batch import ClipBatch, Sentence, TrainingClip, collate_clips
from ssa_stream.training.data.clip_batches import StepBatches, first_clip
from ssa_stream.training.data.synthetic_clips import SyntheticClips
from ssa_stream.training.tiny.clip.unknown_words import some_with_unknown_words
from ssa_stream.training.tiny.config import TinyData, TinySegmentStage

__all__ = ["KnownObjects", "TinyBatch", "TinyBatches", "TinyClip", "TinyClips", "TinySentence", "collate_tiny_clips"]

_FRAME_STREAM, _UNKNOWN_STREAM = 110, 113


class TinySentence(NamedTuple):
    """A sentence about a clip.

    Attributes:
        text: The sentence.
        masks: Of what it means, `(n, T, H, W)` bool.
        possible: Of what else it may mean as far as single frames show, `(m, T, H, W)` bool.
        others: Of what else there is in the clip, `(k, T, H, W)` bool.
    """

    text: str
    masks: NDArray[np.bool_]
    possible: NDArray[np.bool_]
    others: NDArray[np.bool_]


class KnownObjects(NamedTuple):
    """All objects of a clip, meant or not.

    Attributes:
        masks: `(n, T, H, W)` bool.
        attributes: Numbers of shape, colour and texture, see `captions.ATTRIBUTES`, `(n, 3)` int64.
    """

    masks: NDArray[np.bool_]
    attributes: NDArray[np.int64]


class TinyClip(NamedTuple):
    """A clip `(T, H, W, 3)` uint8 RGB with one sentence or more."""

    frames: NDArray[np.uint8]
    sentences: tuple[TinySentence, ...]
    objects: KnownObjects


class TinyBatch(NamedTuple):
    """Clips of one length with all their objects.

    Attributes:
        clips: As others have them; its masks are those of all objects, the meant ones first.
        possible: Which objects the sentence may mean as far as single frames show, `(I, G)` bool; what it means too.
        known: Which objects there are, possible or not, `(I, G)` bool.
        object_masks: All objects of the clips, `(R, T, H, W)` uint8.
        object_clip: Which clip each of them is in, `(R,)` int64.
        object_attributes: Numbers of their shapes, colours and textures, `(R, 3)` int64.
    """

    clips: ClipBatch
    possible: Tensor
    known: Tensor
    object_masks: Tensor
    object_clip: Tensor
    object_attributes: Tensor


def collate_tiny_clips(clips: Sequence[TinyClip], tokens: Tensor) -> TinyBatch:
    """Put clips of one length together; see `collate_clips`."""
    sentences = [sentence for clip in clips for sentence in clip.sentences]
    batch = collate_clips([_with_all_masks(clip) for clip in clips], tokens)
    number = torch.arange(batch.masks.shape[1])
    num_meant = torch.tensor([len(sentence.masks) for sentence in sentences])
    num_possible = num_meant + torch.tensor([len(sentence.possible) for sentence in sentences])
    T, height, width = batch.masks.shape[2:]
    object_masks = np.zeros((sum(len(clip.objects.masks) for clip in clips), T, height, width), np.uint8)
    first = 0
    for clip in clips:
        count, _, h, w = clip.objects.masks.shape
        object_masks[first : first + count, :, :h, :w] = clip.objects.masks
        first += count
    return TinyBatch(
        clips=batch._replace(meant=number < num_meant[:, None]),
        possible=number < num_possible[:, None],
        known=batch.meant,
        object_masks=torch.from_numpy(object_masks),
        object_clip=torch.tensor([b for b, clip in enumerate(clips) for _ in clip.objects.masks], dtype=torch.int64),
        object_attributes=torch.from_numpy(np.concatenate([clip.objects.attributes for clip in clips])),
    )


def _with_all_masks(clip: TinyClip) -> TrainingClip:
    return TrainingClip(
        clip.frames, tuple(Sentence(s.text, np.concatenate([s.masks, s.possible, s.others])) for s in clip.sentences)
    )


class TinyClips:
    """Numbered clips.

    Args:
        data: What to draw.
        seed: Seed of the run; decides order, further sentences and which frames are shown.
        offset: See `SyntheticClips`.
    """

    def __init__(self, data: TinyData, seed: int, offset: int = 0) -> None:
        self._clips = SyntheticClips(data, seed, offset)
        self._spread, self._seed = data.spread, seed

    def clip(self, index: int, num_frames: int) -> TinyClip:
        """Make one clip; see `SyntheticClips.clip`."""
        length = max(num_frames, self._spread)
        frames, seen, expressions = self._clips.draw(index, length)
        clip = TinyClip(frames, tuple(_sentence(one, seen) for one in expressions), _known_objects(seen))
        if length > num_frames:
            rng = np.random.default_rng([self._seed, _FRAME_STREAM, index])
            clip = _some_frames(clip, np.sort(rng.choice(length, num_frames, replace=False)))
        return clip


def _known_objects(seen: ObservedClip) -> KnownObjects:
    looks = [thing.appearance for thing in seen.truth.scene.objects]
    attributes = [[values.index(getattr(look, name)) for name, values in ATTRIBUTES.items()] for look in looks]
    return KnownObjects(seen.masks, np.array(attributes, np.int64).reshape(-1, len(ATTRIBUTES)))


def _sentence(expression: Expression, seen: ObservedClip) -> TinySentence:
    """With what single frames leave open: of a clip, a sentence about motion may mean all that looks as it says."""
    ids, meant, left_open = seen.truth.scene.ids, set(expression.target_ids), set[int]()
    if len(seen.masks[0]) > 1 and names_motion(expression) and isinstance(expression.described, Described):
        left_open = set(possible_ids(expression.described, seen.truth)) - meant
    return TinySentence(
        expression.text,
        masks=seen.masks[[ids.index(target) for target in expression.target_ids]],
        possible=seen.masks[[ids.index(other) for other in sorted(left_open)]],
        others=seen.masks[[row for row, one in enumerate(ids) if one not in meant | left_open]],
    )


def _some_frames(clip: TinyClip, chosen: NDArray[np.int64]) -> TinyClip:
    """The same clip with some of its frames only."""
    return TinyClip(
        clip.frames[chosen],
        tuple(TinySentence(text, *(masks[:, chosen] for masks in groups)) for text, *groups in clip.sentences),
        clip.objects._replace(masks=clip.objects.masks[:, chosen]),
    )


class TinyBatches(StepBatches[TinyBatch]):
    """Batches of generated clips of a stage; see `StepBatches`."""

    def __init__(
        self,
        stage: TinySegmentStage,
        seed: int,
        stage_number: int,
        context_length: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(stage, seed, context_length, rank, world_size)
        self._clips = TinyClips(stage.data, seed, first_clip(stage_number))
        self._unknown_words = stage.unknown_words

    def __getitem__(self, step: int) -> TinyBatch:
        numbers, length = self._clips_of_step(step)
        clips = [self._clips.clip(number, length) for number in numbers]
        tokens = [self._tokens(clip, number) for clip, number in zip(clips, numbers, strict=True)]
        return collate_tiny_clips(clips, torch.cat(tokens))

    def _tokens(self, clip: TinyClip, number: int) -> Tensor:
        tokens = tokenize([sentence.text for sentence in clip.sentences], self._context)
        rng = np.random.default_rng([self._seed, _UNKNOWN_STREAM, number])
        return some_with_unknown_words(tokens, self._unknown_words, rng)
