"""Whether frames go together is decided by what they take, with the frames that come."""

import functools
from collections.abc import Callable, Sequence

import pytest
import torch
from structlog.testing import capture_logs

from ssa_stream.nodes.runtime.batch_costs import BatchCosts, device_clock_s

KIND = (126, 224, 3)


class _Device:
    """Takes a time for a batch that the test gives."""

    def __init__(self, seconds: Callable[[Sequence[int]], float]) -> None:
        self._seconds, self._now_s = seconds, 0.0
        self.batches: list[int] = []

    def clock_s(self) -> float:
        return self._now_s

    def work(self, rows: Sequence[int]) -> None:
        self._now_s += self._seconds(rows)
        self.batches.append(len(rows))


def _serve(costs: BatchCosts, device: _Device, rows: Sequence[int], times: int) -> list[int]:
    """The same frames wait again and again; how many went together each time, in the last round."""
    for _ in range(times):
        device.batches.clear()
        left = list(rows)
        while left:
            taken = left[: costs.choose(KIND, left)]
            costs.measured(KIND, taken, functools.partial(device.work, taken))
            left = left[len(taken) :]
    return device.batches


@pytest.mark.parametrize(
    ("seconds", "rows", "together"),
    [
        (lambda rows: 0.02 * len(rows) ** 0.5, [1, 1, 1, 1], [4]),
        (lambda rows: 0.02 * len(rows) ** 1.1, [1, 1, 1, 1], [1, 1, 1, 1]),
        (lambda rows: 0.02 * len(rows) * (0.5 if len(rows) == 2 else 1), [1, 1, 1, 1], [2, 2]),
        (lambda rows: 0.02 * len(rows) * {1: 1.0, 2: 0.7, 3: 0.9, 4: 0.9}[len(rows)], [1, 1, 1, 1], [2, 2]),
        (lambda rows: 0.02 * len(rows) * {1: 1.0, 2: 0.84, 3: 0.9, 4: 0.9}[len(rows)], [1, 1, 1, 1], [4]),
        (lambda rows: 0.2 * len(rows) ** 0.1, [1, 1], [1, 1]),
        (lambda rows: 0.001, [4, 4, 4, 1], [2, 2]),
        (lambda rows: 0.001, [9, 9], [1, 1]),
    ],
    ids=[
        "pays",
        "costs_more",
        "pays_in_pairs",
        "pays_most_in_pairs",
        "pays_little_more_in_pairs",
        "too_long",
        "at_most_8_rows",
        "no_two_fit",
    ],
)
def test_frames_go_together_where_that_is_faster(
    seconds: Callable[[Sequence[int]], float], rows: list[int], together: list[int]
) -> None:
    """The batch that gains most; nothing is tried that takes a quarter of a second one by one, or has too many rows."""
    device = _Device(seconds)
    assert _serve(BatchCosts("encoder-0", 8, device.clock_s), device, rows, 60) == together


def test_measuring_takes_turns_leaves_the_first_batch_out_and_says_what_it_found() -> None:
    """A first batch warms up; each decision is one line with both times."""
    cold = [True]
    device = _Device(lambda rows: 0.015 if len(rows) == 1 else 5.0 if cold and cold.pop() else 0.02)
    costs, chosen = BatchCosts("queries-0", 16, device.clock_s), []
    with capture_logs() as said:
        for _ in range(20):
            chosen.append(number := costs.choose(KIND, [1, 1]))
            costs.measured(KIND, [1] * number, functools.partial(device.work, [1] * number))
    assert chosen[:11] == [1, 1, 1, 2, 1, 2, 1, 2, 1, 2, 2]
    assert set(chosen[11:]) == {2}
    (line,) = said
    assert (line["node"], line["frames"], line["one_by_one_ms"], line["together_ms"]) == ("queries-0", 2, 30.0, 20.0)


def test_batch_that_failed_where_its_frames_did_not_is_not_tried_again() -> None:
    """Said once; other sizes go on."""
    device = _Device(lambda rows: 0.01)
    costs = BatchCosts("encoder-0", 8, device.clock_s)
    assert _serve(costs, device, [1, 1, 1], 40) == [3]
    with capture_logs() as said:
        costs.refuse(KIND, [1, 1, 1])
        costs.refuse(KIND, [1, 1, 1])
    assert len(said) == 1
    assert _serve(costs, device, [1, 1, 1], 40) == [2, 1]
    assert costs.may_pay(KIND)
    costs.refuse(KIND, [1, 1])
    assert _serve(costs, device, [1, 1, 1], 40) == [1, 1, 1]
    assert not costs.may_pay(KIND)


def test_what_raises_counts_for_nothing() -> None:
    """An error comes to the caller, and its time is no sample."""
    device = _Device(lambda rows: 0.01)
    costs = BatchCosts("encoder-0", 8, device.clock_s)
    for _ in range(9):
        with pytest.raises(ZeroDivisionError):
            costs.measured(KIND, [1], lambda: 1 // 0)
    assert costs.choose(KIND, [1, 1]) == 1


def test_clock_of_a_processor_is_that_of_the_thread() -> None:
    """Other load does not decide."""
    clock_s = device_clock_s(torch.device("cpu"))
    begin_s = clock_s()
    while clock_s() == begin_s:
        pass
    assert 0 < clock_s() - begin_s < 1
