"""The kernel for processors gives the reference's numbers, for any sizes, in any number of threads."""

import importlib
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numba
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ssa_stream.model.deformable import numba_kernel
from ssa_stream.model.deformable.numba_kernel import run
from ssa_stream.model.deformable.reference import deformable_attention_reference

Sizes = tuple[tuple[int, int], ...]
SIZES: Sizes = ((4, 7), (8, 14), (16, 28))


def drawn(
    sizes: Sizes,
    *,
    items: int = 1,
    heads: int = 8,
    width: int = 12,
    points: int = 4,
    cells: float = 3.0,
    logits: float = 2.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Values, offsets of so many cells, and logits of such a size."""
    tokens, samples = sum(height * wide for height, wide in sizes), heads * len(sizes) * points
    return (
        torch.randn(items, tokens, heads * width),
        torch.randn(items, tokens, samples * 2) * cells,
        torch.randn(items, tokens, samples) * logits,
    )


def assert_exact(inputs: tuple[Tensor, Tensor, Tensor], sizes: Sizes, heads: int) -> None:
    """Within 1e-5 of float64; positions are rounded in float32, as the reference rounds them."""
    mixed = run(*inputs, sizes, heads)
    value, offsets, logits = (tensor.double() for tensor in inputs)
    points = logits.shape[-1] // (heads * len(sizes))
    exact = deformable_attention_reference(value, offsets, logits, sizes, num_heads=heads, num_points=points)
    torch.testing.assert_close(mixed.double(), exact, rtol=1e-5, atol=1e-5)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4).map(tuple),
    items=st.integers(1, 3),
    heads=st.integers(1, 5),
    width=st.integers(1, 70),
    points=st.integers(1, 5),
    cells=st.sampled_from([0.0, 0.5, 3.0, 30.0]),
    logits=st.sampled_from([0.0, 3.0, 100.0]),
)
def test_kernel_equals_reference(
    sizes: Sizes, items: int, heads: int, width: int, points: int, cells: float, logits: float
) -> None:
    """Levels of one cell, odd sides, any width of a head, points far outside, weights of 0 and 1."""
    inputs = drawn(sizes, items=items, heads=heads, width=width, points=points, cells=cells, logits=logits)
    assert_exact(inputs, sizes, heads)


def test_kernel_equals_reference_on_borders() -> None:
    """Points on the outermost cells, half a cell and a whole one outside, and a hair beside each of these."""
    sizes = ((3, 5),)
    places = [-1.0, -0.5, 0.0, 0.5, 2.0, 2.5, 3.0, 4.0, 4.5, 5.0]
    near = [place + step for place in places for step in (-1e-3, 0.0, 1e-3)]
    points = torch.tensor(list(itertools.product(near, near)))
    cells = torch.tensor([(x, y) for y in range(3) for x in range(5)], dtype=torch.float32)
    offsets = (points[None] - cells[:, None]).reshape(1, 15, -1)  # every token looks at every point
    assert_exact((torch.randn(1, 15, 4), offsets, torch.randn(1, 15, len(points))), sizes, 1)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 3e38, -3e38])
def test_kernel_stays_within_its_tensors_whatever_it_is_given(number: float) -> None:
    """A token whose offsets or logits are no numbers does not harm the others, and reads nothing from elsewhere."""
    value, offsets, logits = drawn(SIZES)
    expected = run(value, offsets, logits, SIZES, 8)
    for broken in (offsets, logits):
        kept = broken[0, 5].clone()
        broken[0, 5] = number
        mixed = run(value, offsets, logits, SIZES, 8)
        broken[0, 5] = kept
        assert torch.equal(mixed[0, 6:], expected[0, 6:])
        assert torch.equal(mixed[0, :5], expected[0, :5])
    offsets[...] = number
    assert (run(value, offsets, logits, SIZES, 8).abs() <= value.abs().max()).all()


def test_kernel_shows_logits_that_are_no_numbers() -> None:
    """As the reference does: a broken network must not look sound."""
    value, offsets, logits = drawn(SIZES, cells=0.1)
    logits[0, 30, 15] = float("nan")
    mixed = run(value, offsets, logits, SIZES, 8)
    broken = torch.zeros_like(mixed, dtype=torch.bool)
    broken[0, 30, 12:24] = True  # the head of that logit
    assert torch.equal(mixed.isnan(), broken)


def test_kernel_gives_the_same_bits_in_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """One, some, more than there are processors; and where torch's own threads cannot be used."""
    inputs, before = drawn(SIZES, items=2), torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 7):
            torch.set_num_threads(threads)
            results.append(run(*inputs, SIZES, 8))
        monkeypatch.setattr(numba_kernel, "_torch_threads", lambda: None)
        results.append(run(*inputs, SIZES, 8))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, results[0]) for one in results)


def test_kernel_serves_several_threads_at_once() -> None:
    """Each call has its own tensors and its own count of what is done."""
    inputs = [drawn(SIZES, items=1 + i % 3) for i in range(24)]
    expected = [run(*one, SIZES, 8) for one in inputs]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda one: run(one[0], one[1], one[2], SIZES, 8), inputs))
    assert all(torch.equal(one, other) for one, other in zip(results, expected, strict=True))


@pytest.mark.slow
def test_kernel_is_compiled_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder that numba is told."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert importlib.reload(numba_kernel).compiled_s > 0
    assert list(tmp_path.rglob("*.nbi"))
    assert importlib.reload(numba_kernel).compiled_s == 0
    assert_exact(drawn(SIZES), SIZES, 8)


def test_kernel_is_compiled_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation and a home that are read-only: numba refuses to keep machine code."""

    def compiled(kind: object, *, cache: bool = False, **options: object) -> Callable[[object], SimpleNamespace]:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: SimpleNamespace(cache_hits=0)

    monkeypatch.setattr(numba_kernel, "cfunc", compiled)
    assert numba_kernel._compiled()[1] > 0
