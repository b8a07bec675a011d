"""Sessions share nothing but the model."""

import threading

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssa_stream.streaming import MaskResult, ReferSession, SessionConfig
from tests.support.tiny_model import one_model_thread, random_frames, tiny_model
from tests.unit.streaming.comparing import assert_same_results, property_test, saved

FRAMES = (random_frames(8, seed=11), random_frames(8, (44, 30), seed=12))
CONFIGS = (SessionConfig(window=3, lookahead=1, emit_provisional=True), SessionConfig(window=4, half_life_frames=2))
PROMPTS = (["the red car", "a dog"], ["a dog"])


def _session(which: int) -> ReferSession:
    return ReferSession(tiny_model(), CONFIGS[which], PROMPTS[which])


def _alone(which: int, count: int) -> tuple[list[MaskResult], bytes]:
    session = _session(which)
    results = [one for frame in FRAMES[which][:count] for one in session.push(frame)]
    return results, saved(session)


@property_test(8)
@given(order=st.lists(st.integers(0, 1), max_size=10))
def test_interleaved_sessions_equal_each_alone(order: list[int]) -> None:
    """Bit for bit, in results and in state, whoever comes next."""
    sessions = (_session(0), _session(1))
    results: tuple[list[MaskResult], list[MaskResult]] = ([], [])
    counts = [0, 0]
    for which in order:
        if counts[which] < len(FRAMES[which]):
            results[which].extend(sessions[which].push(FRAMES[which][counts[which]]))
            counts[which] += 1
    for which in (0, 1):
        expected, state = _alone(which, counts[which])
        assert_same_results(results[which], expected)
        assert saved(sessions[which]) == state


def test_sessions_in_threads_equal_each_alone() -> None:
    """Two streams on one model at the same time."""
    sessions = (_session(0), _session(1))
    results: tuple[list[MaskResult], list[MaskResult]] = ([], [])

    def run(which: int) -> None:
        torch.set_num_threads(1)  # holds for this thread; sums split over threads round in another way
        for frame in FRAMES[which]:
            results[which].extend(sessions[which].push(frame))

    with one_model_thread():
        threads = [threading.Thread(target=run, args=(which,)) for which in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for which in (0, 1):
            expected, state = _alone(which, len(FRAMES[which]))
            assert_same_results(results[which], expected)
            assert saved(sessions[which]) == state


def test_same_stream_gives_the_same_twice() -> None:
    """Nothing in a step is random, and an earlier session leaves nothing behind."""
    assert_same_results(_alone(0, 8)[0], _alone(0, 8)[0])
    assert any(one.target_present for one in _alone(0, 8)[0])
    assert len({np.packbits(one.merged()).tobytes() for one in _alone(0, 8)[0]}) > 8
