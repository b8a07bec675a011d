"""Batches: pure functions of seed and step, shared evenly, padded as the network pads."""

from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from ssa_stream.data import ExpressionType, SceneConfig, sample_clip
from ssa_stream.errors import ConfigError
from ssa_stream.model.clip import tokenize
from ssa_stream.model.preprocess import to_input
from ssa_stream.training.config.data import SyntheticData
from ssa_stream.training.config.stages import ClipPretrainStage, ClipsStage
from ssa_stream.training.data.batch import Sentence, TrainingClip, collate_clips, normalize
from ssa_stream.training.data.clip_batches import ClipBatches, open_source
from ssa_stream.training.data.synthetic_clips import SyntheticClips, photometric
from ssa_stream.training.loop.step_seed import step_seed
from ssa_stream.training.tiny.clip.captions import CaptionBatches


def test_clip_batch_is_a_function_of_the_step(stage: ClipsStage) -> None:
    """Asked for again, in another order, by another object: the same."""
    first = ClipBatches(stage, open_source(stage, 3, 1), 3, 77)
    second = ClipBatches(stage, open_source(stage, 3, 1), 3, 77)
    second[0]
    for one, other in zip(first[2], second[2], strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(first[1].images, first[2].images)


def test_devices_share_a_batch(stage: ClipsStage) -> None:
    """Together they see what one device would see."""
    whole = ClipBatches(stage, open_source(stage, 0, 0), 0, 77)[1]
    halves = [ClipBatches(stage, open_source(stage, 0, 0), 0, 77, rank, 2)[1] for rank in (0, 1)]
    assert torch.equal(whole.images, torch.cat([half.images for half in halves]))
    assert torch.equal(whole.tokens, torch.cat([half.tokens for half in halves]))
    with pytest.raises(ConfigError, match="cannot be shared by 3"):
        ClipBatches(stage, open_source(stage, 0, 0), 0, 77, 0, 3)


def test_a_part_of_the_sentences_gets_unknown_words(stage: ClipsStage) -> None:
    """Whatever else a clip is stays; and devices together still see what one would."""
    noisy = msgspec.structs.replace(stage, batch=16, frames=(1, 1), unknown_words=0.5)
    batch, heard = (
        ClipBatches(s, open_source(s, 0, 0), 0, 77)[1]
        for s in (noisy, msgspec.structs.replace(noisy, unknown_words=0.0))
    )
    assert torch.equal(batch.images, heard.images)
    assert torch.equal(batch.masks, heard.masks)
    changed = (batch.tokens != heard.tokens).any(dim=1).float().mean()
    assert 0.2 < changed < 0.6
    halves = [ClipBatches(noisy, open_source(noisy, 0, 0), 0, 77, rank, 2)[1] for rank in (0, 1)]
    assert torch.equal(batch.tokens, torch.cat([half.tokens for half in halves]))


def test_length_is_drawn_per_step_within_the_range(stage: ClipsStage) -> None:
    """All lengths occur."""
    batches = ClipBatches(msgspec.structs.replace(stage, frames=(1, 3), batch=1), open_source(stage, 0, 0), 0, 77)
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
    first, second = (open_source(stage, 0, number).clip(0, 1).frames for number in (0, 1))
    assert not np.array_equal(first, second)


def test_further_sentences_differ_and_have_masks(stage: ClipsStage) -> None:
    """They are about the same clip."""
    source = SyntheticClips(SyntheticData(size=(64, 96), sentences=3), seed=0)
    clips = [source.clip(index, 2) for index in range(4)]
    assert any(len(clip.sentences) == 3 for clip in clips)
    for clip in clips:
        assert len({sentence.text for sentence in clip.sentences}) == len(clip.sentences)
        assert all(sentence.masks.shape[1:] == clip.frames.shape[:3] for sentence in clip.sentences)


def test_photometric_change_is_shared_by_the_frames() -> None:
    """A flat grey clip stays equal over time but for noise."""
    changed = photometric(np.full((3, 8, 8, 3), 90, np.uint8), 0.2, np.random.default_rng(0))
    means = changed.reshape(3, -1).mean(axis=1)
    assert np.ptp(means) < 3
    assert abs(means[0] - 90) > 1


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
    assert batch.possible.tolist() == batch.meant.tolist() == [[True, True], [False, False], [False, False]]
    assert batch.masks.shape == (3, 2, 2, 64, 64)
    assert int(batch.masks.sum()) == 2 * 2 * 30 * 40


def test_collate_puts_what_is_meant_before_what_is_possible() -> None:
    """What a sentence means is possible too."""
    meant, other = (np.full((1, 2, 32, 32), value, bool) for value in (False, True))
    clip = TrainingClip(np.zeros((2, 32, 32, 3), np.uint8), (Sentence("a", meant, other), Sentence("b", other)))
    batch = collate_clips([clip], tokenize(["a", "b"], 77))
    assert batch.possible.tolist() == [[True, True], [True, False]]
    assert batch.meant.tolist() == [[True, False], [True, False]]
    assert batch.masks.flatten(2).any(dim=2).tolist() == [[False, True], [True, False]]


def test_collate_puts_what_else_there_is_last() -> None:
    """It is known, and neither meant nor possible."""
    meant, possible, other = (np.full((1, 2, 32, 32), value, bool) for value in (True, False, True))
    clip = TrainingClip(np.zeros((2, 32, 32, 3), np.uint8), (Sentence("a", meant, possible, other),))
    batch = collate_clips([clip], tokenize(["a"], 77))
    assert batch.known.tolist() == [[True, True, True]]
    assert batch.possible.tolist() == [[True, True, False]]
    assert batch.meant.tolist() == [[True, False, False]]
    assert batch.masks.flatten(2).any(dim=2).tolist() == [[True, False, True]]


def test_a_sentence_knows_all_objects_of_its_clip() -> None:
    """Each of them once."""
    source = SyntheticClips(SyntheticData(size=(64, 96), sentences=3, min_objects=3, max_objects=5), seed=0)
    for index in range(6):
        clip = source.clip(index, 5)
        assert clip.objects is not None
        for sentence in clip.sentences:
            groups = (sentence.masks, sentence.possible, sentence.others)
            masks = np.concatenate([group for group in groups if group is not None])
            assert {mask.tobytes() for mask in masks} == {mask.tobytes() for mask in clip.objects.masks}
            assert len(masks) == len(clip.objects.masks)


def test_spread_frames_are_some_of_a_longer_clip_in_order() -> None:
    """With the masks of these very frames."""
    data = SyntheticData(size=(64, 96), sentences=2, min_objects=3, max_objects=3)
    spread = SyntheticData(size=(64, 96), sentences=2, min_objects=3, max_objects=3, spread=9)
    distances = set()
    for index in range(6):
        whole, part = SyntheticClips(data, 0).clip(index, 9), SyntheticClips(spread, 0).clip(index, 3)
        assert [s.text for s in whole.sentences] == [s.text for s in part.sentences]
        places = [next(t for t, frame in enumerate(whole.frames) if (frame == one).all()) for one in part.frames]
        assert len(places) == 3
        assert places == sorted(places)
        distances.add(places[1] - places[0])
        for long, short in zip(whole.sentences, part.sentences, strict=True):
            assert (long.masks[:, places] == short.masks).all()
            assert long.others is not None
            assert short.others is not None
            assert (long.others[:, places] == short.others).all()
    assert len(distances) > 1


def test_single_frames_of_a_clip_leave_open_what_only_motion_tells() -> None:
    """Of a sentence about motion alone all other objects, of one without motion none."""
    weights: dict[ExpressionType, float] = {"motion": 0.7, "appearance": 0.3}
    data = SyntheticData(size=(64, 96), min_objects=4, max_objects=4, type_weights=weights)
    scenes = SceneConfig(min_objects=4, max_objects=4)
    source, kinds = SyntheticClips(data, seed=0), set()
    for index in range(12):
        kind = sample_clip(data.first_seed + index, 6, data.size, config=scenes, type_weights=weights).expression.type
        clip = source.clip(index, 6)
        sentence = clip.sentences[0]
        kinds.add(kind)
        if kind == "motion":
            assert sentence.possible is not None
            assert clip.objects is not None
            assert len(sentence.masks) + len(sentence.possible) == clip.objects.masks.any(axis=(1, 2, 3)).sum()
            assert not any((mask == sentence.masks).all() for mask in sentence.possible)
        if kind == "appearance":
            assert sentence.possible is None
    assert {"motion", "appearance"} <= kinds
    picture = SyntheticClips(data, seed=0).clip(0, 1)
    assert all(sentence.possible is None for sentence in picture.sentences)


def test_normalize_equals_the_networks_own_preprocessing() -> None:
    """Padding is 0 after normalisation, not before."""
    frames = np.random.default_rng(0).integers(0, 256, (2, 30, 40, 3), dtype=np.uint8)
    clip = TrainingClip(frames, (Sentence("a", np.zeros((0, 2, 30, 40), bool)),))
    batch = collate_clips([clip], tokenize(["a"], 77))
    torch.testing.assert_close(normalize(batch.images, batch.extents)[0], to_input(list(frames)))


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


def test_step_seed_differs_by_step_stage_and_device() -> None:
    """No two steps share their chance."""
    seeds = {step_seed(0, stage, step, rank) for stage in range(2) for step in range(3) for rank in range(2)}
    assert len(seeds) == 12
