"""Building blocks shared by the decoders: attention, post-norm sub-layers, MLP. `B` batch, `N` queries, `S` keys."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssa_stream.model.onednn import is_written_down, linear

__all__ = ["MLP", "Attention", "CrossAttention", "FeedForward", "SelfAttention"]


class Attention(nn.Module):
    """Multi-head attention with the parameters of `torch.nn.MultiheadAttention`, batch first.

    Args:
        dim: Width of queries, keys and values.
        num_heads: Number of heads; divides `dim`.
        dropout: Dropout on attention weights, in training only.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.xavier_uniform_(self.out_proj.weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, blocked: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            query: `(B, N, C)`.
            key: `(B, S, C)`.
            value: `(B, S, C)`.
            blocked: Bool, broadcastable to `(B, heads, N, S)`; True keys get no weight.
        Returns:
            `(B, N, C)`.
        """
        weight_q, weight_k, weight_v = self.in_proj_weight.chunk(3)
        bias_q, bias_k, bias_v = self.in_proj_bias.chunk(3)
        heads = (
            self._split(F.linear(query, weight_q, bias_q)),
            self._split(F.linear(key, weight_k, bias_k)),
            self._split(F.linear(value, weight_v, bias_v)),
        )
        mask = None if blocked is None else ~blocked
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(*heads, attn_mask=mask, dropout_p=dropout)
        return self._out(mixed.transpose(1, 2).flatten(2))

    def attend_single(self, value: Tensor, num_queries: int) -> Tensor:
        """Attend one key with any queries: its weight is 1, so queries and keys do not matter.

        Args:
            value: The only key's value, `(B, C)`.
            num_queries: Number of queries; matters for dropout only.
        Returns:
            `(B, 1, C)`, to be broadcast over the queries; `(B, num_queries, C)` when dropout is active.
        """
        dim = value.shape[-1]
        projected = F.linear(value, self.in_proj_weight[2 * dim :], self.in_proj_bias[2 * dim :])
        if not (self.training and self.dropout):
            return self._out(projected)[:, None]
        # Dropout switches whole heads off, query by query: add up what each head contributes to the output.
        per_head = projected.unflatten(-1, (self.num_heads, -1))  # (B, heads, C/heads)
        out_weight = self.out_proj.weight.unflatten(1, (self.num_heads, -1))  # (C, heads, C/heads)
        contribution = torch.einsum("bhd,chd->bhc", per_head, out_weight)
        kept = F.dropout(value.new_ones(value.shape[0], num_queries, self.num_heads), self.dropout)
        return kept @ contribution + self.out_proj.bias

    def _split(self, x: Tensor) -> Tensor:
        split: Tensor = x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, heads, N, C/heads)
        return split

    def _out(self, x: Tensor) -> Tensor:
        return F.linear(x, self.out_proj.weight, self.out_proj.bias)


class CrossAttention(nn.Module):
    """Post-norm cross-attention: `LN(x + attention(x + query position, memory))`."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.attention = Attention(dim, num_heads)
        self.norm = nn.LayerNorm(dim)

    def forward(
        self, x: Tensor, key: Tensor, value: Tensor, query_position: Tensor, blocked: Tensor | None = None
    ) -> Tensor:
        """Read a memory into the queries; shapes as in `Attention.forward`, position broadcastable to `x`."""
        normed: Tensor = self.norm(x + self.attention(x + query_position, key, value, blocked))
        return normed

    def read_single(self, x: Tensor, value: Tensor) -> Tensor:
        """Read a memory of a single token `(B, C)`, which needs no queries and no keys."""
        normed: Tensor = self.norm(x + self.attention.attend_single(value, x.shape[1]))
        return normed


class SelfAttention(nn.Module):
    """Post-norm self-attention: `LN(x + attention(x + position, x + position, x))`."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.attention = Attention(dim, num_heads)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        """Let the queries `(B, N, C)` see each other."""
        placed = x + position
        normed: Tensor = self.norm(x + self.attention(placed, placed, x))
        return normed


class FeedForward(nn.Module):
    """Post-norm feed-forward: `LN(x + linear2(relu(linear1(x))))`.

    Attributes:
        is_fused: Map and activate in one pass on a processor, see `onednn`; `fold_weights` sets it.
    """

    is_fused: bool = False

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(dim, hidden_dim)
        self.linear2 = nn.Linear(hidden_dim, dim)
        self.norm = nn.LayerNorm(dim)
        for layer in (self.linear1, self.linear2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each token of `(..., C)` on its own."""
        typed = x.to(self.linear1.weight.dtype)  # another type than x if precision is fast
        if self.is_fused and x.is_cpu and not is_written_down():
            update = linear(self.linear2, linear(self.linear1, typed, "relu"))
        else:
            update = self.linear2(F.relu(self.linear1(typed)))
        normed: Tensor = self.norm(x + update)
        return normed


class MLP(nn.Sequential):
    """Three linear layers with ReLU between, all of one width."""

    def __init__(self, dim: int) -> None:
        super().__init__(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))
