"""While no frame has left the window, the stream's newest output is the offline forward's."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ssa_stream.model.offline import masks_of_clip
from ssa_stream.streaming import MaskResult, ReferSession, SessionConfig, TrackConfig
from ssa_stream.streaming.window import WindowStep
from tests.support.tiny_model import random_frames, tiny_model
from tests.unit.streaming.comparing import property_test, recorded_steps
from tests.unit.streaming.offline_reference import assert_close, assert_result, offline

WINDOW = 5
SENTENCES = ["the red car", "a dog", "two people far away"]
CONFIG = SessionConfig(window=WINDOW, tracks=TrackConfig(min_own_share=0.0))
sizes = st.tuples(st.integers(20, 90), st.integers(20, 90))


def _assert_parity(step: WindowStep, result: MaskResult, frames: list[NDArray[np.uint8]]) -> None:
    clip, size = offline(frames, result.prompt)
    assert_close(step.state.aligned, clip.aligned[0])
    assert_close(step.state.text, clip.text[0])
    assert_close(step.initial_queries, clip.window.initial_queries[0])
    assert_close(step.probability, clip.window.probability[0])
    assert_close(step.mask_embedding, clip.window.mask_embedding[0])
    assert_result(result, clip, size, len(frames) - 1)


@property_test(10)
@given(size=sizes, count=st.integers(1, WINDOW), seed=st.integers(0, 99), num_prompts=st.integers(1, 3))
def test_first_window_equals_offline_forward(size: tuple[int, int], count: int, seed: int, num_prompts: int) -> None:
    """Queries, probabilities, mask embeddings and the newest frame's masks, whatever has to be resized and padded."""
    frames = random_frames(count, size, seed)
    session = ReferSession(tiny_model(), CONFIG, SENTENCES[:num_prompts])
    with recorded_steps() as steps:
        for frame in frames:
            results = session.push(frame)
    assert [result.prompt for result in results] == SENTENCES[:num_prompts]
    for step, result in zip(steps[-1], results, strict=True):
        _assert_parity(step, result, frames)


@property_test(10)
@given(before=st.integers(0, 8), after=st.integers(1, 3), seed=st.integers(0, 99))
def test_new_prompt_sees_the_last_window_as_if_it_had_been_there(before: int, after: int, seed: int) -> None:
    """Set in mid-stream, a prompt gives what a fresh look at the frames still in the window gives."""
    first = max(0, before + 1 - WINDOW)
    assume(before + after - first <= WINDOW)  # later on the new prompt carries more than these frames
    frames = random_frames(before + after, seed=seed)
    session = ReferSession(tiny_model(), CONFIG, SENTENCES[:1])
    for frame in frames[:before]:
        session.push(frame)
    session.set_prompts(SENTENCES)
    session.remove_prompt("p2")
    with recorded_steps() as steps:
        for frame in frames[before:]:
            results = session.push(frame)
    assert [result.prompt for result in results] == [SENTENCES[0], SENTENCES[2]]
    _assert_parity(steps[-1][1], results[1], frames[first:])


def test_replayed_prompt_goes_on_as_a_fresh_session() -> None:
    """Long after it was set, too: with tracks, memory and all."""
    frames = random_frames(14, seed=2)
    late = ReferSession(tiny_model(), CONFIG)
    for frame in frames[:6]:
        assert late.push(frame) == []
    late.add_prompt(SENTENCES[0])
    fresh = ReferSession(tiny_model(), CONFIG, SENTENCES[:1])
    for frame in frames[2:6]:
        fresh.push(frame)
    with recorded_steps() as steps:
        for frame in frames[6:]:
            late.push(frame)
            fresh.push(frame)
    for one, other in zip(steps[::2], steps[1::2], strict=True):
        assert_close(one[0].initial_queries, other[0].initial_queries)
        assert_close(one[0].probability, other[0].probability)


def test_many_prompts_at_once_equal_each_alone() -> None:
    """More frames and prompts than pass the network in one batch: every prompt gets its own, in its own order."""
    frames = random_frames(WINDOW, seed=3)
    texts = [f"{sentence} number {i}" for i, sentence in enumerate(SENTENCES * 3)]
    session = ReferSession(tiny_model(), CONFIG)
    for frame in frames[:-1]:
        assert session.push(frame) == []
    session.set_prompts(texts)
    with recorded_steps() as steps:
        results = session.push(frames[-1])
    assert [result.prompt for result in results] == texts
    for step, result in zip(steps[0], results, strict=True):
        _assert_parity(step, result, frames)


def test_random_weights_give_something_to_compare() -> None:
    """The tiny network selects some slots and not others, re-orders slots, and makes masks of many sizes."""
    frames = random_frames(8)
    clips = [offline(frames, sentence) for sentence in SENTENCES]
    selected = [int((clip.window.probability > 0.5).sum()) for clip, _ in clips]
    assert 0 < sum(selected) < len(SENTENCES) * tiny_model().config.num_queries
    assert max(len(np.unique(clip.order[0].numpy(), axis=0)) for clip, _ in clips) >= 3
    areas = masks_of_clip(*clips[0], "multi", 0.0).masks.float().mean(dim=(1, 2, 3))
    assert areas.max() - areas.min() > 0.1
