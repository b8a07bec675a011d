"""Deformable attention on CUDA: a Triton kernel, compiled by its first call for a set of sizes.

Each program computes one head of a few tokens. With `TRITON_INTERPRET=1` in the environment the same code runs on a
processor, slowly; this is how tests check its numbers without a GPU.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ssa_stream.model.deformable.reference import reference_points
from ssa_stream.model.kept import kept

__all__ = ["run"]

_TOKENS = 32
"""Tokens of a program."""


@triton.jit
def _bilinear(values, row, x, y, width, height, columns, inside):
    """Sum of the four cells around points of one map, zero outside: `(tokens, columns)`."""
    left, top = tl.floor(x), tl.floor(y)
    to_right, to_bottom = x - left, y - top
    total = tl.zeros((x.shape[0], columns.shape[0]), tl.float32)
    for corner in tl.static_range(4):
        column, line = left + corner % 2, top + corner // 2
        share = (to_right if corner % 2 == 1 else 1 - to_right) * (to_bottom if corner // 2 == 1 else 1 - to_bottom)
        within = (column >= 0) & (column < width) & (line >= 0) & (line < height)
        cell = tl.where(within, line * width + column, 0).to(tl.int32)
        at = values + cell[:, None] * row + columns[None, :]
        numbers = tl.load(at, mask=within[:, None] & inside[None, :], other=0.0).to(tl.float32)
        total += tl.where(within, share, 0.0)[:, None] * numbers
    return total


@triton.jit
def _kernel(
    value,
    offsets,
    logits,
    places,  # (S, 2), float32
    levels,  # (levels, 3), int32: width, height, first token
    mixed,
    tokens,  # of all items
    per_item,
    HEADS: tl.constexpr,
    WIDTH: tl.constexpr,
    LEVELS: tl.constexpr,
    POINTS: tl.constexpr,
    COLUMNS: tl.constexpr,  # the power of two that holds WIDTH
    TOKENS: tl.constexpr,
):
    """Mix the samples of one head for some tokens."""
    token = (tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)).to(tl.int64)
    head = tl.program_id(1)
    is_token = token < tokens
    token = tl.where(is_token, token, 0)
    item, place = token // per_item, token % per_item
    place_x = tl.load(places + place * 2)
    place_y = tl.load(places + place * 2 + 1)
    columns = tl.arange(0, COLUMNS)
    first = (token * HEADS + head) * (LEVELS * POINTS)

    largest = tl.full((TOKENS,), float("-inf"), tl.float32)
    for j in range(LEVELS * POINTS):
        largest = tl.maximum(largest, tl.load(logits + first + j).to(tl.float32))
    total = tl.zeros((TOKENS,), tl.float32)
    result = tl.zeros((TOKENS, COLUMNS), tl.float32)
    for level in range(LEVELS):
        width = tl.load(levels + level * 3).to(tl.float32)
        height = tl.load(levels + level * 3 + 1).to(tl.float32)
        start = (item * per_item + tl.load(levels + level * 3 + 2)) * (HEADS * WIDTH) + head * WIDTH
        for point in range(POINTS):
            j = level * POINTS + point
            weight = tl.exp(tl.load(logits + first + j).to(tl.float32) - largest)
            total += weight
            x = place_x * width - 0.5 + tl.load(offsets + (first + j) * 2).to(tl.float32)
            y = place_y * height - 0.5 + tl.load(offsets + (first + j) * 2 + 1).to(tl.float32)
            sample = _bilinear(value + start[:, None], HEADS * WIDTH, x, y, width, height, columns, columns < WIDTH)
            result += weight[:, None] * sample
    result /= total[:, None]
    at = (token * HEADS + head)[:, None] * WIDTH + columns[None, :]
    tl.store(mixed + at, result.to(mixed.dtype.element_ty), mask=is_token[:, None] & (columns < WIDTH)[None, :])


def run(value: Tensor, offsets: Tensor, logits: Tensor, sizes: tuple[tuple[int, int], ...], num_heads: int) -> Tensor:
    """Compute `operator.deformable_attention` for contiguous tensors of any size but 0; see `kernels.Kernel`."""
    B, S, C = value.shape
    places, levels = _layout(sizes, value.device)
    mixed = torch.empty_like(value)
    width, points = C // num_heads, logits.shape[-1] // (num_heads * len(sizes))
    with torch.cuda.device(value.device if value.is_cuda else -1):
        _kernel[(triton.cdiv(B * S, _TOKENS), num_heads)](
            value,
            offsets,
            logits,
            places,
            levels,
            mixed,
            B * S,
            S,
            HEADS=num_heads,
            WIDTH=width,
            LEVELS=len(sizes),
            POINTS=points,
            COLUMNS=triton.next_power_of_2(width),
            TOKENS=_TOKENS,
            enable_fp_fusion=True,  # as the reference's kernels; left open, Triton warns that its default will change
        )
    return mixed


@kept(32)
def _layout(sizes: tuple[tuple[int, int], ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """What depends on sizes only: places of tokens, `(S, 2)`, and width, height and first token of each level."""
    with torch.inference_mode(False):
        rows, first = [], 0
        for height, width in sizes:
            rows.append((width, height, first))
            first += height * width
        return reference_points(sizes, device), torch.tensor(rows, dtype=torch.int32, device=device)
