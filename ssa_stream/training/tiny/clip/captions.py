"""Captioned objects for CLIP: cut out of generated pictures, or in them."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ssa_stream.data import ATTRIBUTES, CaptionedObject, CaptionedPicture, Split, crop_object, sample_captioned_picture
from ssa_stream.model.clip import tokenize
from ssa_stream.training.tiny.clip.paraphrases import ParaphrasePool
from ssa_stream.training.tiny.config import ClipPretrainStage

__all__ = ["CaptionBatch", "CaptionBatches", "caption_batch"]

_CROP_STREAM, _PAIR_STREAM = 104, 107
_SEEDS_PER_IMAGE = 4
"""Kept for each image of a batch, since some pictures show nothing."""


class CaptionBatch(NamedTuple):
    """Pictures whose objects have captions, and sentences said twice. `R` objects of `B` pictures.

    Attributes:
        images: `(B, H, W, 3)` uint8.
        masks: Where each object is, `(R, H, W)` uint8.
        picture: Which picture each object is in, `(R,)` int64.
        attributes: Numbers of shape, colour and texture, see `captions.ATTRIBUTES`, `(R, 3)` int64.
        tokens: Of the captions, `(R, 77)` int64.
        fits: Whether a caption, a column, is true of an object, a row, `(R, R)` bool.
        paraphrases: Tokens of pairs of sentences that mean the same, `(P, 2, 77)` int64.
        equal: Whether two pairs mean the same, `(P, P)` bool.
    """

    images: Tensor
    masks: Tensor
    picture: Tensor
    attributes: Tensor
    tokens: Tensor
    fits: Tensor
    paraphrases: Tensor = torch.empty(0, 2, 0, dtype=torch.int64)
    equal: Tensor = torch.empty(0, 0, dtype=torch.bool)


class CaptionBatches(torch.utils.data.Dataset[CaptionBatch]):
    """Batch number `step` of one device.

    Args:
        stage: Sizes.
        seed: Seed of the run.
        context_length: Of the text tower.
        rank: Number of this device.
        world_size: Number of devices; they share a step's batch.
    """

    def __init__(self, stage: ClipPretrainStage, seed: int, context_length: int, rank: int, world_size: int) -> None:
        self._stage, self._seed, self._context = stage, seed, context_length
        self._rank, self._local, self._local_pairs = rank, stage.batch // world_size, stage.paraphrases // world_size
        self._pool = ParaphrasePool(stage.paraphrase_scenes, seed) if self._local_pairs else None

    def __len__(self) -> int:
        return self._stage.steps

    def __getitem__(self, step: int) -> CaptionBatch:
        size = self._stage.sizes[step % len(self._stage.sizes)]
        first = step * self._stage.batch + self._rank * self._local
        batch = caption_batch(self._stage.view, self._seed, first, self._local, size, self._context, "train")
        if self._pool is None:
            return batch
        rng = np.random.default_rng([self._seed, _PAIR_STREAM, step, self._rank])
        paraphrases, equal = self._pool.pairs(self._local_pairs, rng, self._context)
        return batch._replace(paraphrases=paraphrases, equal=equal)


def caption_batch(
    view: str, seed: int, first: int, count: int, size: tuple[int, int], context_length: int, split: Split
) -> CaptionBatch:
    """Images `first` to `first + count - 1`; equal arguments give the same batch on every machine.

    Args:
        view: `crops` or `pictures`, see `ClipPretrainStage`.
        seed: Seed of the run.
        first: Number of the first image.
        count: Number of images; each has one object, or all that a picture shows.
        size: Height and width of the pictures; crops are a third as high, rounded to multiples of 16.
        context_length: Of the text tower.
        split: Of the generator.
    """
    images: list[np.ndarray] = []
    masks: list[np.ndarray] = []
    shown: list[CaptionedObject] = []
    owner: list[int] = []
    number = _SEEDS_PER_IMAGE * (seed + first)
    while len(images) < count:
        picture = sample_captioned_picture(number, size, split)
        number += 1
        if not picture.objects:
            continue
        if view == "pictures":
            owner += [len(images)] * len(picture.objects)
            images.append(picture.image)
            masks += [item.mask for item in picture.objects]
            shown += picture.objects
            continue
        for item, (pixels, mask) in zip(picture.objects, _crops(picture, number, size), strict=True):
            owner.append(len(images))
            images.append(pixels)
            masks.append(mask)
            shown.append(item)
    if view == "crops":
        images, masks, shown, owner = images[:count], masks[:count], shown[:count], owner[:count]
    attributes = [
        [values.index(getattr(item.appearance, name)) for name, values in ATTRIBUTES.items()] for item in shown
    ]
    return CaptionBatch(
        images=torch.from_numpy(np.stack(images)),
        masks=torch.from_numpy(np.stack(masks).astype(np.uint8)),
        picture=torch.tensor(owner),
        attributes=torch.tensor(attributes),
        tokens=tokenize([item.caption for item in shown], context_length),
        fits=torch.tensor([[caption.claims <= item.facts for caption in shown] for item in shown]),
    )


def _crops(picture: CaptionedPicture, number: int, size: tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng([number, _CROP_STREAM])
    side = max(32, round(min(size) / 48) * 16)
    return [crop_object(picture, index, side, rng) for index in range(len(picture.objects))]
