"""Objects in times of their own: truth, queries and locations follow the frame that each object is in."""

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
import torch

from ssa_stream.data.synthetic.movements import Pauses, Resting, Starts, Stops
from ssa_stream.data.synthetic.retiming import draw_times
from ssa_stream.data.synthetic.truth import YES
from ssa_stream.model import SSA
from ssa_stream.training.tiny.config import MotionStage
from ssa_stream.training.tiny.motion import retimed as retiming
from ssa_stream.training.tiny.motion.kept_clips import MotionClip, motion_clip
from ssa_stream.training.tiny.motion.retimed import retimed
from tests.support.kept_clips import with_masks

FRAMES = 9


@pytest.fixture
def clips(model: SSA, motion: MotionStage) -> list[MotionClip]:
    """Four, in which the query matched to an object is taken to lie over it."""
    return [with_masks(motion_clip(model, motion, 0, number)) for number in range(4)]


def _times_are(monkeypatch: pytest.MonkeyPatch, times: npt.NDArray[np.int64]) -> None:
    rows = iter(times)
    monkeypatch.setattr(retiming, "draw_times", lambda rng, num_frames: next(rows))


def test_times_go_on_rest_or_return() -> None:
    """Never out of the clip, never more than one frame at once, and each way of moving occurs."""
    rng, paces = np.random.default_rng(0), set()
    for _ in range(300):
        times = draw_times(rng, FRAMES)
        steps = np.diff(times)
        assert times.shape == (FRAMES,)
        assert times.min() >= 0
        assert times.max() < FRAMES
        assert set(steps.tolist()) <= {-1, 0, 1}
        changes = np.flatnonzero(np.diff(steps)) + 1
        paces.add(tuple(steps[[0, *changes]].tolist()))
    on = {(1,), (1, 0), (0, 1), (1, 0, 1), (1, -1)}
    assert paces == on | {(0,)} | {tuple(-step for step in pace) for pace in on}


def test_in_the_time_of_the_clip_nothing_changes(clips: list[MotionClip], monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries keep their numbers, also those that lie over nothing."""
    for clip in clips:
        _times_are(monkeypatch, np.tile(np.arange(FRAMES), (len(clip.rows), 1)))
        same = retimed(clip, np.random.default_rng(0))
        for field in ("queries", "matched", "covers", "location"):
            assert torch.equal(getattr(same, field), getattr(clip, field))
        assert torch.equal(same.query[same.matched], clip.query[clip.matched])
        assert np.array_equal(same.truth.poses, clip.truth.poses)


def test_each_object_has_the_queries_and_the_location_of_its_frame(clips: list[MotionClip]) -> None:
    """Also where two want the same number."""
    found = 0
    for clip in clips:
        for seed in range(3):
            rng = np.random.default_rng(seed)
            times = np.array([draw_times(rng, FRAMES) for _ in clip.rows])
            other = retimed(clip, np.random.default_rng(seed))
            assert other.queries.shape == clip.queries.shape
            for g, (row, own) in enumerate(zip(clip.rows, times, strict=True)):
                assert np.array_equal(other.truth.poses[row], clip.truth.poses[row, own])
                assert torch.equal(other.location[:, g], clip.location[own, g])
                assert torch.equal(other.matched[:, g], clip.matched[own, g])
                for t in np.flatnonzero(other.matched[:, g]):
                    query = other.query[t, g]
                    assert torch.equal(other.queries[t, query], clip.queries[own[t], clip.query[own[t], g]])
                    assert other.covers[t, query, g]
                    found += 1
    assert found > 50


def test_truth_is_what_the_times_make(clips: list[MotionClip], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever moves can be seen to rest, to stop, to start and to pause."""
    on = np.arange(FRAMES)
    ways = {
        Resting(): 0 * on + 4,
        Stops(): on.clip(max=4),
        Starts(): on.clip(min=4),
        Pauses(): np.array([0, 1, 2, 3, 3, 3, 4, 5, 6]),
    }
    seen = dict.fromkeys(ways, 0)
    for clip in clips:
        for claim, times in ways.items():
            _times_are(monkeypatch, np.tile(times, (len(clip.rows), 1)))
            verdicts = claim.judge(retimed(clip, np.random.default_rng(0)).truth)
            seen[claim] += int((verdicts[list(clip.rows)] == YES).sum())
    assert min(seen.values()) >= 1, seen


def test_a_share_beyond_one_is_refused(motion: MotionStage) -> None:
    """With what would do."""
    with pytest.raises(ValueError, match=r"retimed is 1\.5"):
        msgspec.structs.replace(motion, retimed=1.5)
