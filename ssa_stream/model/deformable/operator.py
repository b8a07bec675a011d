"""Deformable attention as one operator of torch, `torch.ops.ssa_stream.deformable_attention`.

The kernels take float32, float16 and bfloat16, and compute in float32. Other types are computed by the reference, and
so is everything on a device without a kernel (`kernels`). Gradients go through the reference.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ssa_stream.errors import ShapeError
from ssa_stream.model.deformable.kernels import Kernel, cuda_kernel, processor_kernel
from ssa_stream.model.deformable.reference import deformable_attention_reference

__all__ = ["deformable_attention"]

_KERNEL_TYPES = (torch.float32, torch.float16, torch.bfloat16)
_LARGEST_ITEM = 2**31 - 1
"""Values of one item; kernels count them in 32 bits."""


@torch.library.custom_op("ssa_stream::deformable_attention", mutates_args=())
def deformable_attention(
    value: Tensor, offsets: Tensor, logits: Tensor, sizes: Sequence[int], num_heads: int
) -> Tensor:
    """Sample points of every level around each token, and mix them.

    Args:
        value: Projected tokens, `(B, S, C)`, levels one after the other; heads divide `C`.
        offsets: From each token's cell centre in cells of the level sampled, x first, `(B, S, heads*levels*points*2)`.
        logits: Of the weights, before their softmax over levels and points, `(B, S, heads*levels*points)`.
        sizes: Height and width of the first level, of the second, and so on.
        num_heads: Heads.
    Returns:
        `(B, S, C)`, of the type of `value`. What lies outside a map counts as zero.
    Raises:
        ShapeError: The shapes do not fit.
    """
    return _computed(None, value, offsets, logits, sizes, num_heads)


@deformable_attention.register_kernel("cpu")
def _on_processor(value: Tensor, offsets: Tensor, logits: Tensor, sizes: Sequence[int], num_heads: int) -> Tensor:
    return _computed(processor_kernel().run, value, offsets, logits, sizes, num_heads)


@deformable_attention.register_kernel("cuda")
def _on_cuda(value: Tensor, offsets: Tensor, logits: Tensor, sizes: Sequence[int], num_heads: int) -> Tensor:
    return _computed(cuda_kernel().run, value, offsets, logits, sizes, num_heads)


@deformable_attention.register_fake
def _described(value: Tensor, offsets: Tensor, logits: Tensor, sizes: Sequence[int], num_heads: int) -> Tensor:
    return torch.empty_like(value, memory_format=torch.contiguous_format)


def _keep_inputs(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, Sequence[int], int], output: Tensor) -> None:
    *tensors, ctx.sizes, ctx.num_heads = inputs
    ctx.save_for_backward(*tensors)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """Compute anew by the reference, and back through it."""
    tensors = [tensor.detach().requires_grad_() for tensor in ctx.saved_tensors]
    with torch.enable_grad():
        mixed = _by_reference(tensors[0], tensors[1], tensors[2], _pairs(ctx.sizes), ctx.num_heads)
    return (*torch.autograd.grad(mixed, tensors, grad), None, None)


deformable_attention.register_autograd(_gradients, setup_context=_keep_inputs)


def _computed(
    kernel: Kernel | None, value: Tensor, offsets: Tensor, logits: Tensor, sizes: Sequence[int], num_heads: int
) -> Tensor:
    """By a kernel if it takes these tensors, else by the reference."""
    pairs = _pairs(sizes)
    _check(value, offsets, logits, pairs, num_heads)
    known = all(tensor.dtype in _KERNEL_TYPES for tensor in (value, offsets, logits))
    if kernel is None or not known or value[0:1].numel() > _LARGEST_ITEM:
        return _by_reference(value, offsets, logits, pairs, num_heads).contiguous()
    if value.numel() == 0:
        return torch.empty_like(value, memory_format=torch.contiguous_format)
    return kernel(value.contiguous(), offsets.contiguous(), logits.contiguous(), pairs, num_heads)


def _by_reference(
    value: Tensor, offsets: Tensor, logits: Tensor, pairs: tuple[tuple[int, int], ...], num_heads: int
) -> Tensor:
    kind = torch.promote_types(torch.float32, value.dtype)
    points = int(logits.shape[-1]) // (num_heads * len(pairs))
    mixed = deformable_attention_reference(
        value.to(kind), offsets.to(kind), logits.to(kind), pairs, num_heads=int(num_heads), num_points=points
    )
    return mixed.to(value.dtype)


def _pairs(sizes: Sequence[int]) -> tuple[tuple[int, int], ...]:
    whole = [int(side) for side in sizes]  # symbols, where a graph is compiled
    return tuple(zip(whole[::2], whole[1::2], strict=False))


def _check(value: Tensor, offsets: Tensor, logits: Tensor, pairs: tuple[tuple[int, int], ...], num_heads: int) -> None:
    """Refuse what would make a kernel read beside its tensors."""
    if value.dim() == 3 and num_heads > 0 and pairs and all(side > 0 for pair in pairs for side in pair):
        B, S, C = value.shape
        samples = num_heads * len(pairs)
        points = logits.shape[-1] // samples
        if (
            S == sum(height * width for height, width in pairs)
            and C % num_heads == 0
            and points > 0
            and logits.shape == (B, S, samples * points)
            and offsets.shape == (B, S, samples * points * 2)
        ):
            return
    raise ShapeError(
        f"values {tuple(value.shape)}, offsets {tuple(offsets.shape)}, logits {tuple(logits.shape)} for {num_heads} "
        f"heads and levels of {pairs}; expected (B, S, C), (B, S, n * 2) and (B, S, n), with S cells in all levels, C "
        f"a multiple of the heads, n a multiple of heads * levels"
    )
