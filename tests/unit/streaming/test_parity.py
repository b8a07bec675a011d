"""While no frame has left the window, the stream's newest output is the offline forward's."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ssa_stream.model import ClipOutput, MaskSizes, network_size, resize_frame, to_input
from ssa_stream.model.offline import masks_of_clip
from ssa_stream.model.selection import binarize, mask_confidence, mask_logits, resize_logits
from ssa_stream.streaming import MaskResult, ReferSession, SessionConfig, TrackConfig
from ssa_stream.streaming.window import WindowStep
from tests.support.tiny_model import random_frames, tiny_model
from tests.unit.streaming.comparing import property_test, recorded_steps

WINDOW = 5
SENTENCES = ["the red car", "a dog", "two people far away"]
CONFIG = SessionConfig(window=WINDOW, tracks=TrackConfig(duplicate_iou=1.0))
sizes = st.tuples(st.integers(20, 90), st.integers(20, 90))


def _offline(frames: list[np.ndarray], sentence: str) -> tuple[ClipOutput, MaskSizes]:
    model = tiny_model()
    output = (frames[0].shape[0], frames[0].shape[1])
    network = network_size(output, model.config.short_edge_px, model.config.long_edge_px)
    images = to_input([resize_frame(frame, network) for frame in frames])
    with torch.inference_mode():
        clip = model(images, model.encode_text([sentence]))
    return clip, MaskSizes((images.shape[2], images.shape[3]), network, output)


def _close(found: Tensor, expected: Tensor) -> None:
    """Equal within 1e-4 of the expected values' size."""
    scale = float(expected.float().square().mean().sqrt())
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * scale)


def _assert_parity(step: WindowStep, result: MaskResult, frames: list[np.ndarray]) -> None:
    clip, size = _offline(frames, result.prompt)
    _close(step.state.aligned, clip.aligned[0])
    _close(step.state.text, clip.text[0])
    _close(step.initial_queries, clip.window.initial_queries[0])
    _close(step.probability, clip.window.probability[0])
    _close(step.mask_embedding, clip.window.mask_embedding[0])
    assert result.probability == float(step.probability.max())

    masks = masks_of_clip(clip, size, "multi", 0.5)
    assert np.mean(result.merged() != masks.merged()[-1].numpy()) < 2e-3  # pixels whose logit is zero but for rounding
    by_probability = sorted(result.tracks, key=lambda track: track.probability)
    order = clip.window.probability[0, masks.slots].argsort()
    shown = [int(k) for k in order if masks.masks[k, -1].any()]
    assert len(by_probability) == len(shown)
    for track, k in zip(by_probability, shown, strict=True):
        slot = int(masks.slots[k])
        logits = mask_logits(clip.window.mask_embedding[:, slot : slot + 1], clip.mask_features[-1:])
        at_network = resize_logits(logits, size)
        confidence = mask_confidence(at_network)
        torch.testing.assert_close(
            torch.tensor([track.score]), confidence.score(clip.window.probability[0, slot]), rtol=1e-3, atol=1e-3
        )
        assert np.mean(track.mask != binarize(at_network, size.output)[0, 0].numpy()) < 2e-3


@property_test(8)
@given(size=sizes, count=st.integers(1, WINDOW), seed=st.integers(0, 99), num_prompts=st.integers(1, 3))
def test_first_window_equals_offline_forward(size: tuple[int, int], count: int, seed: int, num_prompts: int) -> None:
    """Queries, probabilities, mask embeddings and the newest frame's masks, whatever has to be resized and padded."""
    frames = random_frames(count, size, seed)
    session = ReferSession(tiny_model(), CONFIG, SENTENCES[:num_prompts])
    with recorded_steps() as steps:
        for frame in frames:
            results = session.push(frame)
    assert len(results) == num_prompts
    for step, result in zip(steps[-1], results, strict=True):
        _assert_parity(step, result, frames)


@property_test(6)
@given(
    before=st.integers(0, 8),
    after=st.integers(1, 2),
    seed=st.integers(0, 99),
    lookahead=st.integers(0, 2),
)
def test_new_prompt_sees_the_last_window_as_if_it_had_been_there(
    before: int, after: int, seed: int, lookahead: int
) -> None:
    """Set in mid-stream a prompt gives what the offline forward gives on the frames that are still in the window."""
    frames = random_frames(before + after, seed=seed)
    config = SessionConfig(window=WINDOW, lookahead=lookahead, tracks=CONFIG.tracks)
    session = ReferSession(tiny_model(), config, SENTENCES[:1])
    for frame in frames[:before]:
        session.push(frame)
    session.set_prompts(SENTENCES)
    session.remove_prompt("p2")
    with recorded_steps() as steps:
        for frame in frames[before:]:
            results = session.push(frame)
    first = max(0, before + 1 - WINDOW)
    seen = frames[first:]
    if len(seen) > WINDOW:
        return  # a frame has left the new prompt's window, so it carries more than a clip
    if lookahead == 0:
        assert [result.prompt for result in results] == [SENTENCES[0], SENTENCES[2]]
        _assert_parity(steps[-1][1], results[1], seen)
    else:
        clip, _ = _offline(seen, SENTENCES[2])
        _close(steps[-1][1].probability, clip.window.probability[0])
        _close(steps[-1][1].mask_embedding, clip.window.mask_embedding[0])


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
    clip, size = _offline(frames, SENTENCES[0])
    assert len(np.unique(clip.order[0].numpy(), axis=0)) >= 3
    selected = [int((clip.window.probability > 0.5).sum())]
    for sentence in SENTENCES[1:]:
        selected.append(int((_offline(frames, sentence)[0].window.probability > 0.5).sum()))
    assert 0 < sum(selected) < 3 * tiny_model().config.num_queries
    areas = masks_of_clip(clip, size, "multi", 0.0).masks.float().mean(dim=(1, 2, 3))
    assert areas.max() - areas.min() > 0.1
