"""Captioned pictures of generated scenes."""

from typing import Any

import pytest
import torch

from ssa_stream.training.config import ClipsStage
from ssa_stream.training.tiny.clip.captions import CaptionBatches
from ssa_stream.training.tiny.config import ClipPretrainStage


@pytest.mark.parametrize(("view", "shape"), [("crops", (8, 32, 32, 3)), ("pictures", (8, 64, 96, 3))])
def test_caption_batch_is_a_function_of_the_step(stage: ClipsStage, view: Any, shape: tuple[int, ...]) -> None:
    """As for clips; a crop has one object, a picture all that it shows."""
    clip_stage = ClipPretrainStage(
        name="clip", steps=4, batch=8, view=view, sizes=((64, 96), (128, 160)), optimizer=stage.optimizer
    )
    batches = CaptionBatches(clip_stage, 0, 77, 0, 1)
    first, second = (CaptionBatches(clip_stage, 0, 77, 0, 1)[2] for _ in range(2))
    assert first.images.shape == shape
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    objects = len(first.picture)
    assert objects == 8 if view == "crops" else objects > 8
    assert first.masks.shape == (objects, *shape[1:3])
    assert (first.masks.flatten(1).sum(dim=1) >= 20).all()
    assert first.attributes.amax(dim=0).le(torch.tensor([9, 9, 3])).all()
    assert first.fits.diagonal().all()
    assert not torch.equal(batches[0].images, first.images)
    assert batches[1].images.shape != first.images.shape


@pytest.mark.parametrize("view", ["crops", "pictures"])
def test_devices_and_steps_see_other_captioned_images(stage: ClipsStage, view: Any) -> None:
    """The devices' parts add up to the batch, and nothing is seen twice."""
    clip_stage = ClipPretrainStage(
        name="clip", steps=2, batch=4, view=view, sizes=((64, 96),), optimizer=stage.optimizer
    )
    parts = [CaptionBatches(clip_stage, 0, 77, rank, 2)[step].images for rank in (0, 1) for step in (0, 1)]
    assert [len(part) for part in parts] == [2] * 4
    assert len({image.tobytes() for part in parts for image in part.numpy()}) == 8
