"""Training clips and captioned pictures."""

import re
from dataclasses import replace

import numpy as np
import pytest

from ssa_stream.data import (
    ATTRIBUTES,
    HELD_OUT_PHRASES,
    CaptionedObject,
    CaptionedPicture,
    SceneConfig,
    Split,
    captioned_picture,
    crop_object,
    demo_scene,
    render,
    sample_captioned_picture,
    sample_clip,
    sample_scene,
)
from ssa_stream.data.synthetic.possible import find_possible
from ssa_stream.data.synthetic.predicates import Described
from ssa_stream.data.synthetic.truth import observe
from ssa_stream.errors import ConfigError

PHRASES = re.compile(r"\b(" + "|".join(map(re.escape, HELD_OUT_PHRASES)) + r")(s|es)?\b")


@pytest.mark.parametrize("num_frames", [1, 2, 8])
def test_clip_frames_and_masks_are_those_of_its_scene(num_frames: int) -> None:
    """Frame `t0 + k` of the scene is frame `k` of the clip."""
    for seed in range(8):
        clip = sample_clip(seed, num_frames, (72, 126), "val")
        assert clip.frames.shape == (num_frames, 72, 126, 3)
        assert clip.masks.shape == (len(clip.ids), num_frames, 72, 126)
        assert clip.ids == clip.expression.target_ids
        for offset in range(num_frames):
            frame = render(clip.scene, clip.t0 + offset)
            np.testing.assert_array_equal(clip.frames[offset], frame.image)
            for row, object_id in enumerate(clip.ids):
                np.testing.assert_array_equal(clip.masks[row, offset], frame.masks[frame.ids.index(object_id)])


def test_clip_of_one_seed_is_always_the_same_and_others_differ() -> None:
    """Seeds are all there is to a clip."""
    first, again, other = (sample_clip(seed, 4, (64, 96)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.frames, again.frames)
    assert first.expression == again.expression
    assert not np.array_equal(first.frames, other.frames)


def test_clip_of_every_seed_has_a_sentence_even_where_little_is_seen() -> None:
    """Also with one object, which may be hidden."""
    config = SceneConfig(min_objects=1, max_objects=1, occluders=1.0)
    for seed in range(60):
        assert sample_clip(seed, 1 + seed % 5, (32, 48), config=config).text


def test_clip_type_weights_choose_the_type() -> None:
    """Asked for sentences without a target, it gives no others."""
    assert {sample_clip(seed, 4, (32, 48), type_weights={"no_target": 1.0}).type for seed in range(20)} == {"no_target"}


def test_clip_without_any_weight_is_refused() -> None:
    """With what was given."""
    with pytest.raises(ConfigError, match="type_weights"):
        sample_clip(0, 1, type_weights={"motion": 1.0})


def test_clip_of_no_frames_is_refused() -> None:
    """It could not be drawn."""
    with pytest.raises(ConfigError, match="num_frames"):
        sample_clip(0, 0)


def test_captioned_picture_knows_what_it_shows() -> None:
    """Masks, looks and what is true of the objects; an object crop has the object in it, at the picture's scale."""
    rng = np.random.default_rng(0)
    picture = captioned_picture(demo_scene(320, 180), 0, rng)
    red = next(item for item in picture.objects if ("colour", "red") in item.facts)
    assert {("shape", "circle"), ("colour", "red"), ("texture", "plain")} < red.facts
    assert red.appearance.shape == "circle"
    is_red = (picture.image[..., 0] > 170) & (picture.image[..., 1] < 90)
    assert is_red[red.mask].mean() > 0.9
    pixels, mask = crop_object(picture, picture.objects.index(red), 96, rng)
    assert pixels.shape == (96, 96, 3)
    assert mask.sum() == red.mask.sum()
    assert np.array_equal(pixels[mask], picture.image[red.mask])


def test_crop_at_the_border_repeats_the_edge() -> None:
    """So that no crop is smaller."""
    image, mask = np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), bool)
    image[:4, :4], mask[:4, :4] = 200, True
    known = sample_captioned_picture(0).objects[0]
    picture = CaptionedPicture(image, (replace(known, mask=mask),))
    pixels, cut = crop_object(picture, 0, 32, np.random.default_rng(0))
    assert pixels.shape == (32, 32, 3)
    assert cut.sum() == 16
    assert (pixels[..., 0] == 200).sum() > 16


def _captions(count: int, split: Split = "train") -> list[CaptionedObject]:
    return [item for seed in range(count) for item in sample_captioned_picture(seed, split=split).objects]


def test_captions_claim_what_is_true_of_their_object_and_often_one_thing_only() -> None:
    """So that it can be worked out which captions fit which objects."""
    items = _captions(20)
    assert all(item.claims and item.claims <= item.facts for item in items)
    assert 0.25 < np.mean([len(item.claims) == 1 for item in items]) < 0.8
    assert any(a.claims <= b.facts and a.caption != b.caption for a in items for b in items)
    by_claims = {next(iter(item.claims))[0] for item in items if len(item.claims) == 1}
    assert by_claims == {"shape", "texture", "colour"}
    assert all(
        getattr(item.appearance, name) in values and (name, getattr(item.appearance, name)) in item.facts
        for item in items
        for name, values in ATTRIBUTES.items()
    )


def test_captions_vary_and_keep_held_out_words_from_training() -> None:
    """Wide wording in training, new words in validation."""
    train = [item.caption for item in _captions(30)]
    val = [item.caption for item in _captions(20, "val")]
    assert len(set(train)) > 0.7 * len(train)
    assert not any(PHRASES.search(caption) for caption in train)
    assert any(PHRASES.search(caption) for caption in val)
    assert not any(re.search(r"\ba [aeiou]|\ban [^aeiou]", caption) for caption in train + val)


def test_captioned_pictures_of_one_seed_are_the_same() -> None:
    """Pixels and words."""
    first, again = sample_captioned_picture(4), sample_captioned_picture(4)
    np.testing.assert_array_equal(first.image, again.image)
    assert [item.caption for item in first.objects] == [item.caption for item in again.objects]


def test_motion_said_of_a_picture_may_mean_all_that_looks_so() -> None:
    """Every object of a sentence that names no looks; of others, those that fit."""
    seen = set()
    for seed in range(30):
        scene = sample_scene(seed, config=SceneConfig(size=(96, 160), min_objects=3, max_objects=4))
        present = {
            item for item, verdict in zip(scene.ids, observe(scene, 0, 1).truth.presence, strict=True) if verdict
        }
        rng = np.random.default_rng(seed)
        if (sentence := find_possible(scene, 0, rng, "motion")) is not None:
            assert set(sentence.target_ids) == present
            seen.add("motion")
        if (sentence := find_possible(scene, 0, rng, "appearance_motion")) is not None:
            assert isinstance(sentence.described, Described)
            wanted = sentence.described.attributes
            looks = {thing.object_id: thing.appearance for thing in scene.objects}
            for name in ("shape", "colour", "texture"):
                if (value := getattr(wanted, name)) is not None:
                    assert all(getattr(looks[item], name) == value for item in sentence.target_ids)
            assert set(sentence.target_ids) <= present
            seen.add("fewer" if len(sentence.target_ids) < len(present) else "all")
        if (sentence := find_possible(scene, 0, rng, "no_target")) is not None:
            assert sentence.target_ids == ()
            assert isinstance(sentence.described, Described)
            assert sentence.described.claims
            looks_so = sentence.described.attributes.judge(observe(scene, 0, 1).truth)
            assert not any(looks_so), "nothing looks so, whatever it does"
            seen.add("none")
    assert {"motion", "fewer", "none"} <= seen
