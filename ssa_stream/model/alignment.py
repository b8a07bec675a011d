"""The alignment chain: queries of a frame are re-ordered so that a slot keeps meaning one object."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

__all__ = ["align_chain", "assign_slots"]


def assign_slots(target: Tensor, queries: Tensor) -> Tensor:
    """Match a frame's queries to the slots of the frame before it.

    Args:
        target: The frame before, already in slot order, `(N, C)`, CPU.
        queries: This frame's queries in any order, `(N, C)`, CPU.
    Returns:
        `(N,)` int64: slot `s` holds query `assignment[s]`. Minimises the sum of `1 - cosine`.
    """
    target, queries = target.float(), queries.float()
    similarity = (target / target.norm(dim=-1, keepdim=True)) @ (queries / queries.norm(dim=-1, keepdim=True)).T
    _, columns = linear_sum_assignment(1 - similarity.numpy())
    return torch.from_numpy(np.ascontiguousarray(columns))


def align_chain(queries: Tensor, previous: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Align each frame to its already aligned predecessor.

    Args:
        queries: Projected frame queries, `(B, T, N, C)`. Gradients flow through the gathered vectors only.
        previous: Aligned queries of the frame before the first, `(B, N, C)`; None starts a chain at frame 0.
    Returns:
        The aligned queries, `(B, T, N, C)`, and the permutation, `(B, T, N)` int64 on the same device.
    Source: paper, sequential alignment; the assignment is solved on the CPU.
    """
    B, T, N, C = queries.shape
    on_cpu = queries.detach().float().cpu()
    order = torch.empty(B, T, N, dtype=torch.int64)
    for b in range(B):
        target = None if previous is None else previous[b].detach().float().cpu()
        for t in range(T):
            order[b, t] = torch.arange(N) if target is None else assign_slots(target, on_cpu[b, t])
            target = on_cpu[b, t][order[b, t]]
    order = order.to(queries.device)
    return queries.gather(2, order[..., None].expand(B, T, N, C)), order
