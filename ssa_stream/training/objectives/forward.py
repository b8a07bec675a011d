"""The network's forward in training: whole batches of clips, predictions at every depth kept.

Axes: `B` clips, `I` items (a sentence on a clip), `T` frames, `L` frame-decoder layers, `N` queries, `C` channels.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ssa_stream.model import SSA, FrameQueries, TextFeatures, align_chain
from ssa_stream.training.objectives.matching import SetPrediction

__all__ = [
    "TrainingOutput",
    "VideoOutput",
    "decode_video",
    "float32",
    "forward_clips",
    "frame_prediction",
    "generate",
    "video_float32",
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
) -> TrainingOutput:
    """Run the network on clips of one length.

    Args:
        model: The network, in training mode.
        images: Normalised and padded, `(B, T, 3, H, W)`.
        text: `I` rows.
        clip_index: Which clip each row is about, `(I,)` int64, ascending.
        frame_layers: How many of the last frame-decoder layers' queries go through the video decoder (`L`).
    """
    num_items = len(clip_index)
    frames = generate(model, images, text, clip_index)
    queries = _last_queries(model, frames, num_items, frame_layers)
    sentences, features = (values.unflatten(0, (num_items, -1)) for values in (frames.text, frames.mask_features))
    video = decode_video(model, queries, sentences, features)
    return TrainingOutput(frame_prediction(frames), video, frames.depths)


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


def decode_video(model: SSA, queries: Tensor, text: Tensor, mask_features: Tensor) -> VideoOutput:
    """Project, align and decode frame queries.

    Args:
        model: The network, in training mode.
        queries: Of the last frame-decoder layers, `(L, I, T, N, C)`.
        text: Fused sentence of each frame, `(I, T, C)`.
        mask_features: `(I, T, C, h, w)`.
    """
    L, num_items = queries.shape[:2]
    projected = model.project_queries(queries.flatten(0, 1))
    with torch.autocast("cpu", enabled=False):  # in mixed precision the alignment on the CPU has no numpy type
        aligned, order = align_chain(projected)
    window = model.decode_window(aligned, text.repeat(L, 1, 1))
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


def float32(output: TrainingOutput) -> TrainingOutput:
    """Predictions in float32: losses are computed in it whatever the network runs in."""
    depths = tuple(tuple(level.float() for level in levels) for levels in output.depths)
    return TrainingOutput(_float32(output.frames), video_float32(output.video), depths)


def video_float32(output: VideoOutput) -> VideoOutput:
    """The same of the video decoder's output alone."""
    return VideoOutput(
        prediction=_float32(output.prediction),
        projected=output.projected.float(),
        aligned=output.aligned.float(),
        order=output.order,
        enhanced=output.enhanced.float(),
        queries=output.queries.float(),
    )


def _float32(prediction: SetPrediction) -> SetPrediction:
    return SetPrediction(*(field.float() for field in prediction))
