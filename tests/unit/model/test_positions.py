"""Sine codes: known values, layout, and that keeping them is safe."""

import math

import pytest
import torch

from ssa_stream.model.positions import sine_1d, sine_2d

CPU = torch.device("cpu")


def entry(position: float, j: int, channels: int) -> float:
    """Entry j of a coordinate's code, as it is described."""
    angle = position / 10000 ** (2 * (j // 2) / channels)
    return math.cos(angle) if j % 2 else math.sin(angle)


def test_sine_1d_counts_from_one() -> None:
    """The first position is 1, entries alternate between sine and cosine."""
    code = sine_1d(3, 6, CPU, torch.float32)
    expected = torch.tensor([[entry(p, j, 6) for j in range(6)] for p in (1, 2, 3)])
    torch.testing.assert_close(code, expected)


@pytest.mark.parametrize("normalized", [False, True])
def test_sine_2d_has_rows_first(normalized: bool) -> None:
    """The first half encodes the row, the second the column; normalised positions end just below 2 pi."""
    code = sine_2d(2, 3, 8, normalized, CPU, torch.float32).view(2, 3, 8)

    def place(index: int, count: int) -> float:
        return index / (count + 1e-6) * 2 * math.pi if normalized else index

    row, column = place(2, 2), place(3, 3)
    expected = [entry(row, j, 4) for j in range(4)] + [entry(column, j, 4) for j in range(4)]
    torch.testing.assert_close(code[1, 2], torch.tensor(expected))


def test_sine_codes_made_in_inference_mode_can_be_trained_with() -> None:
    """A code that inference made first is a normal tensor: training may save it for its backward pass."""
    with torch.inference_mode():
        code = sine_2d(3, 5, 12, True, CPU, torch.float32)
    weight = torch.ones(12, requires_grad=True)
    (weight * code).sum().backward()
    assert weight.grad is not None
