"""The network's forward in training: whole batches of clips, predictions at every depth kept.

Axes: `B` clips, `I` items (a sentence on a clip), `T` frames, `L` frame-decoder layers, `N` queries, `C` channels.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ssa_stream.model import SSA, CarriedPool, FrameQueries, TextFeatures, align_chain, empty_carry, fold
from ssa_stream.training.matching import SetPrediction

__all__ = ["TrainingOutput", "fold_history", "forward_clips"]


class TrainingOutput(NamedTuple):
    """What the losses look at.

    Attributes:
        frames: Frame-level predictions of all depths, items clip-major: `I * T` items of one frame.
        video: Video-level predictions; depths are layer-major (`layer * L + copy`), `I` items of `T` frames.
        projected: Projected frame queries in the frame decoder's order, `(L, I, T, N, C)`.
        aligned: The same in slot order.
        enhanced: Temporally enhanced slots, same shape.
        video_queries: Normalised video queries after the last layer, `(L, I, N, C)`.
        depths: What the pixel decoder makes of strides 32, 16, 8 after each of its layers, `(I * T, C, h, w)`; the last
            is what the frame decoder looks at.
    """

    frames: SetPrediction
    video: SetPrediction
    projected: Tensor
    aligned: Tensor
    enhanced: Tensor
    video_queries: Tensor
    depths: tuple[tuple[Tensor, ...], ...]


def forward_clips(
    model: SSA,
    images: Tensor,
    text: TextFeatures,
    clip_index: Tensor,
    *,
    frame_layers: int = 1,
    window: int | None = None,
    decay: float = 1.0,
    freeze_frames: bool = False,
) -> TrainingOutput:
    """Run the network on clips of one length.

    Args:
        model: The network, in training mode.
        images: Normalised and padded, `(B, T, 3, H, W)`.
        text: `I` rows.
        clip_index: Which clip each row is about, `(I,)` int64, ascending.
        frame_layers: How many of the last frame-decoder layers' queries go through the video decoder (`L`).
        window: Only the last so many frames are predicted; those before come in through the carried pool, as in a
            stream, and get no gradient. None takes all frames.
        decay: Factor on frames that have left the window, per frame.
        freeze_frames: Whether what comes from single frames gets no gradient; of their predictions, only those of the
            last `frame_layers` depths are returned then.
    """
    split = max(0, images.shape[1] - (window or images.shape[1]))
    history = None
    if split:
        with torch.no_grad():
            before = _generate(model, images[:, :split], text, clip_index)
            history = _align(_project(model, before, len(clip_index), frame_layers), None)
    with torch.set_grad_enabled(not freeze_frames):
        now = _generate(model, images[:, split:], text, clip_index)
    if freeze_frames:
        now = now._replace(predictions=now.predictions[-frame_layers:])
    return _decode(model, now, len(clip_index), frame_layers, history, decay)


def _generate(model: SSA, images: Tensor, text: TextFeatures, clip_index: Tensor) -> FrameQueries:
    """Frame queries of all frames of all items, `I * T` rows, clip-major; clips with several sentences share stems."""
    B, T = images.shape[:2]
    num_items = len(clip_index)
    stem = model.encode_stem(images.flatten(0, 1))
    steps = torch.arange(T, device=images.device)
    rows = text.take(torch.arange(num_items, device=images.device).repeat_interleave(T))
    frame_index = None if num_items == B else (clip_index[:, None] * T + steps).flatten()
    return model.generate_queries(model.condition(stem, rows, frame_index), rows)


def _project(model: SSA, frames: FrameQueries, num_items: int, frame_layers: int) -> Tensor:
    """Projected queries of the last layers, `(L * I, T, N, C)`."""
    queries = torch.stack([prediction.queries for prediction in frames.predictions[-frame_layers:]])
    return model.project_queries(queries.unflatten(1, (num_items, -1)).flatten(0, 1))


def _align(projected: Tensor, previous: Tensor | None) -> Tensor:
    """The alignment chain; it runs on the CPU, where a run in mixed precision would leave it no numpy type."""
    with torch.autocast("cpu", enabled=False):
        return align_chain(projected, previous)[0]


def _decode(
    model: SSA, frames: FrameQueries, num_items: int, frame_layers: int, history: Tensor | None, decay: float
) -> TrainingOutput:
    L = frame_layers
    assert frames.frame_mask_features is not None  # the model is in training mode
    projected = _project(model, frames, num_items, L)
    aligned = _align(projected, None if history is None else history[:, -1])
    carried = None
    if history is not None:
        carried = fold_history(model, torch.cat([history, aligned.detach()], dim=1), history.shape[1], decay)
    text = frames.text.unflatten(0, (num_items, -1)).repeat(L, 1, 1)
    window = model.decode_window(aligned, text, carried)
    layers = window.predictions
    return TrainingOutput(
        frames=SetPrediction(
            torch.stack([prediction.class_logits for prediction in frames.predictions]),
            torch.stack([prediction.mask_embedding for prediction in frames.predictions]),
            frames.frame_mask_features[:, None],
        ),
        video=SetPrediction(
            torch.stack([prediction.class_logits for prediction in layers]).unflatten(1, (L, num_items)).flatten(0, 1),
            torch.stack([prediction.mask_embedding for prediction in layers])
            .unflatten(1, (L, num_items))
            .flatten(0, 1),
            frames.mask_features.unflatten(0, (num_items, -1)),
        ),
        projected=projected.unflatten(0, (L, num_items)),
        aligned=aligned.unflatten(0, (L, num_items)),
        enhanced=window.enhanced.unflatten(0, (L, num_items)),
        video_queries=layers[-1].queries.unflatten(0, (L, num_items)),
        depths=frames.depths,
    )


@torch.no_grad()
def fold_history(model: SSA, aligned: Tensor, num_before: int, decay: float) -> CarriedPool:
    """Fold the frames before the window as a stream does: each with its values of the last window that held it.

    Args:
        model: The network.
        aligned: Slots of the frames before the window and in it, `(B, T0 + W, N, C)`.
        num_before: `T0`.
        decay: Factor on what is already folded in, per frame.
    """
    B, total, N, C = aligned.shape
    length = total - num_before
    windows = torch.stack([aligned[:, start : start + length] for start in range(num_before)], dim=1)
    enhanced = model.video_decoder.enhancer(windows.flatten(0, 1))[:, 0]  # (B*T0, N, C)
    logits = model.video_decoder.pooling(enhanced)[..., 0].unflatten(0, (B, num_before))
    values = enhanced.unflatten(0, (B, num_before))
    carried = empty_carry(N, C, aligned.device, batch=B)
    for step in range(num_before):
        carried = fold(carried, values[:, step], logits[:, step], decay)
    return carried
