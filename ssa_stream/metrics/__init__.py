"""Figures of merit as plain functions of masks: J, F, J&F, target presence, identity, streaming J&F, P@K and mAP."""

from ssa_stream.metrics.boundary import boundary_accuracy, boundary_radius_px
from ssa_stream.metrics.clip_score import (
    ClipKey,
    FrameScores,
    JAndF,
    TargetPresence,
    mean_scores,
    region_similarity,
    score_clip,
    score_frames,
    shown_masks,
    streaming_j_and_f,
    target_presence,
)
from ssa_stream.metrics.identity import IdentityCounts, count_identity, match_tracks
from ssa_stream.metrics.masks import Masks
from ssa_stream.metrics.single_object import PRECISION_THRESHOLDS, SingleObjectFigures, SingleObjectScorer

__all__ = [
    "PRECISION_THRESHOLDS",
    "ClipKey",
    "FrameScores",
    "IdentityCounts",
    "JAndF",
    "Masks",
    "SingleObjectFigures",
    "SingleObjectScorer",
    "TargetPresence",
    "boundary_accuracy",
    "boundary_radius_px",
    "count_identity",
    "match_tracks",
    "mean_scores",
    "region_similarity",
    "score_clip",
    "score_frames",
    "shown_masks",
    "streaming_j_and_f",
    "target_presence",
]
