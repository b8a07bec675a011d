"""Presence of targets and identity of tracks."""

import numpy as np
import pytest

from ssa_stream.errors import ConfigError, ShapeError
from ssa_stream.metrics import IdentityCounts, Masks, count_identity, match_tracks, target_presence
from tests.unit.metrics.drawing import rectangle

LEFT = rectangle(8, 24, 1, 1, 7, 7)
RIGHT = rectangle(8, 24, 1, 15, 7, 21)
NOTHING = np.zeros((8, 24), dtype=np.bool_)


def test_target_presence_counts_frames_and_judges_the_clip() -> None:
    """Two of four frames are right; the clip has a target and one was found."""
    found = target_presence(np.stack([LEFT, NOTHING, RIGHT, NOTHING]), np.stack([RIGHT, RIGHT, NOTHING, NOTHING]))
    assert found.right_frames == 0.5
    assert found.expected
    assert found.found


def test_target_presence_one_invented_frame_makes_the_clip_wrong() -> None:
    """Nothing is there, and a single frame says something is."""
    found = target_presence(np.stack([NOTHING, LEFT, NOTHING]), np.stack([NOTHING] * 3))
    assert found.found
    assert not found.expected
    assert found.right_frames == pytest.approx(2 / 3)


def _objects(*rows: list[Masks]) -> Masks:
    return np.stack([np.stack(row) for row in rows])


def test_identity_steady_track_never_switches() -> None:
    """One object, one track, four frames."""
    counts = count_identity([{7: LEFT}] * 4, _objects([LEFT] * 4))
    assert counts == IdentityCounts(0, 0, 0)


def test_identity_new_id_half_way_is_one_switch() -> None:
    """Also if a frame without any track lies between."""
    counts = count_identity([{7: LEFT}, {}, {8: LEFT}, {8: LEFT}], _objects([LEFT] * 4))
    assert counts == IdentityCounts(1, 0, 0)


def test_identity_swapped_tracks_are_two_switches() -> None:
    """Each of two objects is followed by the other's track from the third frame on."""
    before, after = {1: LEFT, 2: RIGHT}, {2: LEFT, 1: RIGHT}
    counts = count_identity([before, before, after, after], _objects([LEFT] * 4, [RIGHT] * 4))
    assert counts == IdentityCounts(2, 0, 0)


@pytest.mark.parametrize(
    ("back", "counts"),
    [
        ({1: LEFT}, IdentityCounts(0, 1, 1)),
        ({2: LEFT}, IdentityCounts(1, 1, 0)),
        ({1: RIGHT}, IdentityCounts(0, 1, 0)),
        ({}, IdentityCounts(0, 1, 0)),
    ],
    ids=["same_id", "new_id", "elsewhere", "lost"],
)
def test_identity_after_occlusion(back: dict[int, Masks], counts: IdentityCounts) -> None:
    """An object is followed, hidden for two frames, and seen again."""
    tracks = [{1: LEFT}, {}, {}, back, back]
    assert count_identity(tracks, _objects([LEFT, NOTHING, NOTHING, LEFT, LEFT])) == counts


def test_identity_occlusion_of_what_was_never_followed_does_not_count() -> None:
    """No track could have come back."""
    counts = count_identity([{}, {}, {3: LEFT}], _objects([LEFT, NOTHING, LEFT]))
    assert counts == IdentityCounts(0, 0, 0)


def test_identity_late_return_counts_until_hidden_again() -> None:
    """The track comes back in the second frame after the first occlusion, and not after the second one."""
    tracks: list[dict[int, Masks]] = [{1: LEFT}, {}, {}, {1: LEFT}, {}, {}]
    objects = _objects([LEFT, NOTHING, LEFT, LEFT, NOTHING, LEFT])
    assert count_identity(tracks, objects) == IdentityCounts(0, 2, 1)


def test_identity_another_track_first_is_not_kept() -> None:
    """Also if the old track comes back afterwards."""
    tracks: list[dict[int, Masks]] = [{1: LEFT}, {}, {2: LEFT}, {1: LEFT}]
    assert count_identity(tracks, _objects([LEFT, NOTHING, LEFT, LEFT])) == IdentityCounts(2, 1, 0)


def test_match_tracks_prefers_the_last_id_while_it_overlaps_enough() -> None:
    """A better track beside it does not take the object over."""
    worse = LEFT.copy()
    worse[1] = False
    assert match_tracks({1: worse, 2: LEFT}, LEFT[None], [1]) == [1]
    assert match_tracks({1: worse, 2: LEFT}, LEFT[None], [None]) == [2]
    assert match_tracks({1: RIGHT, 2: LEFT}, LEFT[None], [1]) == [2]


def test_match_tracks_half_covered_object_is_followed_less_is_not() -> None:
    """The threshold is an IoU of at least one half."""
    half, third = rectangle(8, 24, 1, 1, 4, 7), rectangle(8, 24, 1, 1, 3, 7)
    assert match_tracks({5: half}, LEFT[None], [None]) == [5]
    assert match_tracks({5: third}, LEFT[None], [None]) == [None]
    assert match_tracks({5: RIGHT}, LEFT[None], [None], min_iou=0) == [None]


def test_match_tracks_one_track_follows_one_object() -> None:
    """Two objects in the same place share no track."""
    assert match_tracks({5: LEFT}, np.stack([LEFT, LEFT]), [None, 5]) == [None, 5]


def test_identity_without_objects_is_zero() -> None:
    """A sentence without a target has nothing to follow."""
    assert count_identity([{1: LEFT}], np.zeros((0, 1, 8, 24), np.bool_)) == IdentityCounts(0, 0, 0)


def test_identity_wrong_arguments_are_refused() -> None:
    """Lengths must agree, and the threshold be a share."""
    with pytest.raises(ShapeError, match="2 frames"):
        count_identity([{}, {}], _objects([LEFT] * 3))
    with pytest.raises(ConfigError, match="min_iou"):
        count_identity([{}], _objects([LEFT]), min_iou=1.5)
