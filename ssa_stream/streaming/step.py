"""One step of a session as a pure function: state and frame in, state and results out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssa_stream.model import SSA, MaskSizes, TextFeatures, network_size, resize_frame, to_input
from ssa_stream.model.preprocess import SIZE_DIVISOR
from ssa_stream.streaming.config import SessionConfig
from ssa_stream.streaming.emission import FrameEvidence, emit_masks
from ssa_stream.streaming.results import MaskResult
from ssa_stream.streaming.state import PromptState, RecentFrame, SessionState
from ssa_stream.streaming.timeline import FrameStamp
from ssa_stream.streaming.tracks import TrackState
from ssa_stream.streaming.window import FrameBatch, WindowStep, advance_windows

__all__ = ["cleared", "flush_frames", "step_frame"]

_MAX_ITEMS = 16
"""Frames x prompts that pass the per-frame stages together; bounds memory when prompts are replayed."""


def step_frame(
    model: SSA, config: SessionConfig, state: SessionState, image: NDArray[np.uint8], t: float | None
) -> tuple[SessionState, list[MaskResult]]:
    """Take one frame; see `ReferSession.push`."""
    timeline, stamp = state.timeline.accept((image.shape[0], image.shape[1]), t, config)
    results: list[MaskResult] = []
    if stamp.after_reset:
        state, results = flush_frames(model, config, state)
        state = cleared(state)
    size = _network_size(model, config, (image.shape[0], image.shape[1]))
    pixels = to_input([resize_frame(image, size)], model.device, model.dtype)
    recent = (*state.recent, RecentFrame(pixels, None))[-config.window :]
    pending = (*state.pending, stamp)
    state = replace(state, timeline=timeline, recent=recent, pending=pending)

    due = len(pending) > config.lookahead
    if state.prompts:
        state, steps = _advance(model, config, state, range(len(state.prompts)))
        if due:
            state, final = _emit(model, config, state, steps, pending[0], behind=len(pending) - 1)
            results += final
        if config.emit_provisional and config.lookahead:
            results += _emit(model, config, state, steps, stamp, behind=0, provisional=True)[1]
    return (_without_oldest_pending(state) if due else state), results


def flush_frames(model: SSA, config: SessionConfig, state: SessionState) -> tuple[SessionState, list[MaskResult]]:
    """Emit the frames that wait for lookahead with what is known; see `ReferSession.flush`."""
    results: list[MaskResult] = []
    if not state.pending:
        return state, results
    if new := [i for i, item in enumerate(state.prompts) if item.window is None]:
        state, _ = _advance(model, config, state, new)
    steps = [_redecode(model, item) for item in state.prompts]
    for behind, stamp in zip(reversed(range(len(state.pending))), state.pending, strict=True):
        state, final = _emit(model, config, state, steps, stamp, behind)
        results += final
        state = _without_oldest_pending(state)
    return state, results


def cleared(state: SessionState) -> SessionState:
    """Forget frames and tracks; keep prompts, numbers and used track ids."""
    prompts = tuple(
        replace(item, tracks=TrackState(next_id=item.tracks.next_id), window=None, mask_features=())
        for item in state.prompts
    )
    return replace(state, prompts=prompts, recent=(), pending=())


def _network_size(model: SSA, config: SessionConfig, size: tuple[int, int]) -> tuple[int, int]:
    sizes = model.config
    return network_size(size, config.short_edge_px or sizes.short_edge_px, config.long_edge_px or sizes.long_edge_px)


def _mask_sizes(model: SSA, config: SessionConfig, size: tuple[int, int]) -> MaskSizes:
    height, width = _network_size(model, config, size)
    return MaskSizes((height + -height % SIZE_DIVISOR, width + -width % SIZE_DIVISOR), (height, width), size)


def _advance(
    model: SSA, config: SessionConfig, state: SessionState, members: Sequence[int]
) -> tuple[SessionState, list[WindowStep]]:
    """Run the network for some of the prompts: on the newest frame, and on all recent frames if a prompt is new."""
    items = [state.prompts[i] for i in members]
    counts = [len(state.recent) if item.window is None else 1 for item in items]
    recent, stems = _with_stems(model, state.recent, max(counts))
    queries = _generate(model, stems, [item.text for item in items], counts)
    steps = advance_windows(
        model,
        [item.window for item in items],
        [FrameBatch(one.queries, one.text) for one in queries],
        window=config.window,
        decay=config.decay,
    )
    prompts = list(state.prompts)
    for i, one, step in zip(members, queries, steps, strict=True):
        new: Sequence[Tensor] = one.mask_features[-len(state.pending) :].unbind(0)
        if config.lookahead:  # those that wait must not hold on to the memory of the whole batch
            new = [features.clone(memory_format=torch.contiguous_format) for features in new]
        kept = (*prompts[i].mask_features, *new)[-len(state.pending) :]
        prompts[i] = replace(prompts[i], window=step.state, mask_features=kept)
    return replace(state, recent=recent, prompts=tuple(prompts)), steps


def _with_stems(
    model: SSA, recent: tuple[RecentFrame, ...], count: int
) -> tuple[tuple[RecentFrame, ...], tuple[Tensor, ...]]:
    """Make the prompt-free features of the last `count` frames where they are missing."""
    frames = list(recent)
    for i in range(len(frames) - count, len(frames)):
        image = frames[i].image
        if image is not None:
            frames[i] = RecentFrame(None, model.encode_stem(image))
    stems = tuple(frame.stem for frame in frames[-count:] if frame.stem is not None)
    return tuple(frames), stems


class _Queries(NamedTuple):
    """Queries `(K, N, C)`, sentences `(K, C)` and mask features `(K, C, H/4, W/4)` of one prompt's new frames."""

    queries: Tensor
    text: Tensor
    mask_features: Tensor


