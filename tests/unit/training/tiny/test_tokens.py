"""What tokens know: looks of all objects under every sentence, and which tokens are meant."""

import math

import pytest
import torch

from ssa_stream.training.data.batch import ClipBatch
from ssa_stream.training.tiny.attributes import TokenHeads, look_loss, reference_loss
from ssa_stream.training.tiny.clips import TinyBatch, TinyBatches
from ssa_stream.training.tiny.config import TinyClipsStage

_SIZES = ((1, 1), (2, 2), (4, 4))


def _batch(masks: torch.Tensor, clips: list[int], attributes: list[list[int]], items: list[int]) -> TinyBatch:
    T = masks.shape[1]
    nothing = torch.zeros(len(items), 1, dtype=torch.bool)
    return TinyBatch(
        clips=ClipBatch(
            images=torch.zeros(2, T, 32, 32, 3, dtype=torch.uint8),
            extents=torch.full((2, 2), 32),
            tokens=torch.zeros(len(items), 77, dtype=torch.int64),
            clip_index=torch.tensor(items),
            masks=torch.zeros(len(items), 1, T, 32, 32, dtype=torch.uint8),
            meant=nothing,
        ),
        possible=nothing,
        known=nothing,
        object_masks=masks,
        object_clip=torch.tensor(clips),
        object_attributes=torch.tensor(attributes),
    )


def test_looks_are_asked_of_each_object_under_each_sentence_of_its_clip() -> None:
    """Two sentences on the first clip, one on the second; an object that a frame does not show is not asked for."""
    masks = torch.zeros(2, 2, 32, 32, dtype=torch.uint8)
    masks[0, :, :16, :16] = masks[1, 1, 16:, 16:] = 1
    batch = _batch(masks, [0, 1], [[1, 2, 3], [4, 5, 0]], [0, 0, 1])
    heads = TokenHeads(8)
    seen = []
    heads.looks.register_forward_hook(lambda module, inputs, output: seen.append(inputs))
    memories = [torch.arange(6.0)[:, None, None, None].expand(-1, 8, *size) for size in _SIZES]
    look_loss(heads, [memories], batch)
    (means, attributes), *_ = seen
    assert means[2][:, 0].tolist() == [0, 1, 2, 3, 5]  # frame of item: two frames of items 0 and 1, the last of item 2
    assert attributes.tolist() == [[1, 2, 3]] * 4 + [[4, 5, 0]]


def test_without_objects_there_is_no_loss_of_looks() -> None:
    """Data sets with masks only have none."""
    batch = _batch(torch.zeros(0, 1, 32, 32, dtype=torch.uint8), [], [], [0, 1])
    batch = batch._replace(object_attributes=torch.zeros(0, 3, dtype=torch.int64))
    assert not look_loss(TokenHeads(8), [[torch.zeros(2, 8, *size) for size in _SIZES]], batch)


def test_tokens_that_are_meant_are_those_that_are_covered() -> None:
    """Memories that hold how far tokens are covered give a small loss, and the opposite a large one."""
    masks = torch.zeros(1, 2, 1, 32, 32, dtype=torch.uint8)
    masks[0, 0, 0, :16, :16] = masks[0, 1, 0, 16:, 16:] = 1
    covered = torch.eye(2)
    heads = TokenHeads(1)
    for level in range(3):
        torch.nn.init.constant_(heads.is_meant.get_parameter(f"{level}.weight"), 40.0)
    maps = [torch.zeros(1, 1, 1, 1), covered[None, None] - 0.5, covered.kron(torch.ones(2, 2))[None, None] - 0.5]
    half = math.log(2)  # the one token of the coarsest level is half covered
    assert float(reference_loss(heads, maps, masks).detach()) == pytest.approx(half, abs=1e-3)
    assert float(reference_loss(heads, [-m for m in maps], masks).detach()) > 50
    assert float(reference_loss(heads, maps, masks * 0).detach()) > 50


def test_generated_clips_know_the_looks_of_all_objects(tiny_stage: TinyClipsStage) -> None:
    """Also of those that no sentence means; meant ones are among them."""
    batch = TinyBatches(tiny_stage, 0, 0, 77)[0]
    assert batch.object_masks.shape[1:] == batch.clips.images.shape[1:4]
    assert set(batch.object_clip.tolist()) <= set(range(len(batch.clips.images)))
    for item, clip in enumerate(batch.clips.clip_index.tolist()):
        known = batch.object_masks[batch.object_clip == clip]
        for mask in batch.clips.masks[item][batch.possible[item]]:
            assert any(torch.equal(mask, other) for other in known)
