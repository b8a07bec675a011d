"""Sentences about movement: true where they should be, the same words for a window, its opposite backwards."""

import numpy as np
import pytest

from ssa_stream.data import SceneConfig, sample_scene
from ssa_stream.data.synthetic.movement_sentences import (
    MOVEMENT_CLAIMS,
    judge_movements,
    movement_sentences,
    shared_looks,
)
from ssa_stream.data.synthetic.movements import Circles, Moving, Resizes, Starts, Stops
from ssa_stream.data.synthetic.predicates import Attributes, all_of
from ssa_stream.data.synthetic.truth import UNSURE, YES, ClipTruth, observe

FRAMES = 14
OPPOSITES = [
    (Moving("left"), Moving("right")),
    (Moving("up-left"), Moving("down-right")),
    (Resizes(grows=True), Resizes(grows=False)),
    (Circles(clockwise=True), Circles(clockwise=False)),
    (Stops("up"), Starts("down")),
]


def _truth(seed: int, num_frames: int = FRAMES, t0: int = 0) -> ClipTruth:
    scene = sample_scene(seed, config=SceneConfig(size=(64, 96), min_objects=3, max_objects=5))
    return observe(scene, t0, num_frames).truth


@pytest.fixture(scope="module")
def truths() -> list[ClipTruth]:
    """Of some scenes."""
    return [_truth(seed) for seed in range(24)]


def test_a_window_shows_what_a_clip_of_its_own_would() -> None:
    """Poses, visibility and verdicts."""
    for seed in range(4):
        window, own = _truth(seed).window(3, 8), _truth(seed, 8, 3)
        for name in ("poses", "visible_px", "in_frame", "whole_px"):
            np.testing.assert_array_equal(getattr(window, name), getattr(own, name))
        np.testing.assert_array_equal(judge_movements(window), judge_movements(own))


def test_backwards_everything_goes_the_other_way(truths: list[ClipTruth]) -> None:
    """What moves left moves right, what grows shrinks, what stops starts; at least some of each were seen."""
    for claim, opposite in OPPOSITES:
        forwards = np.concatenate([claim.judge(truth) for truth in truths])
        backwards = np.concatenate([opposite.judge(truth.window(0, FRAMES, backwards=True)) for truth in truths])
        np.testing.assert_array_equal(forwards, backwards)
    assert all((Moving("left").judge(truth) != YES).all() for truth in truths) is False


def test_sentences_name_distinct_movements_and_many_are_true(truths: list[ClipTruth]) -> None:
    """Two thirds of them, forwards or backwards, where so much happens; and never all of them."""
    shares = []
    for seed, truth in enumerate(truths):
        sentences = movement_sentences(truth, Attributes(), np.random.default_rng(seed), 9)
        assert len({sentence.claim for sentence in sentences}) == 9
        played = [judge_movements(truth.window(0, FRAMES, backwards=backwards)) for backwards in (False, True)]
        done = [any((verdicts[sentence.claim] == YES).any() for verdicts in played) for sentence in sentences]
        shares.append(sum(done))
        assert sum(done) <= 6
    assert np.median(shares) >= 4


def test_sentences_also_say_what_objects_do_in_other_clips(truths: list[ClipTruth]) -> None:
    """Where nothing moves but in one of them, what is true is true there."""
    times = np.arange(FRAMES).clip(max=FRAMES // 2)
    for seed, truth in enumerate(truths):
        still, stopping = (truth.retimed(np.tile(own, (len(truth.poses), 1))) for own in (0 * times, times))
        sentences = movement_sentences(still, Attributes(), np.random.default_rng(seed), 9, [stopping])
        done = [judge_movements(shown) == YES for shown in (still, stopping)]
        only_there = done[1].any(axis=1) & ~done[0].any(axis=1)
        said = any(only_there[sentence.claim] for sentence in sentences)
        assert said == bool(only_there.any())


def test_number_and_clarity_decide_what_fits(truths: list[ClipTruth]) -> None:
    """A sentence about one does not fit two, one about several not one; nothing fits what is too close to call."""
    one, several, none, unsure = (
        np.array(verdicts, np.int8) for verdicts in ([1, 0, 0], [1, 1, 0], [0, 0, 0], [1, UNSURE, 0])
    )
    sentences = [
        s for seed, t in enumerate(truths) for s in movement_sentences(t, Attributes(), np.random.default_rng(seed), 9)
    ]
    assert {sentence.plural for sentence in sentences} == {False, True}
    for sentence in sentences:
        assert [sentence.fits(v) for v in (one, several, none, unsure)] == [
            not sentence.plural,
            sentence.plural,
            True,
            False,
        ]


def test_shared_looks_are_of_something_there(truths: list[ClipTruth]) -> None:
    """Half of the time there are none."""
    looks = [shared_looks(truth, np.random.default_rng(seed)) for seed in range(4) for truth in truths]
    assert 0.35 < np.mean([one == Attributes() for one in looks]) < 0.65
    assert all((one.judge(truth) == YES).any() for one, truth in zip(looks, truths * 4, strict=True))
    assert len(MOVEMENT_CLAIMS) == len(set(MOVEMENT_CLAIMS))
    assert (all_of([looks[0].judge(truths[0]), judge_movements(truths[0])[0]]) <= YES).all()
