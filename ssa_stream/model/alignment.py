"""The alignment chain: queries of a frame are re-ordered so that a slot keeps meaning one object."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ssa_stream.model.transfers import to_device, to_host

__all__ = ["align_chain", "align_chains", "assign_slots"]


def assign_slots(target: Tensor, queries: Tensor) -> Tensor:
    """Match a frame's queries to the slots of the frame before it.

    Args:
        target: The frame before, already in slot order, `(N, C)`, CPU.
        queries: This frame's queries in any order, `(N, C)`, CPU.
    Returns:
        `(N,)` int64: slot `s` holds query `assignment[s]`. Minimises the sum of `1 - cosine`.
    """
    return _assigned(_directions(target) @ _directions(queries).T)


def align_chain(queries: Tensor, previous: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Align each frame to its already aligned predecessor.

    Args:
        queries: Projected frame queries, `(B, T, N, C)`. Gradients flow through the gathered vectors only.
        previous: Aligned queries of the frame before the first, `(B, N, C)`; None starts a chain at frame 0.
    Returns:
        The aligned queries, `(B, T, N, C)`, and the permutation, `(B, T, N)` int64 on the same device.
    Source: paper, sequential alignment; the assignment is solved on the CPU.
    """
    chains = align_chains(list(queries), [None] * len(queries) if previous is None else list(previous))
    aligned, order = zip(*chains, strict=True)
    return torch.stack(aligned), torch.stack(order)


def align_chains(queries: Sequence[Tensor], previous: Sequence[Tensor | None]) -> list[tuple[Tensor, Tensor]]:
    """Align several chains; those on a GPU are waited for once, together.

    Args:
        queries: Projected frame queries of each chain, `(T, N, C)`; all have one device, `N` and `C`.
        previous: Aligned queries of the frame before each chain, `(N, C)`; None starts it.
    Returns:
        For each chain the aligned queries, `(T, N, C)`, and the permutation, `(T, N)` int64 on the same device.
    """
    if not queries:
        return []
    orders = (_orders if queries[0].device.type == "cpu" else _orders_of_device)(queries, previous)
    device, lengths = queries[0].device, [len(chain) for chain in queries]
    on_device = to_device(torch.cat(orders), device).split(lengths)
    return [
        (chain.gather(1, order[..., None].expand_as(chain)), order)
        for chain, order in zip(queries, on_device, strict=True)
    ]


def _orders(queries: Sequence[Tensor], previous: Sequence[Tensor | None]) -> list[Tensor]:
    """Permutations of chains on the processor, `(T, N)` each."""
    orders = []
    for chain, before in zip(queries, previous, strict=True):
        frames = chain.detach().float()
        target = None if before is None else before.detach().float()
        order = torch.empty(chain.shape[:2], dtype=torch.int64)
        for t, frame in enumerate(frames):
            order[t] = torch.arange(len(frame)) if target is None else assign_slots(target, frame)
            target = frame[order[t]]
        orders.append(order)
    return orders


def _orders_of_device(queries: Sequence[Tensor], previous: Sequence[Tensor | None]) -> list[Tensor]:
    """The same on any device, which multiplies all pairs of frames at once; only their similarities come over."""
    targets, frames = list[Tensor](), list[Tensor]()
    for chain, before in zip(queries, previous, strict=True):
        targets += [chain[:-1]] if before is None else [before[None], chain[:-1]]
        frames += [chain[1:]] if before is None else [chain]
    cosines = _directions(torch.cat(targets).detach()) @ _directions(torch.cat(frames).detach()).mT  # (pairs, N, N)
    similarities = iter(to_host([cosines])[0] if len(cosines) else ())
    orders = []
    for chain, before in zip(queries, previous, strict=True):
        order = torch.empty(chain.shape[:2], dtype=torch.int64)
        for t in range(len(chain)):
            if t == 0 and before is None:
                order[t] = torch.arange(chain.shape[1])
            else:  # rows are of the frame before, in its own order
                similarity = next(similarities)
                order[t] = _assigned(similarity if t == 0 else similarity[order[t - 1]])
        orders.append(order)
    return orders


def _directions(queries: Tensor) -> Tensor:
    queries = queries.float()
    directions: Tensor = queries / queries.norm(dim=-1, keepdim=True)
    return directions


def _assigned(similarity: Tensor) -> Tensor:
    _, columns = linear_sum_assignment(1 - similarity.numpy())
    return torch.from_numpy(np.ascontiguousarray(columns))
