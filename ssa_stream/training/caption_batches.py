"""Images with captions for CLIP: objects cut out of generated scenes, and whole scenes."""

import numpy as np
import torch

from ssa_stream.data import CaptionedImage, SceneConfig, Split, object_crop, sample_scene, sample_scene_image
from ssa_stream.data.synthetic.render import render_labels
from ssa_stream.model.clip import tokenize
from ssa_stream.training.batch import ImageBatch
from ssa_stream.training.config import ClipPretrainStage
from ssa_stream.training.paraphrases import ParaphrasePool

__all__ = ["CaptionBatches", "caption_batch"]

_CROPS_PER_SCENE = 8
_CANVAS_PX = 128
_LATEST_FRAME = 200
_SEEN_FRACTION = 0.5
_FRAME_TRIES = 6
_PAIR_STREAM = 107


class CaptionBatches(torch.utils.data.Dataset[ImageBatch]):
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

    def __getitem__(self, step: int) -> ImageBatch:
        first = step * self._stage.batch + self._rank * self._local
        batch = caption_batch(self._stage, self._seed, first, self._local, self._context, "train")
        if self._pool is None:
            return batch
        rng = np.random.default_rng([self._seed, _PAIR_STREAM, step, self._rank])
        return ImageBatch(*batch[:3], *self._pool.pairs(self._local_pairs, rng, self._context))


def caption_batch(
    stage: ClipPretrainStage, seed: int, first: int, count: int, context_length: int, split: Split
) -> ImageBatch:
    """Images `first` to `first + count - 1`; equal arguments give the same batch on every machine."""
    num_scenes = round(count * stage.scene_fraction)
    pictures = [sample_scene_image(seed + first + index, stage.image_px, split) for index in range(num_scenes)]
    index = first + num_scenes
    while len(pictures) < count:
        pictures += _crops(seed + index, stage.image_px, split)[: count - len(pictures)]
        index += 1
    images = torch.from_numpy(np.stack([picture.image for picture in pictures]))
    fits = torch.tensor([[caption.claims <= picture.facts for caption in pictures] for picture in pictures])
    return ImageBatch(images, tokenize([picture.caption for picture in pictures], context_length), fits)


def _crops(seed: int, size: int, split: Split) -> list[CaptionedImage]:
    """Several objects of one scene, each in a frame that shows it well; drawing a scene costs more than a crop."""
    scene = sample_scene(
        seed, split=split, config=SceneConfig(size=(_CANVAS_PX, _CANVAS_PX), min_objects=2, max_objects=4)
    )
    rng = np.random.default_rng([seed, 104])
    crops = []
    for _ in range(_FRAME_TRIES):
        t = int(rng.integers(_LATEST_FRAME))
        labels = render_labels(scene, t)
        visible = np.count_nonzero(labels.masks, axis=(1, 2))
        for row in np.flatnonzero(visible > np.maximum(_SEEN_FRACTION * labels.whole_px, 1.0)):
            crops.append(object_crop(scene, scene.ids[int(row)], t, size, rng))
        if len(crops) >= _CROPS_PER_SCENE:
            break
    return crops[:_CROPS_PER_SCENE]
