"""Frames around a reference, and one augmentation for all frames of a clip."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.training.data.augmentation import AugmentedClip, augment_clip, names_side, rotate_clip, sample_frames
from ssa_stream.training.data.settings import ReferringSets, TrainingSet

SETS = (TrainingSet(data="mevis:anywhere"),)


def test_sample_frames_stay_near_the_reference() -> None:
    """Sorted, within twice the range, cut at the ends; repeats are allowed, of others than the reference."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        chosen = sample_frames(np.arange(40), 8, 10, rng)
        assert len(chosen) == 8
        assert (np.diff(chosen) >= 0).all()
        assert chosen[-1] - chosen[0] <= 20
        assert 0 <= chosen[0]
        assert chosen[-1] < 40
    assert sample_frames(np.arange(1), 3, 10, rng).tolist() == [0, 0, 0]


def test_sample_frames_takes_only_candidates_and_the_given_reference() -> None:
    """As where only some frames have masks."""
    rng = np.random.default_rng(0)
    annotated = np.array([2, 9, 30])
    for _ in range(20):
        assert sample_frames(annotated, 1, 10, rng, 9).tolist() == [9]
        assert sample_frames(annotated, 2, 10, rng, 9).tolist() == [2, 9]
        assert sample_frames(annotated, 3, 10, rng, 30).tolist() == [30, 30, 30]


def _clip(height: int = 60, width: int = 100) -> AugmentedClip:
    """A bright square that is its own mask."""
    frames = np.zeros((4, height, width, 3), np.uint8)
    frames[:, 20:40, 10:40] = 255
    return AugmentedClip(frames, frames[None, ..., 0] > 0)


@pytest.mark.parametrize("pseudo", [False, True], ids=["video", "pseudo-video"])
@pytest.mark.parametrize("crop", [0.0, 1.0], ids=["whole", "cropped"])
def test_augmentation_moves_masks_with_pixels(crop: float, pseudo: bool) -> None:
    """After any draw the mask still is where the pixels are bright, up to interpolation."""
    data = ReferringSets(sets=SETS, crop_probability=crop)
    for seed in range(3):
        clip = augment_clip(_clip(), "the square", data, np.random.default_rng(seed), is_pseudo_video=pseudo)
        assert clip.frames.shape[:3] == clip.masks.shape[1:]
        assert min(clip.frames.shape[1:3]) <= 512
        bright = clip.frames[..., 0] > 127
        assert (bright != clip.masks[0]).mean() < 0.02
        assert crop or clip.masks.any()


def _turn_deg(mask: NDArray[np.bool_]) -> float:
    """How far the long side of a bar is turned from the horizontal, anticlockwise."""
    rows, columns = mask.nonzero()
    return -float(np.rad2deg(np.arctan(np.polyfit(columns, rows, 1)[0])))


def test_pseudo_video_turns_steadily_about_its_middle() -> None:
    """Angles are within the limit, sorted one way or the other, and differ; what lies in the middle stays there."""
    frames = np.zeros((6, 101, 151, 3), np.uint8)
    frames[:, 48:53, 40:111] = 255
    still = AugmentedClip(frames, frames[None, ..., 0] > 0)
    directions = set()
    for seed in range(6):
        clip = rotate_clip(still, 15.0, np.random.default_rng(seed))
        angles = np.array([_turn_deg(mask) for mask in clip.masks[0]])
        steps = np.diff(angles)
        assert abs(angles).max() <= 15.5
        assert np.ptp(angles) > 3
        assert (steps > -0.3).all() or (steps < 0.3).all()
        directions.add(bool(angles[-1] > angles[0]))
        assert abs(np.array([mask.nonzero() for mask in clip.masks[0, :1]]).mean(axis=2) - [[50, 75]]).max() < 8
    assert directions == {True, False}


def test_videos_are_not_turned() -> None:
    """Only pictures that become clips of several frames are."""
    data = ReferringSets(sets=SETS, short_edges_px=(60,), crop_probability=0.0, flip_probability=0.0)
    for pseudo in (False, True):
        clip = augment_clip(_clip(), "it", data, np.random.default_rng(0), is_pseudo_video=pseudo)
        assert np.array_equal(clip.frames, _clip().frames) != pseudo


def test_sided_sentences_are_not_flipped_unless_asked_for() -> None:
    """The published training flips them and leaves the words."""
    for sided, text, flips in ((False, "the left one", False), (True, "the left one", True), (False, "it", True)):
        data = ReferringSets(
            sets=SETS, flip_sided=sided, short_edges_px=(60,), crop_probability=0.0, flip_probability=1.0
        )
        clip = augment_clip(_clip(), text, data, np.random.default_rng(0))
        assert (clip.masks[0, 0].nonzero()[1].mean() > 50) == flips


def test_names_side_reads_words() -> None:
    """Not letters within words."""
    assert names_side("The dog on the LEFT.")
    assert names_side("moving left-ward, rightmost")
    assert not names_side("the bright cleft")
