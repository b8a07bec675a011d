"""Kept clips of an untrained network, as if its queries had found their objects."""

import torch.nn.functional as F

from ssa_stream.training.tiny.motion.kept_clips import MotionClip

__all__ = ["with_masks"]


def with_masks(clip: MotionClip) -> MotionClip:
    """The clip, in which the query matched to an object is taken to lie over it."""
    covers = F.one_hot(clip.query, clip.queries.shape[1]).bool() & clip.matched[..., None]  # (T, G, N)
    return clip._replace(covers=covers.transpose(-1, -2))
