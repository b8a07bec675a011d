"""The network's forward in training: whole batches of clips, predictions at every depth kept.

Axes: `B` clips, `I` items (a sentence on a clip), `T` frames, `L` frame-decoder layers, `N` queries, `C` channels.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ssa_stream.model import SSA, CarriedPool, FrameQueries, TextFeatures, align_chain, empty_carry, fold
from ssa_stream.training.matching import SetPrediction

__all__ = [
    "TrainingOutput",
    "VideoOutput",
    "decode_video",
    "fold_history",
    "forward_clips",
    "frame_prediction",
    "generate",
]


class VideoOutput(NamedTuple):
    """What the video decoder makes of clips.

    Attributes:
        prediction: Predictions of all depths, layer-major (`layer * L + copy`), `I` items of `T` frames.
        projected: Projected frame queries in the frame decoder's order, `(L, I, T, N, C)`.
        aligned: The same in slot order.
        order: Which of the projected queries each slot holds, `(L, I, T, N)` int64.
        enhanced: Temporally enhanced slots, same shape.
        queries: Normalised video queries after the last layer, `(L, I, N, C)`.
    """

    prediction: SetPrediction
    projected: Tensor
    aligned: Tensor
    order: Tensor
    enhanced: Tensor
    queries: Tensor


class TrainingOutput(NamedTuple):
    """What the losses look at.

    Attributes:
        frames: Frame-level predictions of all depths, items clip-major: `I * T` items of one frame.
        video: Of whole clips.
        depths: What the pixel decoder makes of strides 32, 16, 8 after each of its layers, `(I * T, C, h, w)`; the last
            is what the frame decoder looks at.
    """

    frames: SetPrediction
    video: VideoOutput
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
    """
    split = max(0, images.shape[1] - (window or images.shape[1]))
    num_items, history = len(clip_index), None
    if split:
        with torch.no_grad():
            before = generate(model, images[:, :split], text, clip_index)
            earlier = model.project_queries(_last_queries(model, before, num_items, frame_layers))
            history = _align(earlier.flatten(0, 1), None)[0]
    now = generate(model, images[:, split:], text, clip_index)
    queries = _last_queries(model, now, num_items, frame_layers)
    sentences, features = (values.unflatten(0, (num_items, -1)) for values in (now.text, now.mask_features))
    video = decode_video(model, queries, sentences, features, history=history, decay=decay)
    return TrainingOutput(frame_prediction(now), video, now.depths)


def generate(model: SSA, images: Tensor, text: TextFeatures, clip_index: Tensor) -> FrameQueries:
    """Frame queries of all frames of all items, `I * T` rows, clip-major; clips with several sentences share stems.

    Args:
        model: The network, in training mode.
        images: Normalised and padded, `(B, T, 3, H, W)`.
        text: `I` rows.
        clip_index: Which clip each row is about, `(I,)` int64, ascending.
    """
    B, T = images.shape[:2]
    num_items = len(clip_index)
    stem = model.encode_stem(images.flatten(0, 1))
    steps = torch.arange(T, device=images.device)
    rows = text.take(torch.arange(num_items, device=images.device).repeat_interleave(T))
    frame_index = None if num_items == B else (clip_index[:, None] * T + steps).flatten()
    return model.generate_queries(model.condition(stem, rows, frame_index), rows)


def frame_prediction(frames: FrameQueries) -> SetPrediction:
    """Predictions of single frames, one depth after the other."""
    assert frames.frame_mask_features is not None  # the model is in training mode
    return SetPrediction(
        torch.stack([prediction.class_logits for prediction in frames.predictions]),
        torch.stack([prediction.mask_embedding for prediction in frames.predictions]),
        frames.frame_mask_features[:, None],
    )


def decode_video(
    model: SSA,
    queries: Tensor,
    text: Tensor,
    mask_features: Tensor,
    *,
    history: Tensor | None = None,
    decay: float = 1.0,
) -> VideoOutput:
    """Project, align and decode frame queries.

    Args:
        model: The network, in training mode.
        queries: Of the last frame-decoder layers, `(L, I, T, N, C)`.
        text: Fused sentence of each frame, `(I, T, C)`.
        mask_features: `(I, T, C, h, w)`.
        history: Slots of the frames before, `(L * I, T0, N, C)`; without gradient.
        decay: Factor on frames that have left the window, per frame.
    """
    L, num_items = queries.shape[:2]
    projected = model.project_queries(queries.flatten(0, 1))
    aligned, order = _align(projected, None if history is None else history[:, -1])
    carried = None
    if history is not None:
        carried = fold_history(model, torch.cat([history, aligned.detach()], dim=1), history.shape[1], decay)
    window = model.decode_window(aligned, text.repeat(L, 1, 1), carried)
    logits, embeddings = (
        torch.stack([getattr(layer, name) for layer in window.predictions]).unflatten(1, (L, num_items)).flatten(0, 1)
        for name in ("class_logits", "mask_embedding")
    )
    last = window.predictions[-1].queries
    copies = [values.unflatten(0, (L, num_items)) for values in (projected, aligned, order, window.enhanced, last)]
    prediction = SetPrediction(logits, embeddings, mask_features)
    return VideoOutput(prediction, *copies)


def _last_queries(model: SSA, frames: FrameQueries, num_items: int, frame_layers: int) -> Tensor:
    """Queries of the last layers, `(L, I, T, N, C)`."""
    features = frames.frame_mask_features
    assert features is not None  # the model is in training mode
    last = frames.predictions[-frame_layers:]
    queries = torch.stack([model.mask_moments(prediction, features) for prediction in last])
    by_item: Tensor = queries.unflatten(1, (num_items, -1))
    return by_item


def _align(projected: Tensor, previous: Tensor | None) -> tuple[Tensor, Tensor]:
    """The alignment chain; it runs on the CPU, where a run in mixed precision would leave it no numpy type."""
    with torch.autocast("cpu", enabled=False):
        return align_chain(projected, previous)


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
