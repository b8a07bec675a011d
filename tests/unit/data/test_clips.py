"""Training clips and captioned images."""

import re

import numpy as np
import pytest

from ssa_stream.data import (
    HELD_OUT_PHRASES,
    SceneConfig,
    demo_scene,
    object_crop,
    render,
    sample_clip,
    sample_object_crop,
    sample_scene_image,
)
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


def test_object_crop_shows_the_object_and_knows_it() -> None:
    """Its colour fills a good part of the picture."""
    crop = object_crop(demo_scene(320, 180), 1, 0, 48, np.random.default_rng(0))
    assert crop.image.shape == (48, 48, 3)
    red = (crop.image[..., 0] > 170) & (crop.image[..., 1] < 90)
    assert red.mean() > 0.15
    assert {("shape", "circle"), ("colour", "red"), ("texture", "plain")} < crop.facts


def test_object_crop_of_a_stranger_is_refused() -> None:
    """With the ids there are."""
    with pytest.raises(ConfigError, match="object 99"):
        object_crop(demo_scene(), 99, 0, 32, np.random.default_rng(0))


def test_captions_claim_what_is_true_of_their_image_and_often_one_thing_only() -> None:
    """So that it can be worked out which captions fit which images."""
    crops = [sample_object_crop(seed, 32) for seed in range(60)]
    assert all(crop.claims and crop.claims <= crop.facts for crop in crops)
    assert 15 < sum(len(crop.claims) == 1 for crop in crops) < 50
    assert any(a.claims <= b.facts and a.caption != b.caption for a in crops for b in crops)
    by_claims = {next(iter(crop.claims))[0] for crop in crops if len(crop.claims) == 1}
    assert by_claims == {"shape", "texture", "colour"}


def test_captions_vary_and_keep_held_out_words_from_training() -> None:
    """Wide wording in training, new words in validation."""
    train = [sample_object_crop(seed, 32).caption for seed in range(60)]
    train += [sample_scene_image(seed, 32).caption for seed in range(30)]
    val = [sample_object_crop(seed, 32, "val").caption for seed in range(60)]
    assert len(set(train)) > 70
    assert not any(PHRASES.search(caption) for caption in train)
    assert any(PHRASES.search(caption) for caption in val)
    assert not any(re.search(r"\ba [aeiou]|\ban [^aeiou]", caption) for caption in train + val)


def test_captioned_images_of_one_seed_are_the_same() -> None:
    """Both kinds."""
    for sample in (sample_object_crop, sample_scene_image):
        first, again = sample(4, 40), sample(4, 40)
        np.testing.assert_array_equal(first.image, again.image)
        assert first.caption == again.caption
