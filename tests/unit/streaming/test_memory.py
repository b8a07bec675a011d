"""The memory beyond the window: one softmax over time, frames weighted by age."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from ssa_stream.model import SSA, CarriedPool, WindowOutput
from ssa_stream.model.video_decoder import pool
from ssa_stream.streaming import ReferSession, SessionConfig
from ssa_stream.streaming.window import FrameBatch, WindowState, WindowStep, advance_windows
from tests.support.tiny_model import random_frames, tiny_config, tiny_model
from tests.unit.streaming.comparing import property_test, recorded_steps
from tests.unit.streaming.offline_reference import assert_close


class RecordingModel(SSA):
    """Decodes windows and keeps what came out; the pooling logits are given, or the tiny network's own.

    Args:
        logits: One per frame and slot, `(T, N)`: the query's first entry says which. None runs the network.
    """

    def __init__(self, logits: Tensor | None = None) -> None:
        nn.Module.__init__(self)
        self.config = tiny_config()
        self.logits = logits
        self.outputs: list[WindowOutput] = []

    def project_queries(self, queries: Tensor) -> Tensor:
        """Queries as they are, or as the network does."""
        return queries if self.logits is not None else tiny_model().project_queries(queries)

    def decode_window(self, aligned: Tensor, text: Tensor, carried: CarriedPool | None = None) -> WindowOutput:
        """Pool, and in the network also decode."""
        if self.logits is None:
            output = tiny_model().decode_window(aligned, text, carried)
        else:
            logits = self.logits[aligned[..., 0].long(), torch.arange(aligned.shape[2])]
            initial = pool(aligned, logits, carried)
            output = WindowOutput(initial[..., 0], initial, aligned, logits, initial, ())
        self.outputs.append(output)
        return output


class History(NamedTuple):
    """Every frame as the pooling sees it at the end of a stream: values `(T, N, C)` and log weights `(T, N)`."""

    values: NDArray[np.float64]
    log_weights: NDArray[np.float64]

    def pooled(self) -> NDArray[np.float64]:
        """One softmax over all of it."""
        weights = np.exp(self.log_weights - self.log_weights.max(axis=0))
        weights /= weights.sum(axis=0)
        return np.asarray((weights[..., None] * self.values).sum(axis=0))


def _history(outputs: Sequence[WindowOutput], window: int, half_life: float) -> History:
    """Frames that have left count as they were in their last step, halved for every half-life since they left."""
    last = len(outputs) - 1
    values, log_weights = [], []
    for frame in range(last + 1):
        is_gone = frame <= last - window
        seen_at = outputs[frame + window - 1] if is_gone else outputs[last]
        place = 0 if is_gone else frame - max(0, last - window + 1)
        age = last - window - frame if is_gone else 0
        if is_gone and half_life == 0:
            continue
        halvings = age / half_life if half_life else 0
        values.append(seen_at.enhanced[0, place].double().numpy())
        log_weights.append(seen_at.pooling_logits[0, place].double().numpy() - halvings * math.log(2))
    return History(np.stack(values), np.stack(log_weights))


@torch.inference_mode()
def _run(model: SSA, queries: Tensor, window: int, half_life: float) -> list[WindowStep]:
    """A stream of frame queries `(T, N, C)`."""
    decay = SessionConfig(half_life_frames=half_life).decay
    state: WindowState | None = None
    steps = []
    for one in queries:
        batch = FrameBatch(one[None], torch.zeros(1, one.shape[-1]))
        (step,) = advance_windows(model, [state], [batch], window=window, decay=decay)
        state = step.state
        steps.append(step)
    return steps


@property_test(12)
@given(
    window=st.integers(1, 6),
    count=st.integers(1, 30),
    seed=st.integers(0, 999),
    half_life=st.sampled_from([math.inf, 0.0, 0.3, 1.0, 4.0, 16.0]),
)
def test_pooling_is_one_softmax_over_the_aged_history(window: int, count: int, seed: int, half_life: float) -> None:
    """At every step of a stream of several windows, through the network's own enhancement and pooling."""
    model = RecordingModel()
    queries = torch.randn(count, 6, 64, generator=torch.Generator().manual_seed(seed))
    steps = _run(model, queries, window, half_life)
    for t, step in enumerate(steps):
        expected = _history(model.outputs[: t + 1], window, half_life).pooled()
        np.testing.assert_allclose(step.initial_queries.numpy(), expected, rtol=1e-4, atol=1e-5)


