"""Deformable attention as an operator of torch: its contract, its types, its gradients, what it refuses."""

import pytest
import torch
from torch import Tensor

from ssa_stream.errors import ShapeError
from ssa_stream.model.deformable.operator import deformable_attention
from ssa_stream.model.deformable.reference import deformable_attention_reference

SIZES = ((1, 2), (3, 4), (5, 3))
FLAT = [side for size in SIZES for side in size]
TOKENS, HEADS, POINTS, WIDTH = 29, 2, 2, 12
SAMPLES = HEADS * len(SIZES) * POINTS


def drawn(dtype: torch.dtype = torch.float32, *, requires_grad: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Values, offsets of a few cells, and logits, for two items."""
    shapes = ((2, TOKENS, WIDTH), (2, TOKENS, SAMPLES * 2), (2, TOKENS, SAMPLES))
    value, offsets, logits = (torch.randn(shape).mul(2).to(dtype).requires_grad_(requires_grad) for shape in shapes)
    return value, offsets, logits


def reference(value: Tensor, offsets: Tensor, logits: Tensor) -> Tensor:
    """What the operator shall give."""
    return deformable_attention_reference(value, offsets, logits, SIZES, num_heads=HEADS, num_points=POINTS)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # torch's own checker
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_operator_keeps_what_torch_expects_of_one(dtype: torch.dtype, requires_grad: bool) -> None:
    """Schema, gradients' registration, description without numbers, and compiled graphs."""
    torch.library.opcheck(deformable_attention, (*drawn(dtype, requires_grad=requires_grad), FLAT, HEADS))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_operator_gradients_are_the_references(dtype: torch.dtype) -> None:
    """To the last bit: the reference is computed anew."""
    grad = torch.randn(2, TOKENS, WIDTH, dtype=dtype)
    inputs = drawn(dtype, requires_grad=True)
    ours = torch.autograd.grad(deformable_attention(*inputs, FLAT, HEADS), inputs, grad)
    theirs = torch.autograd.grad(reference(*inputs), inputs, grad)
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_operator_computes_half_types_in_float32(dtype: torch.dtype) -> None:
    """Only the result is rounded."""
    inputs = drawn(dtype)
    mixed = deformable_attention(*inputs, FLAT, HEADS)
    exact = reference(*map(torch.Tensor.float, inputs))
    assert mixed.dtype == dtype
    torch.testing.assert_close(mixed.float(), exact, rtol=torch.finfo(dtype).eps, atol=1e-5)


def test_operator_without_a_kernel_is_the_reference() -> None:
    """In float64, to the last bit; and described on a device that holds no numbers."""
    inputs = drawn(torch.float64)
    assert torch.equal(deformable_attention(*inputs, FLAT, HEADS), reference(*inputs))
    value, offsets, logits = (tensor.to("meta") for tensor in inputs)
    described = deformable_attention(value, offsets, logits, FLAT, HEADS)
    assert described.shape == (2, TOKENS, WIDTH)


def test_operator_takes_tensors_of_any_layout() -> None:
    """Transposed, cut out of larger ones, or on their way through autograd."""
    value, offsets, logits = drawn()
    expected = deformable_attention(value, offsets, logits, FLAT, HEADS)
    scattered = value.transpose(1, 2).contiguous().transpose(1, 2)
    larger = torch.cat([offsets, offsets], dim=-1)[..., : SAMPLES * 2]
    assert torch.equal(deformable_attention(scattered, larger, logits, FLAT, HEADS), expected)


@pytest.mark.parametrize(
    ("shapes", "sizes", "heads"),
    [
        (((2, 28, 12), (2, 28, 24), (2, 28, 12)), FLAT, 2),
        (((2, 29, 12), (2, 29, 24), (1, 29, 12)), FLAT, 2),
        (((2, 29, 12), (2, 29, 12), (2, 29, 12)), FLAT, 2),
        (((2, 29, 12), (2, 29, 26), (2, 29, 13)), FLAT, 2),
        (((2, 29, 12), (2, 29, 0), (2, 29, 0)), FLAT, 2),
        (((2, 29, 12), (2, 29, 24), (2, 29, 12)), FLAT, 0),
        (((2, 29, 12), (2, 29, 60), (2, 29, 30)), FLAT, 5),
        (((2, 29, 12), (2, 29, 24), (2, 29, 12)), [-1, -29], 2),
        (((2, 29, 12), (2, 29, 24), (2, 29, 12)), FLAT[:-1], 2),
        (((29, 12), (29, 24), (29, 12)), FLAT, 2),
        (((2, 0, 12), (2, 0, 24), (2, 0, 12)), [], 2),
    ],
    ids=[
        "tokens",
        "items",
        "no y",
        "points",
        "no points",
        "no heads",
        "width",
        "sides",
        "half a size",
        "flat",
        "empty",
    ],
)
def test_operator_refuses_shapes_that_do_not_fit(
    shapes: tuple[tuple[int, ...], ...], sizes: list[int], heads: int
) -> None:
    """A kernel would read beside its tensors."""
    value, offsets, logits = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(ShapeError, match=r"expected \(B, S, C\)"):
        deformable_attention(value, offsets, logits, sizes, heads)
