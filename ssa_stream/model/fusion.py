"""Bidirectional fusion of visual tokens with the sentence token."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["TextFusion"]

_CLAMP = 50_000.0


class TextFusion(nn.Module):
    """Bi-directional attention between the visual tokens and one sentence token.

    Args:
        dim: Width `C` of both sides.
        fusion_dim: Inner width.
        num_heads: Heads; divides `fusion_dim`.
        dropout: On both attention probabilities, in training only.
    Source: paper, eq. 5; GLIP (Li et al. 2022) for the form. Differs in the order of operations, not in the result:
        with a single sentence token the visual side's softmax is 1 and the scores are an inner product with one
        vector per head, so no visual token is ever projected to the inner width. Subtracting a global maximum before
        both softmaxes cancels; here the maximum is taken per item, so that items of a batch cannot influence each
        other.
    """

    def __init__(self, dim: int, fusion_dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = (fusion_dim // num_heads) ** -0.5
        self.norm_visual = nn.LayerNorm(dim)
        self.norm_text = nn.LayerNorm(dim)
        self.query_proj = nn.Linear(dim, fusion_dim)
        self.key_proj = nn.Linear(dim, fusion_dim)
        self.visual_value_proj = nn.Linear(dim, fusion_dim)
        self.text_value_proj = nn.Linear(dim, fusion_dim)
        self.visual_out_proj = nn.Linear(fusion_dim, dim)
        self.text_out_proj = nn.Linear(fusion_dim, dim)
        self.gamma_visual = nn.Parameter(torch.full((dim,), 1e-4))
        self.gamma_text = nn.Parameter(torch.full((dim,), 1e-4))
        self.dropout = nn.Dropout(dropout)
        for module in self.children():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, visual: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Exchange information both ways; both updates use the values before the update.

        Args:
            visual: `(B, S, C)`.
            text: `(B, C)`.
        Returns:
            Updated `visual` and `text`.
        """
        visual, text = self.norm_visual(visual), self.norm_text(text)
        to_text = self.dropout(self._scores(visual, text).softmax(dim=-1))  # (B, heads, S)
        ones = visual.new_ones(1, 1, self.num_heads)
        to_visual = self.dropout(ones.expand(*visual.shape[:2], -1)) if self.training else ones
        return (
            visual + self.gamma_visual * self._text_to_visual(to_visual, text),
            text + self.gamma_text * self._visual_to_text(to_text, visual),
        )

    def _scores(self, visual: Tensor, text: Tensor) -> Tensor:
        """Scaled inner products of projected visual tokens and projected sentence, `(B, heads, S)`."""
        key = self.key_proj(text).unflatten(-1, (self.num_heads, -1)) * self.scale  # (B, heads, d)
        weight = self.query_proj.weight.unflatten(0, (self.num_heads, -1))  # (heads, d, C)
        bias = self.query_proj.bias.unflatten(0, (self.num_heads, -1))  # (heads, d)
        scores: Tensor = torch.einsum("bhd,hdc->bhc", key, weight) @ visual.transpose(1, 2)
        scores = scores + (key * bias).sum(dim=-1, keepdim=True)
        scores = (scores - scores.amax(dim=(1, 2), keepdim=True)).clamp(-_CLAMP, _CLAMP)
        return (scores - scores.amax(dim=-1, keepdim=True)).clamp(-_CLAMP, _CLAMP)

    def _text_to_visual(self, attention: Tensor, text: Tensor) -> Tensor:
        """Sentence values per visual token, `(B, S, C)`, or `(B, 1, C)` when all weights are 1."""
        value = self.text_value_proj(text).unflatten(-1, (self.num_heads, -1))  # (B, heads, d)
        weight = self.visual_out_proj.weight.unflatten(1, (self.num_heads, -1))  # (C, heads, d)
        per_head = torch.einsum("bhd,chd->bhc", value, weight)
        update: Tensor = attention @ per_head + self.visual_out_proj.bias
        return update

    def _visual_to_text(self, attention: Tensor, visual: Tensor) -> Tensor:
        """Attended visual values, `(B, C)`."""
        gathered = attention @ visual  # (B, heads, C)
        weight = self.visual_value_proj.weight.unflatten(0, (self.num_heads, -1))  # (heads, d, C)
        bias = self.visual_value_proj.bias.unflatten(0, (self.num_heads, -1))
        value = torch.einsum("bhc,hdc->bhd", gathered, weight) + attention.sum(dim=-1, keepdim=True) * bias
        return F.linear(value.flatten(1), self.text_out_proj.weight, self.text_out_proj.bias)