@property_test(30)
@given(
    data=st.data(),
    window=st.integers(1, 4),
    count=st.integers(1, 15),
    half_life=st.sampled_from([math.inf, 0.0, 0.01, 1.0, 8.0]),
)
def test_extreme_logits_stay_finite_and_right(data: st.DataObject, window: int, count: int, half_life: float) -> None:
    """A frame of overwhelming weight, long gone or yet to come, never makes the result undefined."""
    one = st.sampled_from([-1e4, -500.0, -1.0, 0.0, 3.0, 500.0, 1e4])
    rows = data.draw(st.lists(st.lists(one, min_size=2, max_size=2), min_size=count, max_size=count))
    model = RecordingModel(torch.tensor(rows))
    queries = torch.zeros(count, 2, 4)
    queries[..., 0] = torch.arange(count)[:, None]  # which row of logits, and a value
    queries[:, 0, 1], queries[:, 1, 2] = 100.0, 100.0  # keeps the two slots apart
    queries[..., 3] = torch.linspace(-1, 1, count)[:, None]
    steps = _run(model, queries, window, half_life)
    for t, step in enumerate(steps):
        assert torch.isfinite(step.initial_queries).all()
        expected = _history(model.outputs[: t + 1], window, half_life).pooled()
        np.testing.assert_allclose(step.initial_queries.numpy(), expected, rtol=1e-2, atol=1e-2)


def test_never_forgetting_differs_from_forgetting() -> None:
    """The half-life matters: the tests above could not hold for all of them otherwise."""
    queries = torch.randn(12, 6, 64, generator=torch.Generator().manual_seed(0))
    ends = [_run(RecordingModel(), queries, 3, half_life)[-1].initial_queries for half_life in (math.inf, 2.0, 0.0)]
    assert (ends[0] - ends[1]).abs().max() > 1e-2
    assert (ends[1] - ends[2]).abs().max() > 1e-2


@pytest.mark.parametrize("half_life", [math.inf, 4.0])
def test_each_leaving_frame_weighs_half_after_a_half_life(half_life: float) -> None:
    """Of frames with equal logits, one that left `age` frames ago has the weight `0.5^(age / half-life)`."""
    count, window = 12, 2
    queries = torch.zeros(count, 1, count + 1)
    queries[:, 0, 1:] = torch.eye(count)  # the pooled value then holds the weight of every frame
    queries[:, 0, 0] = torch.arange(count)
    step = _run(RecordingModel(torch.zeros(count, 1)), queries, window, half_life)[-1]
    ages = [max(0, count - window - 1 - frame) if frame < count - window else 0 for frame in range(count)]
    expected = np.array([0.5 ** (age / half_life) for age in ages])
    np.testing.assert_allclose(step.initial_queries[0, 1:].numpy(), expected / expected.sum(), rtol=1e-5)


def test_memoryless_session_equals_one_restarted_a_window_ago() -> None:
    """With half-life 0 and a single slot, which has no order, everything that comes out is the same."""
    model = tiny_model(num_queries=1)
    config = SessionConfig(window=4, half_life_frames=0, threshold=0.0)
    frames = random_frames(11, seed=4)
    old = ReferSession(model, config, ["a dog"])
    for frame in frames[:-4]:
        old.push(frame)
    young = ReferSession(model, config, ["a dog"])
    for frame in frames[-4:]:
        (one,), (other,) = old.push(frame), young.push(frame)
    assert one.probability == pytest.approx(other.probability, rel=1e-4)
    assert np.mean(one.merged() != other.merged()) < 2e-3
    assert one.merged().any()


def test_memoryless_slots_differ_from_restarted_ones_in_order_only() -> None:
    """The alignment chain is older than the window: the same pooled queries, each in the slot that it had before."""
    frames = random_frames(11, seed=4)
    sessions = [ReferSession(tiny_model(), SessionConfig(window=4, half_life_frames=0), ["a dog"]) for _ in range(2)]
    for frame in frames[:-4]:
        sessions[0].push(frame)
    with recorded_steps() as steps:
        for frame in frames[-4:]:
            for session in sessions:
                session.push(frame)
    old, young = steps[-2][0], steps[-1][0]
    order = torch.cdist(old.state.aligned[-1], young.state.aligned[-1]).argmin(dim=1)
    assert sorted(order.tolist()) == list(range(6))
    assert order.tolist() != list(range(6))  # else there was nothing to see
    assert_close(old.state.aligned, young.state.aligned[:, order])
    assert_close(old.initial_queries, young.initial_queries[order])


def test_window_slides_frames_and_their_sentences_together() -> None:
    """What the decoder reads is of the last frames only, also when many have left."""
    texts = torch.randn(9, 64, generator=torch.Generator().manual_seed(1))
    queries = torch.randn(9, 6, 64, generator=torch.Generator().manual_seed(2))
    state: WindowState | None = None
    for text, one in zip(texts, queries, strict=True):
        with torch.inference_mode():
            (step,) = advance_windows(tiny_model(), [state], [FrameBatch(one[None], text[None])], window=4, decay=0.0)
            alone = tiny_model().decode_window(step.state.aligned[None], step.state.text[None])
        state = step.state
        assert_close(step.mask_embedding, alone.mask_embedding[0])
    assert state is not None
    torch.testing.assert_close(state.text, texts[-4:])
    assert len(state.aligned) == 4
