"""Clips of the MeViS format: frames around a reference, one augmentation for all frames."""

from pathlib import Path

import numpy as np
import pytest

from ssa_stream.data import SceneConfig, write_mevis
from ssa_stream.errors import ConfigError
from ssa_stream.training.data.augmentation import AugmentedClip, augment_clip, names_side, sample_frames


def test_sample_frames_stay_near_the_reference() -> None:
    """Sorted, within twice the range, cut at the ends; repeats are allowed, of others than the reference."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        chosen = sample_frames(40, 8, 10, rng)
        assert len(chosen) == 8
        assert (np.diff(chosen) >= 0).all()
        assert chosen[-1] - chosen[0] <= 20
        assert 0 <= chosen[0]
        assert chosen[-1] < 40
    assert sample_frames(1, 3, 10, rng).tolist() == [0, 0, 0]


def _clip(height: int = 60, width: int = 100) -> AugmentedClip:
    """A bright square that is its own mask."""
    frames = np.zeros((4, height, width, 3), np.uint8)
    frames[:, 20:40, 10:40] = 255
    return AugmentedClip(frames, frames[None, ..., 0] > 0)


@pytest.mark.parametrize("crop", [0.0, 1.0], ids=["whole", "cropped"])
def test_augmentation_moves_masks_with_pixels(crop: float) -> None:
    """After any draw the mask still is where the pixels are bright, up to interpolation."""
    data = MevisData(folder="", crop_probability=crop, flip_probability=0.5)
    for seed in range(3):
        clip = augment_clip(_clip(), "the square", data, np.random.default_rng(seed))
        assert clip.frames.shape[:3] == clip.masks.shape[1:]
        assert min(clip.frames.shape[1:3]) <= 512
        bright = clip.frames[..., 0] > 127
        assert (bright != clip.masks[0]).mean() < 0.02


def test_sided_sentences_are_not_flipped_unless_asked_for() -> None:
    """The published training flips them and leaves the words."""
    for sided, text, flips in ((False, "the left one", False), (True, "the left one", True), (False, "it", True)):
        data = MevisData(folder="", flip_sided=sided, short_edges_px=(60,), crop_probability=0.0, flip_probability=1.0)
        clip = augment_clip(_clip(), text, data, np.random.default_rng(0))
        assert (clip.masks[0, 0].nonzero()[1].mean() > 50) == flips


def test_names_side_reads_words() -> None:
    """Not letters within words."""
    assert names_side("The dog on the LEFT.")
    assert names_side("moving left-ward, rightmost")
    assert not names_side("the bright cleft")


def test_clips_come_from_the_format_on_disk(tmp_path: Path) -> None:
    """Pure functions of their number; every sentence once a round; masks fit the frames."""
    write_mevis(tmp_path, "train", 0, 2, num_frames=5, config=SceneConfig(size=(40, 64)))
    data = MevisData(folder=str(tmp_path), crop_probability=0.0, short_edges_px=(32,), long_edge_px=96)
    source = MevisClips(data, seed=1)
    videos = [source._reader.video(name) for name in source._reader.videos]
    texts = sorted(expression.text for video in videos for expression in video.expressions)
    clips = [source.clip(index, 3) for index in range(len(texts))]
    assert sorted(clip.sentences[0].text for clip in clips) == texts
    assert all(clip.frames.shape[:3] == (3, 32, 51) == clip.sentences[0].masks.shape[1:] for clip in clips)
    assert any(clip.sentences[0].masks.any() for clip in clips)
    again = MevisClips(data, seed=1).clip(2, 3)
    assert np.array_equal(again.frames, clips[2].frames)


def test_folder_without_the_format_is_told(tmp_path: Path) -> None:
    """By the reader."""
    with pytest.raises(ConfigError, match="meta_expressions"):
        MevisClips(MevisData(folder=str(tmp_path)), 0)
