"""Which objects come out: modes, thresholds, and a plain answer when there is none."""

import numpy as np
import pytest

from ssa_stream.errors import ConfigError
from ssa_stream.model.selection import SelectionMode
from ssa_stream.streaming import MaskResult, ReferSession, SessionConfig, TrackConfig
from tests.support.tiny_model import random_frames, tiny_model
from tests.unit.streaming.colour_model import ColourModel, draw

RED = ("red", (0, 0, 16, 16))
BLUE = ("blue", (32, 16, 48, 32))


def _stream(mode: SelectionMode, threshold: float) -> list[MaskResult]:
    config = SessionConfig(window=4, mode=mode, threshold=threshold, tracks=TrackConfig(min_own_share=0.0))
    session = ReferSession(tiny_model(), config, ["the red car"])
    return [one for frame in random_frames(8, seed=31) for one in session.push(frame)]


def test_single_mode_gives_the_most_probable_one() -> None:
    """Among those that multi mode gives, at most one a frame."""
    for one, many in zip(_stream("single", 0.5), _stream("multi", 0.5), strict=True):
        assert len(one.tracks) <= 1
        assert one.probability == many.probability
        assert one.target_present == (one.probability > 0.5) == many.target_present
        if one.tracks:
            assert one.tracks[0].probability == one.probability
            best = max(many.tracks, key=lambda track: track.probability)
            np.testing.assert_array_equal(one.tracks[0].mask, best.mask)


def test_single_mode_without_threshold_always_gives_one() -> None:
    """However improbable."""
    assert [len(one.tracks) for one in _stream("single", 0.0)] == [1] * 8


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6, 0.9])
def test_threshold_bounds_every_track(threshold: float) -> None:
    """A higher one gives a part of what a lower one gives."""
    all_of_them = _stream("multi", 0.0)
    for one, every in zip(_stream("multi", threshold), all_of_them, strict=True):
        expected = {track.probability for track in every.tracks if track.probability > threshold}
        assert {track.probability for track in one.tracks} == expected
    assert {len(one.tracks) for one in all_of_them} == {6}


@pytest.mark.parametrize("mode", ["multi", "single"])
def test_nothing_selected_is_said_plainly(mode: SelectionMode) -> None:
    """No target, an empty mask of the frame's size, and how probable the best guess was."""
    for one in _stream(mode, 0.999):
        assert not one.target_present
        assert one.tracks == ()
        assert one.merged().shape == one.size
        assert not one.merged().any()
        assert 0.1 < one.probability < 0.999


def test_selected_object_without_a_pixel_is_no_target() -> None:
    """With lookahead it may be seen only later: in this frame there is nothing to show."""
    session = ReferSession(ColourModel(), SessionConfig(window=2, lookahead=1), ["red"])
    session.push(draw(BLUE))
    (result,) = session.push(draw(RED))
    assert result.probability == pytest.approx(0.9)
    assert not result.target_present
    (result,) = session.push(draw(BLUE))
    assert not result.target_present


def test_tracks_come_with_exact_masks_boxes_and_areas() -> None:
    """At source resolution; the merged mask is their union."""
    session = ReferSession(ColourModel(), SessionConfig(), ["red and blue"])
    (result,) = session.push(draw(RED, BLUE), 3.5)
    assert {track.box_xyxy for track in result.tracks} == {RED[1], BLUE[1]}
    # Interpolation rounds the corners that are not at the picture's edge.
    assert {track.box_xyxy: track.area_px for track in result.tracks} == {RED[1]: 255, BLUE[1]: 254}
    assert [track.mask.dtype for track in result.tracks] == [np.bool_] * 2
    assert np.count_nonzero(result.merged() != draw(RED, BLUE).any(axis=2)) == 3
    assert (result.size, result.t, result.status) == ((32, 64), 3.5, "final")


def test_tracks_come_by_descending_score() -> None:
    """The score is the probability times the confidence of the pixels."""
    for one in _stream("multi", 0.1):
        scores = [track.score for track in one.tracks]
        assert scores == sorted(scores, reverse=True)
        assert all(0 < track.score <= track.probability <= one.probability for track in one.tracks)
        for track in one.tracks:
            left, top, right, bottom = track.box_xyxy
            assert track.mask[top:bottom, left:right].sum() == track.mask.sum() == track.area_px > 0
            assert track.mask[top].any()
            assert track.mask[bottom - 1].any()
            assert track.mask[:, left].any()
            assert track.mask[:, right - 1].any()


@pytest.mark.parametrize(
    "settings",
    [
        {"window": 0},
        {"half_life_frames": -1.0},
        {"half_life_frames": float("nan")},
        {"window": 3, "lookahead": 3},
        {"lookahead": -1},
        {"mode": "best"},
        {"threshold": 1.0},
        {"threshold": -0.1},
        {"threshold": float("nan")},
        {"short_edge_px": 31},
        {"long_edge_px": 0},
        {"frame_interval_s": 0.0},
        {"frame_interval_s": float("inf")},
        {"max_gap_s": 0.0},
        {"max_gap_s": float("nan")},
        {"max_prompts": 0},
    ],
    ids=str,
)
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    """When they are made, by name."""
    with pytest.raises(ConfigError, match=next(reversed(settings))):
        SessionConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings", [{"min_cosine": 1.1}, {"growth": -1}, {"max_absence_frames": -1}, {"min_own_share": 1.1}], ids=str
)
def test_impossible_track_settings_are_refused(settings: dict[str, float]) -> None:
    """When they are made, by name."""
    with pytest.raises(ConfigError, match=next(iter(settings))):
        TrackConfig(**settings)  # type: ignore[arg-type]
