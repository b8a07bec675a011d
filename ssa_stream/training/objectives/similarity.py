"""Similarity loss: queries of one object, in frames and in the video, shall be alike, those of two objects not."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ssa_stream.training.objectives.matching import Matches

__all__ = ["matched_rows", "similarity_loss"]


def matched_rows(values: Tensor, matches: Matches) -> Tensor:
    """Rows of the matched queries: values `(..., Q, C)`, matches `(..., G)`, gives `(..., G, C)`."""
    return values.gather(-2, matches.query[..., None].expand(*matches.query.shape, values.shape[-1]))


def similarity_loss(frame: Tensor, frame_matched: Tensor, video: Tensor, video_matched: Tensor) -> Tensor:
    """Binary cross-entropy on inner products of all ordered pairs of one item, pairs with itself included.

    Args:
        frame: Embeddings of the objects' frame queries, `(K, T, G, C)`.
        frame_matched: Which of them there are, `(K, T, G)` bool.
        video: Embeddings of the objects' video queries, `(K, G, C)`.
        video_matched: Which of them there are, `(K, G)` bool.
    Returns:
        Mean over all pairs, a scalar; 0 without any.
    """
    K, T, G, _ = frame.shape
    embeddings = torch.cat([frame.flatten(1, 2), video], dim=1).float()  # (K, (T+1)*G, C)
    matched = torch.cat([frame_matched.flatten(1), video_matched], dim=1)
    objects = torch.arange(G, device=frame.device).repeat(T + 1)
    same = (objects[:, None] == objects).float().expand(K, -1, -1)
    pairs = (matched[:, :, None] & matched[:, None]).float()
    entropy = F.binary_cross_entropy_with_logits(embeddings @ embeddings.transpose(1, 2), same, reduction="none")
    return (entropy * pairs).sum() / (pairs.sum() + 1e-6)
