"""The stages of the network that golden cases record, in the order in which they are computed, and their tolerances."""

from typing import Literal, NamedTuple

__all__ = ["LATE_TOLERANCE", "LOOSE_TOLERANCE", "Stage", "stages"]

EARLY_TOLERANCE = 1e-4
"""Largest difference over the recorded root mean square, up to the pixel decoder's outputs."""
LATE_TOLERANCE = 5e-4
"""The same, after the frame decoder."""
MASK_TOLERANCE = 1e-4
"""Share of mask pixels that may differ."""
LOOSE_TOLERANCE = 0.1
"""In bfloat16: root mean square of the difference over the recorded one. For information, nothing fails on it."""


class Stage(NamedTuple):
    """One thing to compare.

    Attributes:
        name: The array.
        layer: Index along its first axis, for arrays that hold several layers.
        kind: Numbers within a relative tolerance, or entries of which a share may differ.
        tolerance: Largest error that agrees.
    """

    name: str
    layer: int | None
    kind: Literal["numbers", "entries"]
    tolerance: float


def _numbers(names: str, tolerance: float) -> list[Stage]:
    return [Stage(name, None, "numbers", tolerance) for name in names.split()]


def _entries(names: str, tolerance: float = 0.0) -> list[Stage]:
    return [Stage(name, None, "entries", tolerance) for name in names.split()]


def stages(num_predictions: int, num_video_layers: int) -> list[Stage]:
    """All stages in the order of computation.

    Args:
        num_predictions: Prediction heads of the frame decoder, one more than its layers.
        num_video_layers: Layers of the video decoder.
    """
    early, late = EARLY_TOLERANCE, LATE_TOLERANCE
    listed = [*_entries("tokens"), *_numbers("word_feat", early), *_entries("word_mask")]
    listed += _numbers("sent_feat stem", early)
    for i in range(4):
        listed += _numbers(f"trunk{i} gate{i} adapter{i}", early)
    listed += _numbers("lang_resized ms0 ms1 ms2 text_fused fpn_out mask_features vita_mask_features", early)
    listed += _entries("attn_level_size")
    for k in range(num_predictions):
        listed.append(Stage("frame_query_layers", k, "numbers", late))
        listed.append(Stage("attn_blocked", k, "entries", 0.0))
    listed += _numbers("frame_queries frame_pred_logits proj_frame_queries", late)
    listed += _entries("perm")
    listed += _numbers("aligned_frame_queries temporal_queries time_weights init_video_queries", late)
    listed += [Stage("video_query_layers", k, "numbers", late) for k in range(num_video_layers)]
    listed += _numbers("pred_logits pred_fg_prob pred_mask_embed mask_logits", late)
    listed += _entries("selection")
    for mode in ("merge", "single"):
        listed += _entries(f"masks_{mode}", MASK_TOLERANCE)
        listed += _numbers(f"scores_{mode}", late)
        listed += _entries(f"labels_{mode}")
    return listed
