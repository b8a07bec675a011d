"""Streaming J&F: which mask a frame is compared with, and what that costs."""

import numpy as np
import pytest

from ssa_stream.errors import ConfigError, ShapeError
from ssa_stream.metrics import JAndF, score_clip, shown_masks, streaming_j_and_f
from tests.unit.metrics.drawing import rectangle

FPS = 10.0
MOVING = np.stack([rectangle(40, 60, 10, 4 + 8 * t, 22, 16 + 8 * t) for t in range(5)])
EXACT_S = [t / FPS for t in range(5)]


def test_shown_masks_at_no_cost_are_the_frames_own() -> None:
    """A mask that is out at the very moment of its frame is in time."""
    assert shown_masks(EXACT_S, 5, FPS) == [0, 1, 2, 3, 4]
    assert shown_masks([0.1 * t for t in range(5)], 5, FPS) == [0, 1, 2, 3, 4]  # 0.1 * 3 is a little above 3 / 10


def test_shown_masks_eta_of_one_is_a_frame_behind() -> None:
    """A mask must be out one frame earlier."""
    assert shown_masks(EXACT_S, 5, FPS, eta=1) == [None, 0, 1, 2, 3]


def test_shown_masks_negative_eta_forgives_latency() -> None:
    """Each mask takes 80 ms; one frame (100 ms) of grace makes up for it."""
    late_s = [t + 0.08 for t in EXACT_S]
    assert shown_masks(late_s, 5, FPS) == [None, 0, 1, 2, 3]
    assert shown_masks(late_s, 5, FPS, eta=-1) == [0, 1, 2, 3, 4]
    assert shown_masks(late_s, 5, FPS, eta=-0.5) == [None, 0, 1, 2, 3]


def test_shown_masks_slow_model_stays_up() -> None:
    """Two masks in five frames: the last one out counts until the next."""
    assert shown_masks([0.15, 0.35], 5, FPS) == [None, None, 0, 0, 1]
    assert shown_masks([], 3, FPS) == [None] * 3


def test_shown_masks_of_two_at_the_same_time_is_the_later() -> None:
    """What comes last hides what came before."""
    assert shown_masks([0.1, 0.1], 2, FPS) == [None, 1]


def test_streaming_score_without_latency_is_the_plain_one() -> None:
    """A perfect and immediate model scores 1."""
    assert streaming_j_and_f(MOVING, EXACT_S, MOVING, FPS) == JAndF(1.0, 1.0)


def test_streaming_score_of_late_masks_is_that_of_the_masks_before() -> None:
    """The first frame is compared with nothing, the others with the mask before."""
    late_s = [t + 0.03 for t in EXACT_S]
    seen = np.concatenate([np.zeros_like(MOVING[:1]), MOVING[:-1]])
    assert streaming_j_and_f(MOVING, late_s, MOVING, FPS) == score_clip(seen, MOVING)
    # 4 of 5 frames share 4 of 20 columns.
    assert streaming_j_and_f(MOVING, late_s, MOVING, FPS).j == pytest.approx(0.8 * 4 / 20)


def test_streaming_score_nothing_out_is_empty() -> None:
    """No mask is right only where no target is."""
    target = MOVING.copy()
    target[:2] = False
    assert streaming_j_and_f(MOVING[:0], [], target, FPS) == JAndF(0.4, 0.4)


def test_streaming_score_wrong_arguments_are_refused() -> None:
    """Times must be there, ascend, and belong to masks."""
    with pytest.raises(ConfigError, match="4 times"):
        streaming_j_and_f(MOVING, EXACT_S[:4], MOVING, FPS)
    with pytest.raises(ConfigError, match="go back"):
        shown_masks([0.2, 0.1], 5, FPS)
    with pytest.raises(ConfigError, match="fps"):
        shown_masks([], 5, 0.0)
    with pytest.raises(ShapeError):
        streaming_j_and_f(MOVING[0], EXACT_S, MOVING, FPS)
