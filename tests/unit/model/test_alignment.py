"""The alignment chain: a slot keeps its object, however the queries of a frame are ordered."""

import pytest
import torch
from torch import Tensor

from ssa_stream.model import align_chain


def shuffled(order: list[list[int]], noise: float = 0.0) -> Tensor:
    """Frames in which object i is query `order[t].index(i)`, `(1, T, N, C)`."""
    objects = torch.eye(len(order[0])) * torch.linspace(1, 3, len(order[0]))[:, None]
    return torch.stack([objects[frame] + noise * torch.randn_like(objects) for frame in order])[None]


def test_align_chain_undoes_permutations() -> None:
    """Slot s of every frame holds the object that slot s of the first frame held."""
    queries = shuffled([[0, 1, 2, 3], [2, 0, 3, 1], [3, 2, 1, 0]], noise=0.05)
    aligned, order = align_chain(queries)
    assert aligned[0].argmax(dim=-1).tolist() == [[0, 1, 2, 3]] * 3
    assert order[0].tolist() == [[0, 1, 2, 3], [1, 3, 0, 2], [3, 2, 1, 0]]
    torch.testing.assert_close(aligned, queries.gather(2, order[..., None].expand_as(queries)))


def test_align_chain_compares_with_the_aligned_frame_before() -> None:
    """An object that turns slowly is followed, though its last query is nearer to another's first one."""
    turns = torch.linspace(0, torch.pi / 2, 5)
    moving = torch.stack([turns.cos(), turns.sin(), torch.zeros(5)], dim=-1)
    still = torch.tensor([0.0, 0.2, 1.0]).expand(5, 3)
    frames = torch.stack([moving, still], dim=1)
    frames[1::2] = frames[1::2].flip(1)
    _, order = align_chain(frames[None])
    assert order[0].tolist() == [[0, 1], [1, 0], [0, 1], [1, 0], [0, 1]]


def test_align_chain_minimises_the_sum_not_each_distance() -> None:
    """Two slots that want the same query are settled together."""
    first = torch.tensor([[1.0, 0.0], [0.9, 0.1]])
    second = torch.tensor([[1.0, 0.05], [-1.0, 0.3]])
    _, order = align_chain(torch.stack([first, second])[None])
    similarity = torch.nn.functional.normalize(first, dim=-1) @ torch.nn.functional.normalize(second, dim=-1).T
    straight, crossed = similarity[0, 0] + similarity[1, 1], similarity[0, 1] + similarity[1, 0]
    assert order[0, 1].tolist() == ([0, 1] if straight > crossed else [1, 0])


def test_align_chain_continued_equals_one_chain() -> None:
    """A chain may be cut anywhere if the last aligned frame is handed on."""
    queries = torch.randn(2, 7, 5, 8)
    whole, order = align_chain(queries)
    head, first = align_chain(queries[:, :3])
    tail, second = align_chain(queries[:, 3:], previous=head[:, -1])
    assert torch.equal(torch.cat([head, tail], dim=1), whole)
    assert torch.equal(torch.cat([first, second], dim=1), order)


def test_align_chain_ignores_length_of_queries() -> None:
    """Only directions count."""
    queries = torch.randn(1, 4, 6, 8)
    _, order = align_chain(queries)
    _, scaled = align_chain(queries * torch.rand(1, 4, 6, 1).add(0.1))
    assert torch.equal(order, scaled)


def test_align_chain_lets_gradients_through_the_gathered_vectors() -> None:
    """Training moves the queries, whatever slot they went to."""
    queries = torch.randn(1, 3, 4, 8, requires_grad=True)
    aligned, _ = align_chain(queries)
    (aligned * torch.arange(4.0)[:, None]).sum().backward()
    assert queries.grad is not None
    assert sorted(queries.grad[0, 2, :, 0].tolist()) == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_align_chain_keeps_dtype(dtype: torch.dtype) -> None:
    """Queries come back as they came, the order as indices."""
    aligned, order = align_chain(torch.randn(1, 2, 3, 4).to(dtype))
    assert aligned.dtype == dtype
    assert order.dtype == torch.int64