def _generate(
    model: SSA, stems: Sequence[Tensor], texts: Sequence[TextFeatures], counts: Sequence[int]
) -> list[_Queries]:
    """Frames x prompts through the text-conditioned stages, as few batches as memory allows.

    Args:
        model: The network.
        stems: Prompt-free features of the newest frames, oldest first.
        texts: One row per prompt.
        counts: How many of the newest frames each prompt needs.
    """
    all_texts = TextFeatures(*(torch.cat(rows) for rows in zip(*texts, strict=True)))
    pairs = [(p, f) for p, count in enumerate(counts) for f in range(len(stems) - count, len(stems))]
    parts = []
    for start in range(0, len(pairs), _MAX_ITEMS):
        chunk = pairs[start : start + _MAX_ITEMS]
        used = sorted({f for _, f in chunk})
        prompt_index = torch.tensor([p for p, _ in chunk], device=model.device)
        frame_index = torch.tensor([used.index(f) for _, f in chunk], device=model.device)
        rows = all_texts.take(prompt_index)
        maps = model.condition(torch.cat([stems[f] for f in used]), rows, frame_index)
        parts.append(model.generate_queries(maps, rows))
    merged = _Queries(
        torch.cat([part.queries for part in parts]),
        torch.cat([part.text for part in parts]),
        torch.cat([part.mask_features for part in parts]),
    )
    return [_Queries(*fields) for fields in zip(*(field.split(list(counts)) for field in merged), strict=True)]


def _emit(
    model: SSA,
    config: SessionConfig,
    state: SessionState,
    steps: Sequence[WindowStep],
    stamp: FrameStamp,
    behind: int,
    *,
    provisional: bool = False,
) -> tuple[SessionState, list[MaskResult]]:
    """Masks of the frame that lies `behind` frames before the newest one, for every prompt."""
    size = state.timeline.size
    assert size is not None  # a frame was accepted
    sizes = _mask_sizes(model, config, size)
    results, prompts = [], []
    for item, step in zip(state.prompts, steps, strict=True):
        evidence = FrameEvidence(
            step.probability, step.mask_embedding, step.state.aligned[-1 - behind], item.mask_features[-1 - behind]
        )
        tracks, masks = emit_masks(model, evidence, sizes, item.tracks, config, provisional=provisional)
        prompts.append(replace(item, tracks=tracks))
        results.append(
            MaskResult(
                prompt_id=item.prompt.prompt_id,
                prompt=item.prompt.text,
                prompt_version=item.prompt.version,
                frame_index=stamp.index,
                t=stamp.t,
                size=size,
                tracks=masks,
                probability=float(step.probability.max()),
                status="provisional" if provisional else "final",
                frames_missed=stamp.frames_missed,
                after_reset=stamp.after_reset,
            )
        )
    if provisional:
        return state, results
    first_free = max([state.first_free_track_id, *(item.tracks.next_id for item in prompts)])
    return replace(state, prompts=tuple(prompts), first_free_track_id=first_free), results


def _redecode(model: SSA, item: PromptState) -> WindowStep:
    """Decode a window as it stands, for frames whose lookahead never came."""
    window = item.window
    assert window is not None  # new prompts were replayed
    output = model.decode_window(window.aligned[None], window.text[None], window.carried)
    return WindowStep(window, output.probability[0], output.mask_embedding[0], output.initial_queries[0])


def _without_oldest_pending(state: SessionState) -> SessionState:
    """The oldest waiting frame is done: forget its mask features."""
    pending = state.pending[1:]
    prompts = tuple(
        replace(item, mask_features=item.mask_features[-len(pending) :] if pending else ()) for item in state.prompts
    )
    return replace(state, pending=pending, prompts=prompts)
