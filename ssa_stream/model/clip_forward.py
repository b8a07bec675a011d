"""The offline forward: a whole clip is one window, through the stages of any engine."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from ssa_stream.errors import ShapeError
from ssa_stream.model.alignment import align_chain
from ssa_stream.model.chunks import frames_per_chunk
from ssa_stream.model.clip import TextFeatures
from ssa_stream.model.stages import Stages
from ssa_stream.model.video_decoder import WindowOutput

__all__ = ["ClipOutput", "decode_clip", "forward_clip"]


class ClipOutput(NamedTuple):
    """Offline forward of one clip of `T` frames.

    Attributes:
        window: Video decoder output with the whole clip as one window, batch of 1.
        aligned: Projected frame queries in slot order, `(1, T, N, C)`.
        order: Permutation of the alignment chain, `(1, T, N)`.
        mask_features: `(T, C, H/4, W/4)`.
        text: Fused sentence of each frame, `(1, T, C)`.
    """

    window: WindowOutput
    aligned: Tensor
    order: Tensor
    mask_features: Tensor
    text: Tensor


def forward_clip(model: Stages, images: Tensor, text: TextFeatures, chunk_size: int | None = None) -> ClipOutput:
    """Run a clip through the network.

    Args:
        model: The network.
        images: Normalised and padded clip, `(T, 3, H, W)`.
        text: One row.
        chunk_size: Frames that pass the per-frame part together; changes memory and time, not results. None chooses
            by the device, see `chunks`.
    Raises:
        ShapeError: `text` has not exactly one row.
    """
    frames = chunk_size or frames_per_chunk((int(images.shape[-2]), int(images.shape[-1])), model.device)
    stems = (model.encode_stem(chunk) for chunk in images.split(frames))
    return decode_clip(model, stems, text, len(images))


def decode_clip(
    model: Stages,
    stems: Iterable[Tensor],
    text: TextFeatures,
    num_frames: int,
    features_on: torch.device | None = None,
) -> ClipOutput:
    """The offline forward from the prompt-free stage on, so that sentences of one clip can share that.

    Args:
        model: The network.
        stems: Outputs of `encode_stem` for the clip's frames, in order, in chunks of any length; one is held at a
            time.
        text: One row.
        num_frames: Of all chunks together, `T`.
        features_on: Where mask features are kept, which are as large as all else together; None leaves them.
    Raises:
        ShapeError: `text` has not exactly one row.
    """
    if len(text.sentence) != 1:
        raise ShapeError(f"{len(text.sentence)} sentences for one clip; expected 1, call once per sentence")
    queries, vectors, features, done = [], [], None, 0
    for stem in stems:
        rows = text.take(torch.zeros(len(stem), dtype=torch.int64, device=model.device))
        part = model.generate_queries(model.condition(stem, rows), rows)
        queries.append(part.queries)
        vectors.append(part.text)
        if features is None:  # all at once: joined at the end, they would be there twice
            shape = (num_frames, *part.mask_features.shape[1:])
            features = part.mask_features.new_empty(shape, device=features_on or model.device)
        features[done : done + len(stem)] = part.mask_features
        done += len(stem)
    assert features is not None
    assert done == num_frames, f"{done} frames came, of {num_frames}"
    aligned, order = align_chain(model.project_queries(torch.cat(queries)[None]))
    sentences = torch.cat(vectors)[None]
    return ClipOutput(model.decode_window(aligned, sentences), aligned, order, features, sentences)
