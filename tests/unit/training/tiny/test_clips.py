"""Clips with all their objects: what sentences mean and leave open, unknown words, frames far apart."""

import msgspec
import numpy as np
import torch

from ssa_stream.data import ExpressionType, SceneConfig, sample_clip
from ssa_stream.model.clip import tokenize
from ssa_stream.training.tiny.clips import (
    KnownObjects,
    TinyBatches,
    TinyClip,
    TinyClips,
    TinySentence,
    collate_tiny_clips,
)
from ssa_stream.training.tiny.config import TinyClipsStage, TinyData


def test_a_part_of_the_sentences_gets_unknown_words(tiny_stage: TinyClipsStage) -> None:
    """Whatever else a clip is stays; and devices together still see what one would."""
    noisy = msgspec.structs.replace(tiny_stage, batch=16, frames=(1, 1), unknown_words=0.5)
    batch, heard = (TinyBatches(s, 0, 0, 77)[1] for s in (noisy, msgspec.structs.replace(noisy, unknown_words=0.0)))
    assert torch.equal(batch.clips.images, heard.clips.images)
    assert torch.equal(batch.clips.masks, heard.clips.masks)
    changed = (batch.clips.tokens != heard.clips.tokens).any(dim=1).float().mean()
    assert 0.2 < changed < 0.6
    halves = [TinyBatches(noisy, 0, 0, 77, rank, 2)[1] for rank in (0, 1)]
    assert torch.equal(batch.clips.tokens, torch.cat([half.clips.tokens for half in halves]))


def test_collate_puts_what_is_meant_before_what_is_possible_and_that_before_the_rest() -> None:
    """What a sentence means is possible too, and all of it is known."""
    meant, possible, other = (np.full((1, 2, 32, 32), value, bool) for value in (False, True, False))
    none = np.zeros((0, 2, 32, 32), bool)
    sentences = (TinySentence("a", meant, possible, other), TinySentence("b", possible, none, none))
    objects = KnownObjects(possible, np.zeros((1, 3), np.int64))
    clip = TinyClip(np.zeros((2, 32, 32, 3), np.uint8), sentences, objects)
    batch = collate_tiny_clips([clip], tokenize(["a", "b"], 77))
    assert batch.known.tolist() == [[True, True, True], [True, False, False]]
    assert batch.possible.tolist() == [[True, True, False], [True, False, False]]
    assert batch.clips.meant.tolist() == [[True, False, False], [True, False, False]]
    assert batch.clips.masks.flatten(2).any(dim=2).tolist() == [[False, True, False], [True, False, False]]


def test_a_sentence_knows_all_objects_of_its_clip() -> None:
    """Each of them once."""
    source = TinyClips(TinyData(size=(64, 96), sentences=3, min_objects=3, max_objects=5), seed=0)
    for index in range(6):
        clip = source.clip(index, 5)
        for sentence in clip.sentences:
            groups = (sentence.masks, sentence.possible, sentence.others)
            masks = np.concatenate(groups)
            assert {mask.tobytes() for mask in masks} == {mask.tobytes() for mask in clip.objects.masks}
            assert len(masks) == len(clip.objects.masks)


def test_spread_frames_are_some_of_a_longer_clip_in_order() -> None:
    """With the masks of these very frames."""
    data = TinyData(size=(64, 96), sentences=2, min_objects=3, max_objects=3)
    spread = TinyData(size=(64, 96), sentences=2, min_objects=3, max_objects=3, spread=9)
    distances = set()
    for index in range(6):
        whole, part = TinyClips(data, 0).clip(index, 9), TinyClips(spread, 0).clip(index, 3)
        assert [s.text for s in whole.sentences] == [s.text for s in part.sentences]
        places = [next(t for t, frame in enumerate(whole.frames) if (frame == one).all()) for one in part.frames]
        assert len(places) == 3
        assert places == sorted(places)
        distances.add(places[1] - places[0])
        for long, short in zip(whole.sentences, part.sentences, strict=True):
            assert (long.masks[:, places] == short.masks).all()
            assert (long.others[:, places] == short.others).all()
    assert len(distances) > 1


def test_single_frames_of_a_clip_leave_open_what_only_motion_tells() -> None:
    """Of a sentence about motion alone all other objects, of one without motion none."""
    weights: dict[ExpressionType, float] = {"motion": 0.7, "appearance": 0.3}
    data = TinyData(size=(64, 96), min_objects=4, max_objects=4, type_weights=weights)
    scenes = SceneConfig(min_objects=4, max_objects=4)
    source, kinds = TinyClips(data, seed=0), set()
    for index in range(12):
        kind = sample_clip(data.first_seed + index, 6, data.size, config=scenes, type_weights=weights).expression.type
        clip = source.clip(index, 6)
        sentence = clip.sentences[0]
        kinds.add(kind)
        if kind == "motion":
            assert len(sentence.masks) + len(sentence.possible) == clip.objects.masks.any(axis=(1, 2, 3)).sum()
            assert not any((mask == sentence.masks).all() for mask in sentence.possible)
        if kind == "appearance":
            assert not len(sentence.possible)
    assert {"motion", "appearance"} <= kinds
    picture = TinyClips(data, seed=0).clip(0, 1)
    assert all(not len(sentence.possible) for sentence in picture.sentences)
