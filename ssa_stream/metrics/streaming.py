"""Scores of what a viewer of a live stream sees: the newest mask that is out, however old."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ssa_stream.errors import ConfigError
from ssa_stream.metrics.clip_score import JAndF, score_clip
from ssa_stream.metrics.masks import Masks, check_masks

__all__ = ["shown_masks", "streaming_j_and_f"]

_ROUNDING_S = 1e-9


def shown_masks(emitted_at_s: Sequence[float], num_frames: int, fps: float, eta: float = 0.0) -> list[int | None]:
    """Which mask each frame is compared with: frame `i` with the last one emitted by `(i - eta) / fps`.

    Args:
        emitted_at_s: When each mask came out, ascending, on the clock on which frame `i` is captured at `i / fps`.
        num_frames: Frames of the stream.
        fps: Frames per second.
        eta: Frames by which masks must come out before the frame they are compared with; negative gives them grace.
    Returns:
        For each frame the index of a mask, None where none was out.
    Raises:
        ConfigError: `fps` is not positive or times do not ascend.
    """
    if not 0 < fps < float("inf"):
        raise ConfigError(f"fps is {fps}; expected a positive number")
    if any(later < earlier for earlier, later in pairwise(emitted_at_s)):
        raise ConfigError("emission times go back; expected the masks in the order in which they came out")
    out = [bisect_right(emitted_at_s, (i - eta) / fps + _ROUNDING_S) for i in range(num_frames)]
    return [count - 1 if count else None for count in out]


def streaming_j_and_f(
    masks: Masks, emitted_at_s: Sequence[float], target: Masks, fps: float, eta: float = 0.0
) -> JAndF:
    """Streaming J and F, sJ&F(eta, fps): each frame against `shown_masks`, an empty mask where there is none.

    Args:
        masks: Emitted masks, `(K, H, W)` bool.
        emitted_at_s: When each came out, ascending, `K` times.
        target: Target of every frame, `(T, H, W)` bool.
        fps: Frames per second.
        eta: See `shown_masks`.
    Raises:
        ConfigError: See `shown_masks`, or the number of times is another than that of masks.
        ShapeError: Shapes or types are others.
    """
    check_masks(masks, "emitted masks")
    check_masks(target, "target masks")
    if len(masks) != len(emitted_at_s):
        raise ConfigError(f"{len(masks)} masks and {len(emitted_at_s)} times; expected one time a mask")
    seen = np.zeros((len(target), *masks.shape[1:]), np.bool_)
    for i, k in enumerate(shown_masks(emitted_at_s, len(target), fps, eta)):
        if k is not None:
            seen[i] = masks[k]
    return score_clip(seen, target)
