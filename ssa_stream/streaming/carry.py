"""The memory beyond the window: frames that have left it live on in the pooling softmax."""

import math

import torch
from torch import Tensor

from ssa_stream.model import CarriedPool

__all__ = ["empty_carry", "fold"]


def empty_carry(num_queries: int, dim: int, device: torch.device) -> CarriedPool:
    """A memory of nothing, `(1, N)` and `(1, N, C)`."""
    return CarriedPool(
        torch.full((1, num_queries), -math.inf, device=device), torch.zeros(1, num_queries, dim, device=device)
    )


def fold(carried: CarriedPool, value: Tensor, logit: Tensor, decay: float) -> CarriedPool:
    """Let one frame leave the window.

    The softmax over all frames so far, each earlier one weighted with `decay` once more, is continued exactly. Kept
    as log-weight and mean instead of maximum, weight and sum: the same numbers, without a stale maximum that could
    make every later weight underflow.

    Args:
        carried: Memory so far.
        value: The frame's last enhanced slots, `(B, N, C)`.
        logit: Its last pooling logits, `(B, N)`.
        decay: Factor on the weight of what is already folded in: 1 forgets nothing, 0 means memoryless windows, for
            which the result is empty.
    """
    if decay == 0:
        return carried
    older = carried.log_weight + math.log(decay)
    log_weight = torch.logaddexp(older, logit.float())
    mean = (
        carried.mean * (older - log_weight).exp()[..., None]
        + value.float() * (logit.float() - log_weight).exp()[..., None]
    )
    return CarriedPool(log_weight, mean)
