"""float32 or bfloat16, by times that are measured; and how many frames go together."""

from collections.abc import Callable, Sequence

import pytest
import torch

from ssa_stream.model import dtype_choice
from ssa_stream.model.chunks import frames_per_chunk
from ssa_stream.model.dtype_choice import choose_dtype, times_in_turns
from tests.support.tiny_model import tiny_config

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("ratios", "expected", "calls"),
    [((1.0, 1.3), torch.bfloat16, 2), ((1.0, 1.1), torch.float32, 2), ((0.05, 9.0), torch.float32, 1)],
    ids=["faster", "not_worth_it", "by_software"],
)
def test_bfloat16_is_taken_where_it_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, ratios: Sequence[float], expected: torch.dtype, calls: int
) -> None:
    """By the times of all pieces; what is hopeless ends with the first, small work."""
    told = iter(ratios)
    asked: list[float] = []

    def times(works: Sequence[Callable[[], object]], duration_s: float) -> list[list[float]]:
        asked.append(duration_s)
        ratio, half = next(told), len(works) // 2
        return [[ratio]] * half + [[1.0]] * half

    monkeypatch.setattr(dtype_choice, "times_in_turns", times)
    chosen = choose_dtype(tiny_config(), CPU)
    assert chosen.dtype == expected
    assert len(asked) == calls
    assert chosen.name in str(expected)
    assert "measured here: bfloat16 is" in chosen.reason


def test_measuring_ends_in_time_and_leaves_no_choice_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """With real work, of a small network."""
    monkeypatch.setattr(dtype_choice, "_MEASURED_S", 0.02)
    chosen = choose_dtype(tiny_config(), CPU)
    assert chosen.ratio > 0
    assert (chosen.dtype == torch.bfloat16) == (chosen.ratio >= 1.15)


def test_times_are_taken_in_turns_until_the_time_is_over() -> None:
    """Each piece once before it counts; as many times for all; one round at least."""
    done: list[str] = []
    seconds = iter(range(100))
    times = times_in_turns(
        [lambda: done.append("a"), lambda: done.append("b")], duration_s=4.5, clock=lambda: float(next(seconds))
    )
    assert done == ["a", "b"] * (1 + len(times[0]))
    assert times == [[1.0], [1.0]]


@pytest.mark.parametrize(
    ("size", "frames"), [((128, 224), 18), ((256, 448), 4), ((448, 800), 1), ((32, 32), 18), ((2000, 4000), 1)]
)
def test_chunk_on_a_processor_is_smaller_for_larger_frames(size: tuple[int, int], frames: int) -> None:
    """Never none, never more than the published implementation takes."""
    assert frames_per_chunk(size, CPU) == frames


def test_chunk_on_a_gpu_is_what_its_free_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of it, what torch keeps for itself included."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 * 2**30, 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 2**30)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 0)
    assert frames_per_chunk((448, 800), torch.device("cuda")) == 3
    assert frames_per_chunk((128, 224), torch.device("cuda")) == 18
