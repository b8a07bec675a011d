"""Frame decoder: masked attention turns one frame's features into `N` frame queries."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssa_stream.model.config import SsaConfig
from ssa_stream.model.layers import MLP, CrossAttention, FeedForward, SelfAttention
from ssa_stream.model.pixel_decoder import PixelFeatures
from ssa_stream.model.positions import sine_2d

__all__ = ["FrameDecoder", "FrameDecoderLayer", "FramePrediction", "PredictionHead"]


class FramePrediction(NamedTuple):
    """Predictions of the frame decoder's head at one depth.

    Attributes:
        queries: Normalised query states, `(B, N, C)`.
        class_logits: Referred, not referred, `(B, N, 2)`.
        mask_embedding: Inner product with the mask features gives mask logits, `(B, N, C)`.
        blocked: Keys of the next layer's memory that a query must not see, `(B, N, S)` bool.
    """

    queries: Tensor
    class_logits: Tensor
    mask_embedding: Tensor
    blocked: Tensor


class PredictionHead(nn.Module):
    """Class, mask embedding and next attention mask; the same weights at every depth."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.classifier = nn.Linear(dim, 2)
        self.mask_embed = MLP(dim)

    def forward(self, x: Tensor, level_features: Tensor) -> FramePrediction:
        """Predict.

        Args:
            x: Query states, `(B, N, C)`.
            level_features: Mask features resized to the next layer's memory, `(B, C, S)`. Resizing is linear, so
                this gives the resized mask logits without ever making them at stride 4.
        """
        z = self.norm(x)
        embedding = self.mask_embed(z)
        # Keys whose mask probability is under one half are blocked; a query that would see nothing sees everything,
        # which the caller applies.
        blocked = embedding.detach() @ level_features < 0
        return FramePrediction(z, self.classifier(z), embedding, blocked)


class FrameDecoderLayer(nn.Module):
    """Image cross-attention (masked), query self-attention, text cross-attention, feed-forward."""

    def __init__(self, dim: int, num_heads: int, ffn_dim: int) -> None:
        super().__init__()
        self.image_attention = CrossAttention(dim, num_heads)
        self.self_attention = SelfAttention(dim, num_heads)
        self.text_attention = CrossAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, ffn_dim)

    def forward(self, x: Tensor, key: Tensor, value: Tensor, text: Tensor, position: Tensor, blocked: Tensor) -> Tensor:
        """Update the queries `(B, N, C)` from a memory `(B, S, C)` and the sentence `(B, C)`."""
        blocked = blocked & ~blocked.all(dim=-1, keepdim=True)
        x = self.image_attention(x, key, value, position, blocked[:, None])
        x = self.self_attention(x, position)
        x = self.text_attention.read_single(x, text)
        updated: Tensor = self.feed_forward(x)
        return updated


class FrameDecoder(nn.Module):
    """Second half of instance query generation.

    Source: paper, instance query generation; Mask2Former (Cheng et al. 2022) for masked attention. The queries start
    as the fused sentence, not as a learned table.
    """

    def __init__(self, config: SsaConfig) -> None:
        super().__init__()
        dim, sizes = config.hidden_dim, config.frame_decoder
        self.num_queries = config.num_queries
        self.query_position = nn.Embedding(config.num_queries, dim)
        self.level_embed = nn.Embedding(3, dim)
        self.layers = nn.ModuleList(
            FrameDecoderLayer(dim, sizes.num_heads, sizes.ffn_dim) for _ in range(sizes.num_layers)
        )
        self.head = PredictionHead(dim)

    def forward(self, features: PixelFeatures) -> list[FramePrediction]:
        """Decode frames.

        Args:
            features: Of `B` frames; cast to this module's dtype.
        Returns:
            One prediction before the first layer and one after each layer. The last one's `queries` are the frame
            queries.
        """
        dtype = self.query_position.weight.dtype
        text = features.text.to(dtype)
        memories = [self._memory(m.to(dtype), i) for i, m in enumerate(features.memories)]
        level_features = _resize_to_levels(features.mask_features.to(dtype), features.memories)
        x = text[:, None].expand(-1, self.num_queries, -1)
        position = self.query_position.weight
        predictions: list[FramePrediction] = [self.head(x, level_features[0])]
        for i, layer in enumerate(self.layers):
            key, value = memories[i % 3]
            x = layer(x, key, value, text, position, predictions[-1].blocked)
            predictions.append(self.head(x, level_features[(i + 1) % 3]))
        return predictions

    def _memory(self, memory: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """Keys (with position) and values (without) of one level, `(B, S, C)` each."""
        (C, h, w) = memory.shape[1:]
        value = memory.flatten(2).transpose(1, 2) + self.level_embed.weight[level]
        return value + sine_2d(h, w, C, True, memory.device, memory.dtype), value


def _resize_to_levels(mask_features: Tensor, memories: Sequence[Tensor]) -> list[Tensor]:
    """Mask features at each memory's size, `(B, C, S)`."""
    with torch.no_grad():
        return [
            F.interpolate(mask_features, size=m.shape[-2:], mode="bilinear", align_corners=False).flatten(2)
            for m in memories
        ]
