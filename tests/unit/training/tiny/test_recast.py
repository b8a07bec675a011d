"""Kept clips with the motion of other scenes: truth, locations and moments are new, looks and queries the old."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
import torch

from ssa_stream.errors import ConfigError
from ssa_stream.model import SSA
from ssa_stream.training.tiny.config import MotionStage
from ssa_stream.training.tiny.motion import recast as recasting
from ssa_stream.training.tiny.motion.kept_clips import MotionClip, motion_clip
from ssa_stream.training.tiny.motion.recast import Mover, movers, recast
from ssa_stream.training.tiny.motion.windows import MotionBatches
from tests.support.kept_clips import with_masks

FRAMES = 9
PICTURE_PX = 64 * 96


@pytest.fixture
def stage(motion: MotionStage) -> MotionStage:
    """Slots, with some scenes to take movements from."""
    data = msgspec.structs.replace(motion.data, min_objects=2)
    loss = msgspec.structs.replace(motion.loss, all_objects=True)
    return msgspec.structs.replace(motion, data=data, loss=loss, cast_scenes=8, ordinary=0, teaches="slots")


@pytest.fixture
def cast(stage: MotionStage) -> list[Mover]:
    """Objects of twelve scenes."""
    return [mover for number in range(12) for mover in movers(stage, 0, number)]


@pytest.fixture
def clips(told: SSA, stage: MotionStage) -> list[MotionClip]:
    """Four, in which the query matched to an object is taken to lie over it."""
    return [with_masks(motion_clip(told, stage, 0, number)) for number in range(4)]


def test_movers_are_where_their_masks_are(stage: MotionStage, cast: list[Mover]) -> None:
    """Moments agree with locations; equal numbers give the same, others other scenes."""
    for mover in cast:
        clear = mover.location[:, 2].square() * PICTURE_PX > 64
        torch.testing.assert_close(mover.moments[clear, 1:3], mover.location[clear, :2], atol=0.1, rtol=0)
        assert mover.visible[clear].all()
        assert mover.visible.any()
    again = movers(stage, 0, 3)
    assert all(torch.equal(a.location, b.location) for a, b in zip(again, movers(stage, 0, 3), strict=True))
    assert not torch.equal(again[0].location, movers(stage, 0, 4)[0].location)


def test_the_same_things_move_as_others_do(clips: list[MotionClip], cast: list[Mover]) -> None:
    """Looks, sentences and text are kept; poses are those of some movers; equal chance gives the same clip."""
    poses = [mover.truth.poses[mover.row] for mover in cast]
    for clip in clips:
        other = recast(clip, cast, np.random.default_rng(0))
        assert other.truth.scene is clip.truth.scene
        assert other.sentences is clip.sentences
        assert torch.equal(other.text, clip.text)
        assert all(any(np.array_equal(own, one) for one in poses) for own in other.truth.poses)
        again = recast(clip, cast, np.random.default_rng(0))
        assert all(
            torch.equal(getattr(again, name), getattr(other, name)) for name in ("queries", "moments", "location")
        )
        assert not torch.equal(recast(clip, cast, np.random.default_rng(1)).location, other.location)


def test_queries_are_told_where_their_objects_are_now(clips: list[MotionClip], cast: list[Mover]) -> None:
    """Their moments are the new masks', but for some noise; the queries are the object's own of some kept frame."""
    apart, found = [], 0
    for clip in clips:
        for seed in range(3):
            other = recast(clip, cast, np.random.default_rng(seed))
            for t, g in other.matched.nonzero().tolist():
                query = int(other.query[t, g])
                apart.append((other.moments[t, query, 1:3] - other.location[t, g, :2]).abs().max().item())
                frames = clip.matched[:, g].nonzero()[:, 0].tolist()
                own = [clip.queries[frame, clip.query[frame, g]] for frame in frames]
                assert any(torch.equal(other.queries[t, query], one) for one in own)
                found += 1
    assert found > 50
    assert np.median(apart) < 0.05
    assert np.mean(apart) > 0.002


def test_what_is_not_seen_has_no_query(clips: list[MotionClip], cast: list[Mover]) -> None:
    """Neither an object that is out of the picture now, nor one that never had a query; all others have theirs."""
    hidden = 0
    for clip in clips:
        ever = clip.matched.any(dim=0)
        for seed in range(6):
            other = recast(clip, cast, np.random.default_rng(seed))
            area_px = other.location[..., 2].square() * PICTURE_PX
            assert not other.matched[area_px < 8].any()
            assert not other.covers.any(dim=1)[area_px < 8].any()
            assert not other.matched[:, ~ever].any()
            assert other.matched[(area_px > 48) & ever].all()
            hidden += int((area_px < 8).sum())
    assert hidden > 0


def test_other_queries_keep_their_moments(clips: list[MotionClip], cast: list[Mover]) -> None:
    """What lies over nothing says so."""
    for clip in clips:
        kept = {tuple(row) for row in clip.moments.flatten(0, 1).tolist()}
        other = recast(clip, cast, np.random.default_rng(0))
        over = other.covers.any(dim=-1)
        assert all(tuple(row) in kept for row in other.moments[~over].tolist())
        assert not any(tuple(row) in kept for row in other.moments[over].tolist())


@pytest.mark.slow
def test_stage_says_how_many_windows_are_recast(told: SSA, stage: MotionStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside those that are retimed; together they are no more than all."""
    calls: list[int] = []

    def counting(clip: MotionClip, cast: Sequence[Mover], rng: np.random.Generator) -> MotionClip:
        calls.append(len(cast))
        return recasting.recast(clip, cast, rng)

    monkeypatch.setattr("ssa_stream.training.tiny.motion.windows.recast", counting)
    for share, fewest, most in ((0.0, 0, 0), (0.5, 4, 20), (1.0, 24, 24)):
        calls.clear()
        batches = MotionBatches(None, told, msgspec.structs.replace(stage, recast=share), 0, 0, 1)
        for step in range(6):
            windows = batches[step].windows
            assert all(values.isfinite().all() for values in windows if values.is_floating_point())
        assert fewest <= len(calls) <= most
    assert calls[0] >= 16


def test_settings_that_cannot_work_are_refused(model: SSA, stage: MotionStage) -> None:
    """With what would."""
    with pytest.raises(ValueError, match=r"retimed is 0\.6 and recast 0\.5"):
        msgspec.structs.replace(stage, retimed=0.6, recast=0.5)
    with pytest.raises(ConfigError, match="mask_moments: true"):
        MotionBatches(None, model, msgspec.structs.replace(stage, recast=0.5), 0, 0, 1)
    with pytest.raises(ConfigError, match="cast_scenes 1 cannot be shared by 2"):
        MotionBatches(None, model, msgspec.structs.replace(stage, cast_scenes=1), 0, 0, 2)
