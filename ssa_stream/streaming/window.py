"""The sliding window of one prompt, and its step: align, fold what leaves, decode."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ssa_stream.model import CarriedPool, Stages, empty_carry, fold
from ssa_stream.model.alignment import align_chains

__all__ = ["FrameBatch", "WindowState", "WindowStep", "advance_windows"]


@dataclass(frozen=True, slots=True, eq=False)
class WindowState:
    """What a prompt remembers of the stream. Constant in size; its tensors are never written to.

    Attributes:
        aligned: Projected frame queries in slot order, oldest first, `(T, N, C)` with `T` up to the window length.
        text: Fused sentence of each of these frames, `(T, C)`.
        oldest_value: Enhanced slots of the oldest frame in the last step, `(N, C)`; folded when it leaves.
        oldest_logit: Its pooling logits, `(N,)`.
        carried: Frames before the window, batch of 1.
    """

    aligned: Tensor
    text: Tensor
    oldest_value: Tensor
    oldest_logit: Tensor
    carried: CarriedPool


class FrameBatch(NamedTuple):
    """New frames of one prompt, oldest first: one in steady state, several when a prompt is replayed.

    Attributes:
        queries: Frame queries as generated, `(K, N, C)`.
        text: Fused sentences, `(K, C)`.
    """

    queries: Tensor
    text: Tensor


class WindowStep(NamedTuple):
    """Outcome of a step for one prompt.

    Attributes:
        state: The prompt's new window.
        probability: Of each video query, `(N,)` float32.
        mask_embedding: Of each video query, `(N, C)`; with a frame's mask features it gives that frame's masks.
        initial_queries: Pooled queries that decoding started from, `(N, C)`.
    """

    state: WindowState
    probability: Tensor
    mask_embedding: Tensor
    initial_queries: Tensor


class _Slid(NamedTuple):
    """A window after sliding, before decoding; batch of 1."""

    aligned: Tensor
    text: Tensor
    carried: CarriedPool


def advance_windows(
    model: Stages,
    windows: Sequence[WindowState | None],
    batches: Sequence[FrameBatch],
    *,
    window: int,
    decay: float,
) -> list[WindowStep]:
    """Move several prompts' windows on; windows of one length are decoded as one batch.

    Args:
        model: The network.
        windows: One state per prompt; None starts a new window.
        batches: New frames per prompt, at least one; a new window takes at most `window`, a running one exactly 1.
        window: Window length in frames.
        decay: Factor on older frames in the memory beyond the window, per frame.
    Returns:
        One step per prompt, in order.
    """
    chains = align_chains(
        [model.project_queries(new.queries) for new in batches], [old.aligned[-1] if old else None for old in windows]
    )
    slid = [
        _slide(old, new.text, aligned, window, decay)
        for old, new, (aligned, _) in zip(windows, batches, chains, strict=True)
    ]
    by_length: dict[int, list[int]] = defaultdict(list)
    for i, item in enumerate(slid):
        by_length[item.aligned.shape[1]].append(i)

    steps: dict[int, WindowStep] = {}
    for members in by_length.values():
        aligned = torch.cat([slid[i].aligned for i in members])
        text = torch.cat([slid[i].text for i in members])
        carried = CarriedPool(
            torch.cat([slid[i].carried.log_weight for i in members]), torch.cat([slid[i].carried.mean for i in members])
        )
        output = model.decode_window(aligned, text, carried)
        for row, i in enumerate(members):
            state = WindowState(
                aligned=aligned[row],
                text=text[row],
                oldest_value=output.enhanced[row, 0],
                oldest_logit=output.pooling_logits[row, 0],
                carried=slid[i].carried,
            )
            steps[i] = WindowStep(
                state, output.probability[row], output.mask_embedding[row], output.initial_queries[row]
            )
    return [steps[i] for i in range(len(slid))]


def _slide(old: WindowState | None, text: Tensor, aligned: Tensor, window: int, decay: float) -> _Slid:
    """Append new frames, `(K, C)` and `(K, N, C)` in slot order; the oldest frame leaves a full window."""
    if old is None:
        _, N, C = aligned.shape
        return _Slid(aligned[None], text[None], empty_carry(N, C, aligned.device))
    carried, keep = old.carried, slice(None)
    if len(old.aligned) == window:
        carried, keep = fold(carried, old.oldest_value[None], old.oldest_logit[None], decay), slice(1, None)
    return _Slid(torch.cat([old.aligned[keep], aligned])[None], torch.cat([old.text[keep], text])[None], carried)
