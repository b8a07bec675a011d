"""Video decoder: sequential alignment of frame queries, pooled and decoded to video queries."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssa_stream.model.carry import CarriedPool
from ssa_stream.model.config import SsaConfig
from ssa_stream.model.extensions.presence import NoPresence, Presence
from ssa_stream.model.layers import MLP, Attention, CrossAttention, FeedForward, SelfAttention
from ssa_stream.model.positions import sine_1d

__all__ = ["TemporalEnhancer", "VideoDecoder", "VideoDecoderLayer", "VideoPrediction", "WindowOutput", "pool"]


class VideoPrediction(NamedTuple):
    """Heads of the video decoder after one layer: `(B, N, 2)` logits and `(B, N, C)` for the other two."""

    class_logits: Tensor
    mask_embedding: Tensor
    queries: Tensor


class WindowOutput(NamedTuple):
    """What the video decoder makes of a window of `T` frames.

    Attributes:
        probability: Probability that a video query is referred to, `(B, N)` float32.
        mask_embedding: Inner product with a frame's mask features gives mask logits, `(B, N, C)`.
        enhanced: Temporally enhanced slots, `(B, T, N, C)`.
        pooling_logits: Logits of the softmax over time, `(B, T, N)`.
        initial_queries: Pooled queries that the decoder started from, `(B, N, C)`.
        predictions: Heads after the decoder layers: all of them in training, else the last.
    """

    probability: Tensor
    mask_embedding: Tensor
    enhanced: Tensor
    pooling_logits: Tensor
    initial_queries: Tensor
    predictions: tuple[VideoPrediction, ...]


class TemporalEnhancer(nn.Module):
    """Short-range convolution and long-range attention along each slot's time line."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(dim, dim, 5, padding=2, padding_mode="replicate")
        self.conv2 = nn.Conv1d(dim, dim, 3, padding=1, padding_mode="replicate")
        self.conv_norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, num_heads)
        self.attention_norm = nn.LayerNorm(dim)

    def forward(self, aligned: Tensor) -> Tensor:
        """Enhance `(B, T, N, C)` along `T`."""
        B, T, N, C = aligned.shape
        p = aligned.transpose(1, 2).reshape(B * N, T, C)
        e = self.conv2(F.relu(self.conv1(p.transpose(1, 2)))).transpose(1, 2)
        e = self.conv_norm(e + p)
        timed = e + sine_1d(T, C, e.device, e.dtype)
        s: Tensor = self.attention_norm(e + self.attention(timed, timed, e))
        return s.view(B, N, T, C).transpose(1, 2)


class VideoDecoderLayer(nn.Module):
    """Text cross-attention, frame-query cross-attention, self-attention, feed-forward."""

    def __init__(self, dim: int, num_heads: int, ffn_dim: int) -> None:
        super().__init__()
        self.text_attention = CrossAttention(dim, num_heads)
        self.memory_attention = CrossAttention(dim, num_heads)
        self.self_attention = SelfAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, ffn_dim)

    def forward(self, x: Tensor, text: Tensor, key: Tensor, value: Tensor, position: Tensor) -> Tensor:
        """Update the video queries `(B, N, C)` from sentences `(B, T, C)` and slots `(B, T*N, C)`."""
        x = self.text_attention(x, text, text, position)
        x = self.memory_attention(x, key, value, position)
        x = self.self_attention(x, position)
        updated: Tensor = self.feed_forward(x)
        return updated


class VideoDecoder(nn.Module):
    """Sequential alignment: one set of video queries for a window of frames.

    Source: paper, sequential alignment and video decoder. Differs: pooling can go on from frames that have left the
        window (`CarriedPool`), which is the same softmax over a longer time.
    """

    def __init__(self, config: SsaConfig) -> None:
        super().__init__()
        dim, sizes = config.hidden_dim, config.video_decoder
        self.input_proj = nn.Linear(dim, dim) if sizes.has_input_projection else nn.Identity()
        self.enhancer = TemporalEnhancer(dim, sizes.num_heads)
        self.pooling = nn.Linear(dim, 1)
        self.query_position = nn.Embedding(config.num_queries, dim)
        self.slot_position = nn.Embedding(config.num_queries, dim)
        self.layers = nn.ModuleList(
            VideoDecoderLayer(dim, sizes.num_heads, sizes.ffn_dim) for _ in range(sizes.num_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.classifier = nn.Linear(dim, 2)
        self.mask_embed = MLP(dim)
        self.frame_similarity = nn.Linear(dim, dim)
        self.video_similarity = nn.Linear(dim, dim)
        self.presence = Presence(dim) if sizes.presence else NoPresence()

    def project(self, queries: Tensor) -> Tensor:
        """Project frame queries `(..., N, C)`; what the alignment chain compares."""
        projected: Tensor = self.input_proj(queries)
        return projected

    def forward(self, aligned: Tensor, text: Tensor, carried: CarriedPool | None = None) -> WindowOutput:
        """Decode a window.

        Args:
            aligned: Projected frame queries in slot order, `(B, T, N, C)`.
            text: Fused sentence of each frame, `(B, T, C)`.
            carried: Frames before the window, for the pooling only.
        """
        B, T, N, C = aligned.shape
        enhanced = self.enhancer(aligned)
        logits = self.pooling(enhanced)[..., 0]  # (B, T, N)
        initial = pool(enhanced, logits, carried)

        memory = enhanced.reshape(B, T * N, C)
        key = (enhanced + self.slot_position.weight).reshape(B, T * N, C)
        x, states = initial, []
        for layer in self.layers:
            x = layer(x, text, key, memory, self.query_position.weight)
            states.append(x)
        if not self.training:
            states = states[-1:]
        presence = self.presence(aligned)
        predictions = tuple(self.predict(state, presence) for state in states)
        last = predictions[-1]
        probability = last.class_logits.float().softmax(dim=-1)[..., 0]
        return WindowOutput(probability, last.mask_embedding, enhanced, logits, initial, predictions)

    def predict(self, x: Tensor, presence: Tensor) -> VideoPrediction:
        """Heads on the states of video queries, `(B, N, C)`, of windows with the given presence, `(B,)`."""
        z = self.norm(x)
        return VideoPrediction(self.presence.shift(self.classifier(z), presence), self.mask_embed(z), z)


def pool(values: Tensor, logits: Tensor, carried: CarriedPool | None) -> Tensor:
    """Softmax-weighted mean over time, continued from `carried`.

    Args:
        values: `(B, T, N, C)`.
        logits: `(B, T, N)`.
        carried: Frames before the first; None for none.
    Returns:
        `(B, N, C)`, same dtype as `values`; summed in float32.
    """
    dtype, logits, values = values.dtype, logits.float(), values.float()
    if carried is not None:
        logits = torch.cat([carried.log_weight[:, None], logits], dim=1)
        values = torch.cat([carried.mean[:, None], values], dim=1)
    return (logits.softmax(dim=1)[..., None] * values).sum(dim=1).to(dtype)
