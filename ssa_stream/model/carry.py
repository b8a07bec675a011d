"""Frames beyond the window: they live on in the pooling softmax as one weighted value."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["CarriedPool", "empty_carry", "fold"]


class CarriedPool(NamedTuple):
    """Frames that have left the window, as one weighted value of an online softmax over time.

    Attributes:
        log_weight: Log of the sum of `exp(logit)` of all frames folded in, `(B, N)` float32; minus infinity for none.
        mean: Their softmax-weighted mean, `(B, N, C)` float32.
    """

    log_weight: Tensor
    mean: Tensor


def empty_carry(num_queries: int, dim: int, device: torch.device, batch: int = 1) -> CarriedPool:
    """A memory of nothing, `(B, N)` and `(B, N, C)`."""
    return CarriedPool(
        torch.full((batch, num_queries), -math.inf, device=device), torch.zeros(batch, num_queries, dim, device=device)
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
