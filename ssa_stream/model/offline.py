"""Offline inference: a clip and a sentence in, masks out. What streaming is compared with."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssa_stream.errors import ShapeError
from ssa_stream.model.clip_forward import ClipOutput, forward_clip
from ssa_stream.model.preprocess import MaskSizes, check_frame, frame_sizes, resize_frame, to_input
from ssa_stream.model.selection import (
    MaskConfidence,
    SelectionMode,
    mask_confidence,
    mask_logits,
    resize_logits,
    resize_to_output,
    select_queries,
)
from ssa_stream.model.stages import Stages

__all__ = ["ClipMasks", "logits_of_clip", "masks_of_clip", "segment_clip"]

_FRAMES_PER_CHUNK = 5


class ClipMasks(NamedTuple):
    """Masks of one sentence in one clip.

    Attributes:
        slots: Selected queries, ascending, `(K,)` int64.
        scores: Clip-wide score of each, `(K,)` float32.
        masks: One mask per selected query and frame, `(K, T, height, width)` bool, CPU.
    """

    slots: Tensor
    scores: Tensor
    masks: Tensor

    def merged(self) -> Tensor:
        """Union over the selected queries, `(T, height, width)` bool; empty if none was selected."""
        return self.masks.any(dim=0)


def masks_of_clip(clip: ClipOutput, sizes: MaskSizes, mode: SelectionMode, threshold: float) -> ClipMasks:
    """Select queries of an offline forward and make their masks, a few frames at a time."""
    slots = select_queries(clip.window.probability[0], mode, threshold)
    masks, confidences = [], []
    for logits in logits_of_clip(clip, slots, sizes):
        confidences.append(mask_confidence(logits))
        masks.append((resize_to_output(logits, sizes.output) > 0).cpu())
    confidence = MaskConfidence(*(torch.stack(sums).sum(dim=0) for sums in zip(*confidences, strict=True)))
    scores = confidence.score(clip.window.probability[0, slots]).cpu()
    return ClipMasks(slots.cpu(), scores, torch.cat(masks, dim=1))


def logits_of_clip(clip: ClipOutput, slots: Tensor, sizes: MaskSizes) -> Iterator[Tensor]:
    """Mask logits of `K` queries at network size, `(K, t, h, w)` float32 for a few frames at a time.

    Args:
        clip: Its mask features may lie on another device than the rest.
        slots: Which queries, `(K,)` int64.
        sizes: Of the clip's frames.
    """
    embeddings = clip.window.mask_embedding[0, slots]
    for features in clip.mask_features.split(_FRAMES_PER_CHUNK):
        logits = mask_logits(embeddings.expand(len(features), -1, -1), features.to(embeddings.device))
        yield resize_logits(logits.transpose(0, 1), sizes)


@torch.inference_mode()
def segment_clip(
    model: Stages,
    frames: Sequence[NDArray[np.uint8]],
    prompt: str,
    *,
    mode: SelectionMode = "multi",
    threshold: float = 0.5,
    short_edge_px: int | None = None,
    long_edge_px: int | None = None,
) -> ClipMasks:
    """Segment what a sentence refers to in a clip, seeing all of it at once.

    Args:
        model: The network, in evaluation mode.
        frames: RGB frames of one size, `(H, W, 3)` uint8 each.
        prompt: The sentence.
        mode: `multi` may select any number of objects, `single` the best one.
        threshold: Least probability of a selected query.
        short_edge_px: Shortest edge at the network; None takes the model's own.
        long_edge_px: Limit of the longest edge at the network; None takes the model's own.
    Raises:
        ShapeError: Frames are not RGB images of one size.
    """
    shapes = {check_frame(frame).shape for frame in frames}
    if len(shapes) != 1:
        raise ShapeError(f"frames have shapes {sorted(shapes)}; expected at least one frame, all of one size")
    output = frames[0].shape[0], frames[0].shape[1]
    sizes = frame_sizes(output, model.config.edges_px(short_edge_px, long_edge_px))
    images = to_input([resize_frame(frame, sizes.network) for frame in frames], model.device, model.dtype)
    return masks_of_clip(forward_clip(model, images, model.encode_text([prompt])), sizes, mode, threshold)
