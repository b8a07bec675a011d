"""A slot keeps meaning one object for as long as the stream runs, whatever order the network gives its queries in."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ssa_stream.model import align_chain
from ssa_stream.streaming.window import FrameBatch, WindowState, WindowStep, advance_windows
from tests.support.tiny_model import tiny_model
from tests.unit.streaming.comparing import property_test

N, C, WINDOW, COUNT = 6, 64, 3, 10
permutations = st.permutations(range(N))


@torch.inference_mode()
def _run(queries: Tensor, replayed: int = 1) -> WindowStep:
    """Feed frame queries `(T, N, C)`, the first `replayed` of them at once; the last step."""
    state: WindowState | None = None
    for part in (queries[:replayed], *queries[replayed:].split(1)):
        batch = FrameBatch(part, torch.zeros(len(part), C))
        (step,) = advance_windows(tiny_model(), [state], [batch], window=WINDOW, decay=0.9)
        state = step.state
    return step


def _random(seed: int) -> Tensor:
    return torch.randn(COUNT, N, C, generator=torch.Generator().manual_seed(seed))


@property_test(15)
@given(seed=st.integers(0, 999), orders=st.lists(permutations, min_size=COUNT - 1, max_size=COUNT - 1))
def test_order_of_queries_does_not_matter(seed: int, orders: list[list[int]]) -> None:
    """Frames that are shuffled, each in another way, change nothing, also when all of them have left the window."""
    queries = _random(seed)
    shuffled = torch.stack([queries[0], *(frame[order] for frame, order in zip(queries[1:], orders, strict=True))])
    plain, found = _run(queries), _run(shuffled)
    torch.testing.assert_close(found.state.aligned, plain.state.aligned, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.initial_queries, plain.initial_queries, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.probability, plain.probability, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.state.carried.mean, plain.state.carried.mean, rtol=1e-4, atol=1e-5)


@property_test(10)
@given(seed=st.integers(0, 999), replayed=st.integers(1, WINDOW))
def test_chain_goes_on_across_window_edges(seed: int, replayed: int) -> None:
    """The newest frame is in the order that one chain over the whole stream gives it."""
    queries = _random(seed)
    with torch.inference_mode():
        whole, _ = align_chain(tiny_model().project_queries(queries)[None])
    found = _run(queries, replayed).state.aligned
    torch.testing.assert_close(found, whole[0, -WINDOW:], rtol=1e-5, atol=1e-5)


@property_test(10)
@given(seed=st.integers(0, 999), orders=st.lists(permutations, min_size=40, max_size=40))
def test_drifting_objects_keep_their_slots(seed: int, orders: list[list[int]]) -> None:
    """Objects that change into something else bit by bit, far from what they were in the first frame."""
    generator = torch.Generator().manual_seed(seed)
    objects = torch.randn(N, C, generator=generator)
    state: WindowState | None = None
    start = objects
    for order in orders:
        objects = objects + 0.15 * torch.randn(N, C, generator=generator)
        batch = FrameBatch(objects[order][None], torch.zeros(1, C))
        with torch.inference_mode():
            (step,) = advance_windows(tiny_model(), [state], [batch], window=WINDOW, decay=1.0)
            expected = tiny_model().project_queries(objects[orders[0]])
        state = step.state
        torch.testing.assert_close(state.aligned[-1], expected, rtol=1e-4, atol=1e-4)
    assert torch.nn.functional.cosine_similarity(start, objects).mean() < 0.85
