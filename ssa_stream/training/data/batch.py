"""What one step trains on. `B` clips, `I` items (a sentence on a clip), `G` objects, `T` frames."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssa_stream.model.preprocess import PIXEL_MEAN, PIXEL_STD, padded_size

__all__ = ["BrokenSample", "ClipBatch", "Sentence", "TrainingClip", "collate_clips", "normalize"]


class Sentence(NamedTuple):
    """A sentence about a clip, with masks of what it means, `(n, T, H, W)` bool."""

    text: str
    masks: NDArray[np.bool_]


class BrokenSample(NamedTuple):
    """A sample that could not be read, so that another one was taken.

    Attributes:
        sample: Which.
        reason: What is wrong with it.
        most: How many such samples the stage's data may have.
    """

    sample: str
    reason: str
    most: int


class TrainingClip(NamedTuple):
    """A clip `(T, H, W, 3)` uint8 RGB with one sentence or more, and what was skipped on the way to it."""

    frames: NDArray[np.uint8]
    sentences: tuple[Sentence, ...]
    broken: tuple[BrokenSample, ...] = ()


class ClipBatch(NamedTuple):
    """Clips of one length, padded on the right and bottom to a multiple of 32 and to each other.

    Attributes:
        images: `(B, T, H, W, 3)` uint8.
        extents: Height and width of each clip before padding, `(B, 2)` int64.
        tokens: `(I, 77)` int64.
        clip_index: Which clip each sentence is about, `(I,)` int64.
        masks: `(I, G, T, H, W)` uint8; 0 in the padding and where there are fewer objects.
        meant: Which of the objects there are and are meant by the sentence, `(I, G)` bool.
        broken: Samples that were skipped.
    """

    images: Tensor
    extents: Tensor
    tokens: Tensor
    clip_index: Tensor
    masks: Tensor
    meant: Tensor
    broken: Sequence[BrokenSample] = ()


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
    G = max(1, *(len(sentence.masks) for _, sentence in items))
    images = np.zeros((len(clips), T, height, width, 3), np.uint8)
    masks = np.zeros((len(items), G, T, height, width), np.uint8)
    meant = np.zeros((len(items), G), bool)
    for b, clip in enumerate(clips):
        images[b, :, : clip.frames.shape[1], : clip.frames.shape[2]] = clip.frames
    for i, (_, sentence) in enumerate(items):
        count, _, h, w = sentence.masks.shape
        masks[i, :count, :, :h, :w] = sentence.masks
        meant[i, :count] = True
    return ClipBatch(
        images=torch.from_numpy(images),
        extents=torch.tensor([clip.frames.shape[1:3] for clip in clips]),
        tokens=tokens,
        clip_index=torch.tensor([b for b, _ in items]),
        masks=torch.from_numpy(masks),
        meant=torch.from_numpy(meant),
        broken=tuple(sample for clip in clips for sample in clip.broken),
    )


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
