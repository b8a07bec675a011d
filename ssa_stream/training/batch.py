"""What one step trains on. `B` clips, `I` items (a sentence on a clip), `G` objects, `T` frames."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssa_stream.model.preprocess import PIXEL_MEAN, PIXEL_STD, padded_size

__all__ = ["CaptionBatch", "ClipBatch", "KnownObjects", "Sentence", "TrainingClip", "collate_clips", "normalize"]


class Sentence(NamedTuple):
    """A sentence about a clip.

    Attributes:
        text: The sentence.
        masks: Of what it means, `(n, T, H, W)` bool.
        possible: Of what else it may mean as far as single frames show, `(m, T, H, W)` bool; None for nothing.
        others: Of what else there is in the clip, `(k, T, H, W)` bool; None where that is not known.
    """

    text: str
    masks: NDArray[np.bool_]
    possible: NDArray[np.bool_] | None = None
    others: NDArray[np.bool_] | None = None


class KnownObjects(NamedTuple):
    """All objects of a clip, meant or not, where it is known what they look like.

    Attributes:
        masks: `(n, T, H, W)` bool.
        aspects: Numbers of shape, colour and texture, see `captions.ASPECTS`, `(n, 3)` int64.
    """

    masks: NDArray[np.bool_]
    aspects: NDArray[np.int64]


class TrainingClip(NamedTuple):
    """A clip `(T, H, W, 3)` uint8 RGB with one sentence or more."""

    frames: NDArray[np.uint8]
    sentences: tuple[Sentence, ...]
    objects: KnownObjects | None = None


class ClipBatch(NamedTuple):
    """Clips of one length, padded on the right and bottom to a multiple of 32 and to each other; `R` known objects.

    Attributes:
        images: `(B, T, H, W, 3)` uint8.
        extents: Height and width of each clip before padding, `(B, 2)` int64.
        tokens: `(I, 77)` int64.
        clip_index: Which clip each sentence is about, `(I,)` int64.
        masks: `(I, G, T, H, W)` uint8; 0 in the padding and where there are fewer objects.
        possible: Which objects the sentence may mean as far as single frames show, `(I, G)` bool.
        meant: Which it means, `(I, G)` bool; some of the possible ones.
        known: Which objects there are, possible or not, `(I, G)` bool.
        object_masks: All objects of the clips whose looks are known, `(R, T, H, W)` uint8.
        object_clip: Which clip each of them is in, `(R,)` int64.
        object_aspects: Numbers of their shapes, colours and textures, `(R, 3)` int64.
    """

    images: Tensor
    extents: Tensor
    tokens: Tensor
    clip_index: Tensor
    masks: Tensor
    possible: Tensor
    meant: Tensor
    known: Tensor
    object_masks: Tensor
    object_clip: Tensor
    object_aspects: Tensor


class CaptionBatch(NamedTuple):
    """Pictures whose objects have captions, and sentences said twice. `R` objects of `B` pictures.

    Attributes:
        images: `(B, H, W, 3)` uint8.
        masks: Where each object is, `(R, H, W)` uint8.
        picture: Which picture each object is in, `(R,)` int64.
        aspects: Numbers of shape, colour and texture, see `captions.ASPECTS`, `(R, 3)` int64.
        tokens: Of the captions, `(R, 77)` int64.
        fits: Whether a caption, a column, is true of an object, a row, `(R, R)` bool.
        paraphrases: Tokens of pairs of sentences that mean the same, `(P, 2, 77)` int64.
        equal: Whether two pairs mean the same, `(P, P)` bool.
    """

    images: Tensor
    masks: Tensor
    picture: Tensor
    aspects: Tensor
    tokens: Tensor
    fits: Tensor
    paraphrases: Tensor = torch.empty(0, 2, 0, dtype=torch.int64)
    equal: Tensor = torch.empty(0, 0, dtype=torch.bool)


def collate_clips(clips: Sequence[TrainingClip], tokens: Tensor) -> ClipBatch:
    """Put clips of one length together.

    Args:
        clips: At least one.
        tokens: Of all sentences in order, `(I, 77)`.
    """
    items = [(b, sentence) for b, clip in enumerate(clips) for sentence in clip.sentences]
    T = len(clips[0].frames)
    height, width = padded_size(
        (max(clip.frames.shape[1] for clip in clips), max(clip.frames.shape[2] for clip in clips))
    )
    objects_of = [_all_objects(sentence) for _, sentence in items]
    G = max(1, *(len(objects) for objects in objects_of))
    images = np.zeros((len(clips), T, height, width, 3), np.uint8)
    masks = np.zeros((len(items), G, T, height, width), np.uint8)
    possible = np.zeros((len(items), G), bool)
    meant = np.zeros((len(items), G), bool)
    known = np.zeros((len(items), G), bool)
    for b, clip in enumerate(clips):
        images[b, :, : clip.frames.shape[1], : clip.frames.shape[2]] = clip.frames
    for i, (_, sentence) in enumerate(items):
        count, _, h, w = objects_of[i].shape
        masks[i, :count, :, :h, :w] = objects_of[i]
        known[i, :count] = True
        possible[i, : count - (0 if sentence.others is None else len(sentence.others))] = True
        meant[i, : len(sentence.masks)] = True
    with_looks = [(b, clip.objects) for b, clip in enumerate(clips) if clip.objects is not None]
    object_masks = np.zeros((sum(len(objects.masks) for _, objects in with_looks), T, height, width), np.uint8)
    first = 0
    for _, objects in with_looks:
        count, _, h, w = objects.masks.shape
        object_masks[first : first + count, :, :h, :w] = objects.masks
        first += count
    return ClipBatch(
        images=torch.from_numpy(images),
        extents=torch.tensor([clip.frames.shape[1:3] for clip in clips]),
        tokens=tokens,
        clip_index=torch.tensor([b for b, _ in items]),
        masks=torch.from_numpy(masks),
        possible=torch.from_numpy(possible),
        meant=torch.from_numpy(meant),
        known=torch.from_numpy(known),
        object_masks=torch.from_numpy(object_masks),
        object_clip=torch.tensor([b for b, objects in with_looks for _ in objects.masks], dtype=torch.int64),
        object_aspects=torch.from_numpy(
            np.concatenate([np.zeros((0, 3), np.int64), *(o.aspects for _, o in with_looks)])
        ),
    )


def _all_objects(sentence: Sentence) -> NDArray[np.bool_]:
    groups = (sentence.masks, sentence.possible, sentence.others)
    return np.concatenate([group for group in groups if group is not None])


def normalize(images: Tensor, extents: Tensor | None = None) -> Tensor:
    """Normalise on the images' device; what lies beyond the extents becomes 0, as the network's padding is.

    Args:
        images: `(B, ..., H, W, 3)` uint8.
        extents: Height and width of each row, `(B, 2)`; None for no padding.
    Returns:
        `(B, ..., 3, H, W)` float32.
    """
    mean, std = (torch.tensor(values, device=images.device) for values in (PIXEL_MEAN, PIXEL_STD))
    pixels = ((images.float() - mean) / std).movedim(-1, -3)
    if extents is None:
        return pixels
    H, W = pixels.shape[-2:]
    rows = torch.arange(H, device=images.device)[:, None] < extents[:, 0].view(-1, 1, 1)  # (B, H, 1)
    columns = torch.arange(W, device=images.device) < extents[:, 1].view(-1, 1, 1)
    inside = (rows & columns).view(len(images), *[1] * (pixels.dim() - 3), H, W)
    return pixels * inside
