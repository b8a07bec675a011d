"""Stage adapter: semantic alignment of one trunk stage with the sentence and its words."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssa_stream.model.clip import TextFeatures
from ssa_stream.model.layers import Attention
from ssa_stream.model.positions import sine_1d, sine_2d

__all__ = ["AdapterGate", "StageAdapter", "VisualPath"]


class VisualPath(NamedTuple):
    """The part of an adapter that does not depend on the text.

    Attributes:
        adapted: Convolution path, `(B, Cv, h, w)`.
        query: Visual tokens at the adapter's inner width, `(B, h*w, A)`.
    """

    adapted: Tensor
    query: Tensor

    def take(self, index: Tensor) -> "VisualPath":
        """Rows by index, for several sentences on one frame."""
        return VisualPath(self.adapted.index_select(0, index), self.query.index_select(0, index))


class AdapterGate(nn.Module):
    """Weights of the sentence, word and visual paths, from their pooled outputs."""

    def __init__(self, channels: int, hidden_dim: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(3 * channels, hidden_dim)
        self.weights = nn.Linear(hidden_dim, 3)

    def forward(self, pooled: Tensor) -> Tensor:
        """Map `(B, 3 Cv)` to weights `(B, 3)` that sum to 1."""
        return torch.softmax(self.weights(F.relu(self.hidden(pooled))), dim=-1)


class StageAdapter(nn.Module):
    """Mix a trunk stage's map with what the sentence and the words say of it.

    Args:
        channels: Channels `Cv` of the trunk stage.
        text_dim: Width `E` of the text features.
        dim: Inner width `A`.
        num_heads: Attention heads.
        dropout: On attention weights and attention output, in training only.
    Source: paper, semantic alignment. Equal to pooling and projecting each path, but the output projection, being
        linear, is applied once to the gated mix instead of to both text paths.
    """

    def __init__(self, channels: int, text_dim: int, dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.visual_in = nn.Conv2d(channels, dim, 1)
        self.visual_out = nn.Conv2d(dim, channels, 1)
        self.query_proj = nn.Conv2d(channels, dim, 1)
        self.text_proj = nn.Linear(text_dim, dim)
        self.attention = Attention(dim, num_heads, dropout)
        self.norm = nn.LayerNorm(dim)
        self.output_proj = nn.Linear(dim, channels)
        self.gate = AdapterGate(channels, dim)
        self.dropout = nn.Dropout(dropout)

    def visual_path(self, v: Tensor) -> VisualPath:
        """The part before any text, from a stage's map `(B, Cv, h, w)`."""
        adapted = F.relu(self.visual_out(F.relu(self.visual_in(v)))) + v
        return VisualPath(adapted, self.query_proj(v).flatten(2).transpose(1, 2))

    def forward(self, visual: VisualPath, text: TextFeatures) -> Tensor:
        """Condition a map on text.

        Args:
            visual: Output of `visual_path` for `B` maps.
            text: `B` rows, one per map.
        Returns:
            `(B, Cv, h, w)`.
        """
        adapted, q = visual
        (_, _, h, w), (_, S, A) = adapted.shape, q.shape
        grid = sine_2d(h, w, A, False, q.device, q.dtype)
        slots = sine_1d(text.words.shape[1], A, q.device, q.dtype)

        words = self.text_proj(text.words)  # (B, L, A)
        from_words = self.attention(q + grid, words + slots, words, blocked=~text.mask[:, None, None])
        from_words = self.norm(q + self.dropout(from_words))
        from_sentence = self.attention.attend_single(self.text_proj(text.sentence), S)
        from_sentence = self.norm(q + self.dropout(from_sentence))

        pooled = self.output_proj(torch.stack([from_sentence.mean(dim=1), from_words.mean(dim=1)], dim=1))  # (B, 2, Cv)
        gates: Tensor = self.gate(torch.cat([pooled.flatten(1), adapted.mean(dim=(2, 3))], dim=1))
        g_sentence, g_words, g_visual = gates[:, :, None, None].unbind(1)

        mixed = g_sentence * from_sentence + g_words * from_words  # (B, S, A)
        mixed = F.linear(mixed, self.output_proj.weight) + (g_sentence + g_words) * self.output_proj.bias
        as_map: Tensor = mixed.transpose(1, 2).unflatten(2, (h, w))
        return as_map + g_visual[..., None] * adapted
