"""Batches: pure functions of seed and step, shared evenly, padded as the network pads."""

import msgspec
import numpy as np
import pytest
import torch

from ssa_stream.errors import ConfigError
from ssa_stream.model.clip import tokenize
from ssa_stream.model.preprocess import to_input
from ssa_stream.training.config import ClipsStage
from ssa_stream.training.data.batch import Sentence, TrainingClip, collate_clips, normalize
from ssa_stream.training.data.clip_batches import ClipBatches, open_clips, step_seed
from ssa_stream.training.data.settings import SyntheticData
from ssa_stream.training.data.synthetic_clips import SyntheticClips


def test_clip_batch_is_a_function_of_the_step(stage: ClipsStage) -> None:
    """Asked for again, in another order, by another object: the same."""
    first = ClipBatches(stage, open_clips(stage, 3, 1), 3, 77)
    second = ClipBatches(stage, open_clips(stage, 3, 1), 3, 77)
    second[0]
    for one, other in zip(first[2][:-1], second[2][:-1], strict=True):  # the last field are samples that were skipped
        assert torch.equal(one, other)
    assert not torch.equal(first[1].images, first[2].images)


def test_devices_share_a_batch(stage: ClipsStage) -> None:
    """Together they see what one device would see."""
    whole = ClipBatches(stage, open_clips(stage, 0, 0), 0, 77)[1]
    halves = [ClipBatches(stage, open_clips(stage, 0, 0), 0, 77, rank, 2)[1] for rank in (0, 1)]
    assert torch.equal(whole.images, torch.cat([half.images for half in halves]))
    assert torch.equal(whole.tokens, torch.cat([half.tokens for half in halves]))
    with pytest.raises(ConfigError, match="cannot be shared by 3"):
        ClipBatches(stage, open_clips(stage, 0, 0), 0, 77, 0, 3)


def test_length_is_drawn_per_step_within_the_range(stage: ClipsStage) -> None:
    """All lengths occur."""
    batches = ClipBatches(msgspec.structs.replace(stage, frames=(1, 3), batch=1), open_clips(stage, 0, 0), 0, 77)
    assert {batches[step].images.shape[1] for step in range(12)} == {1, 2, 3}


def test_repeated_clips_come_in_new_order_each_round() -> None:
    """Every clip once a round."""
    source = SyntheticClips(SyntheticData(size=(32, 64), num_clips=5), seed=1)
    rounds = [[source.clip(index, 1).frames.tobytes() for index in range(5 * r, 5 * r + 5)] for r in (0, 1)]
    assert set(rounds[0]) == set(rounds[1])
    assert len(set(rounds[0])) == 5
    assert rounds[0] != rounds[1]


def test_stages_see_different_clips(stage: ClipsStage) -> None:
    """Unless clips are repeated on purpose."""
    first, second = (open_clips(stage, 0, number).clip(0, 1).frames for number in (0, 1))
    assert not np.array_equal(first, second)


def test_further_sentences_differ_and_have_masks(stage: ClipsStage) -> None:
    """They are about the same clip."""
    source = SyntheticClips(SyntheticData(size=(64, 96), sentences=3), seed=0)
    clips = [source.clip(index, 2) for index in range(4)]
    assert any(len(clip.sentences) == 3 for clip in clips)
    for clip in clips:
        assert len({sentence.text for sentence in clip.sentences}) == len(clip.sentences)
        assert all(sentence.masks.shape[1:] == clip.frames.shape[:3] for sentence in clip.sentences)


def test_collate_pads_clips_to_each_other() -> None:
    """To a multiple of 32; objects to the largest number, at least one."""
    clips = [
        TrainingClip(np.full((2, 30, 40, 3), 7, np.uint8), (Sentence("a", np.ones((2, 2, 30, 40), bool)),)),
        TrainingClip(np.full((2, 33, 20, 3), 7, np.uint8), (Sentence("b", np.ones((0, 2, 33, 20), bool)),) * 2),
    ]
    batch = collate_clips(clips, tokenize(["a", "b", "b"], 77))
    assert batch.images.shape == (2, 2, 64, 64, 3)
    assert batch.extents.tolist() == [[30, 40], [33, 20]]
    assert batch.clip_index.tolist() == [0, 1, 1]
    assert batch.meant.tolist() == [[True, True], [False, False], [False, False]]
    assert batch.masks.shape == (3, 2, 2, 64, 64)
    assert int(batch.masks.sum()) == 2 * 2 * 30 * 40


def test_normalize_equals_the_networks_own_preprocessing() -> None:
    """Padding is 0 after normalisation, not before."""
    frames = np.random.default_rng(0).integers(0, 256, (2, 30, 40, 3), dtype=np.uint8)
    clip = TrainingClip(frames, (Sentence("a", np.zeros((0, 2, 30, 40), bool)),))
    batch = collate_clips([clip], tokenize(["a"], 77))
    torch.testing.assert_close(normalize(batch.images, batch.extents)[0], to_input(list(frames)))


def test_step_seed_differs_by_step_stage_and_device() -> None:
    """No two steps share their chance."""
    seeds = {step_seed(0, stage, step, rank) for stage in range(2) for step in range(3) for rank in range(2)}
    assert len(seeds) == 12
