"""Deformable attention on a processor: one loop over tokens, compiled by numba when this module is imported.

The machine code is kept on the disk (numba's rules: `NUMBA_CACHE_DIR`, else beside this file, else the user's cache
folder), so only the first import on a machine compiles, a few seconds; one compilation serves all sizes. The loop runs
without the interpreter's lock, in the threads that torch uses for its own operations: numba's threads would compete
with them, and numba's own pool ends the process if two threads use it at once.
"""

import ctypes
import functools
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from llvmlite import ir
from numba import carray, cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from ssa_stream.model.deformable.reference import reference_points

__all__ = ["compiled_s", "run"]

# numba and llvmlite have no types: their objects are `Any` here.

_TOKENS_AT_ONCE: Final = 32
"""What a thread takes at a time: some tens of microseconds of work."""
_CORNERS: Final = 4
_INT64: Final = ir.IntType(64)
# Rounding may differ from the reference's (fused multiply and add); what is not finite stays so.
_EXACT: Final = {"fastmath": {"contract", "nsz"}, "error_model": "numpy"}
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)


@intrinsic
def _take_next(typing: Any, counter: Any) -> Any:
    """Count one up and return what it was: each number goes to one thread."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("add", arguments[0], _INT64(1), "monotonic")

    return types.int64(counter), generate


@intrinsic
def _pointer(typing: Any, address: Any) -> Any:
    """An address as a pointer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.voidptr(types.int64), generate


@intrinsic
def _mix(typing: Any, width: Any, values: Any, indices: Any, weights: Any, count: Any, mixed: Any) -> Any:
    """Weighted sum of rows of `width` numbers, which stays in registers; numba's own loops store every step of it.

    `width` is a literal, `count` of the rows an even number. The others are addresses: of the first number of row 0, of
    the rows' first numbers (int32), of their weights, of the result.
    """
    if not isinstance(width, types.IntegerLiteral):
        return None
    row, number, index = ir.VectorType(ir.FloatType(), width.literal_value), ir.FloatType(), ir.IntType(32)
    lane_0 = ir.Constant(ir.VectorType(index, row.count), None)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count = arguments[4]
        values, weights = (builder.inttoptr(arguments[i], number.as_pointer()) for i in (1, 3))
        indices = builder.inttoptr(arguments[2], index.as_pointer())
        sums = [cgutils.alloca_once_value(builder, ir.Constant(row, None)) for _ in range(2)]
        with cgutils.for_range_slice(builder, _INT64(0), count, _INT64(2)) as (first, _):
            for i, total in enumerate(sums):
                at = builder.add(first, _INT64(i))
                start = builder.sext(builder.load(builder.gep(indices, [at])), _INT64)
                numbers = builder.load(builder.bitcast(builder.gep(values, [start]), row.as_pointer()), align=4)
                weight = builder.load(builder.gep(weights, [at]))
                weight = builder.insert_element(ir.Constant(row, ir.Undefined), weight, index(0))
                weight = builder.shuffle_vector(weight, ir.Constant(row, ir.Undefined), lane_0)
                product = builder.fmul(weight, numbers, flags=("contract",))
                builder.store(builder.fadd(product, builder.load(total), flags=("contract",)), total)
        result = builder.fadd(builder.load(sums[0]), builder.load(sums[1]))
        builder.store(result, builder.inttoptr(arguments[5], row.as_pointer()), align=4)
        return context.get_dummy_value()

    signature = types.void(width, types.int64, types.int64, types.int64, types.int64, types.int64)
    return signature, generate


@njit(**_EXACT)
def _softmax(logits: Any, weights: Any, num_heads: int, points: int) -> None:
    """Softmax of one token's logits over the points of each head.

    Source: Cephes, expf: exp(x) = 2^n exp(g) with a polynomial for g; within 2 units in the last place of float32.
    """
    for head in range(num_heads):
        largest = logits[head * points]
        for j in range(head * points + 1, (head + 1) * points):
            largest = logits[j] if logits[j] > largest else largest
        for j in range(head * points, (head + 1) * points):
            weights[j] = logits[j] - largest
    for j in range(num_heads * points):
        x = weights[j]
        n = np.floor(x * np.float32(1.44269504) + _HALF)
        g = (x - n * np.float32(0.693359375)) - n * np.float32(-2.12194440e-4)
        p = np.float32(1.9875691500e-4)
        p = p * g + np.float32(1.3981999507e-3)
        p = p * g + np.float32(8.3334519073e-3)
        p = p * g + np.float32(4.1665795894e-2)
        p = p * g + np.float32(1.6666665459e-1)
        p = p * g + np.float32(5.0000001201e-1)
        power = np.int32((np.int32(n if n > np.float32(-126) else np.float32(-126)) + np.int32(127)) << np.int32(23))
        e = (p * g * g + g + _ONE) * power.view(np.float32)
        weights[j] = _ZERO if x < np.float32(-87) else e
    for head in range(num_heads):
        total = _ZERO
        for j in range(head * points, (head + 1) * points):
            total += weights[j]
        for j in range(head * points, (head + 1) * points):
            weights[j] /= total


@njit(**_EXACT)
def _place(
    x: Any, y: Any, offsets: Any, weights: Any, levels: Any, firsts: Any, row: Any, indices: Any, shares: Any
) -> None:
    """Find the four cells around each point of a token, and their shares: bilinear, zero outside of the map.

    Args:
        x: Token's place, 0..1.
        y: Likewise.
        offsets: `(n, 2)`.
        weights: `(n,)`.
        levels: Width and height of each point's level, `(2, n)`, float32.
        firsts: Where each point's level and head begin in the values of an item, `(n,)`, int32.
        row: Numbers from one cell to the next.
        indices: Receives where the cells' rows begin, `(n, 4)`.
        shares: Receives `(n, 4)`.
    """
    for j in range(len(weights)):
        width, height = levels[0, j], levels[1, j]
        px = x * width - _HALF + offsets[j, 0]
        py = y * height - _HALF + offsets[j, 1]
        # Also what is no number ends within the map: no index may lead out of the tensor.
        px = px if px > -_ONE else -_ONE
        py = py if py > -_ONE else -_ONE
        px = px if px < width else width
        py = py if py < height else height
        left, top = np.floor(px), np.floor(py)
        right, bottom = left + _ONE, top + _ONE
        to_right, to_bottom = px - left, py - top
        share_left = _ONE - to_right if left >= _ZERO and left < width else _ZERO
        share_right = to_right if right < width else _ZERO
        share_top = (_ONE - to_bottom) * weights[j] if top >= _ZERO and top < height else _ZERO
        share_bottom = to_bottom * weights[j] if bottom < height else _ZERO
        left = min(max(left, _ZERO), width - _ONE)
        top = min(max(top, _ZERO), height - _ONE)
        right, bottom = min(right, width - _ONE), min(bottom, height - _ONE)
        columns = np.int32(width)
        above, below = np.int32(top) * columns, np.int32(bottom) * columns
        indices[j, 0] = firsts[j] + (above + np.int32(left)) * row
        indices[j, 1] = firsts[j] + (above + np.int32(right)) * row
        indices[j, 2] = firsts[j] + (below + np.int32(left)) * row
        indices[j, 3] = firsts[j] + (below + np.int32(right)) * row
        shares[j, 0] = share_left * share_top
        shares[j, 1] = share_right * share_top
        shares[j, 2] = share_left * share_bottom
        shares[j, 3] = share_right * share_bottom


@njit(**_EXACT)
def _mix_head(values: int, indices: int, shares: int, count: int, mixed: int, width: int) -> None:
    """Mix the rows of one head, whatever its width; addresses as of `_mix`."""
    done = 0
    while width - done >= 32:
        _mix(32, values + 4 * done, indices, shares, count, mixed + 4 * done)
        done += 32
    if width - done >= 16:
        _mix(16, values + 4 * done, indices, shares, count, mixed + 4 * done)
        done += 16
    if width - done >= 8:
        _mix(8, values + 4 * done, indices, shares, count, mixed + 4 * done)
        done += 8
    if width - done >= 4:
        _mix(4, values + 4 * done, indices, shares, count, mixed + 4 * done)
        done += 4
    while done < width:
        _mix(1, values + 4 * done, indices, shares, count, mixed + 4 * done)
        done += 1


def _work(task: Any) -> None:
    """What each thread does: take some tokens, until there are no more. The order of `task` is that of `run`."""
    task_array = carray(task, 13)
    total, per_item, channels, num_heads, points = task_array[1:6]
    all_points, width = num_heads * points, channels // num_heads
    offsets = carray(_pointer(task_array[7]), (total, all_points, 2), np.float32)
    logits = carray(_pointer(task_array[8]), (total, all_points), np.float32)
    places = carray(_pointer(task_array[9]), (per_item, 2), np.float32)
    levels = carray(_pointer(task_array[10]), (2, all_points), np.float32)
    firsts = carray(_pointer(task_array[11]), all_points, np.int32)
    weights = np.empty(all_points, np.float32)
    indices, shares = np.empty((all_points, 4), np.int32), np.empty((all_points, 4), np.float32)
    indices_of_head, shares_of_head = np.int64(indices.ctypes.data), np.int64(shares.ctypes.data)
    step = np.int64(4) * _CORNERS * points
    while True:
        first = _take_next(task) * _TOKENS_AT_ONCE
        if first >= total:
            return
        for token in range(first, min(first + _TOKENS_AT_ONCE, total)):
            item = token // per_item
            place = places[token - item * per_item]
            _softmax(logits[token], weights, num_heads, points)
            _place(place[0], place[1], offsets[token], weights, levels, firsts, np.int32(channels), indices, shares)
            values = task_array[6] + 4 * item * per_item * channels
            mixed = task_array[12] + 4 * token * channels
            for head in range(num_heads):
                _mix_head(
                    values,
                    indices_of_head + head * step,
                    shares_of_head + head * step,
                    _CORNERS * points,
                    mixed + 4 * head * width,
                    width,
                )


def _compiled() -> tuple[Any, float]:
    """`_work` as machine code, and how long compiling it took in seconds; 0 if it was on the disk."""
    begin_s = time.perf_counter()
    kind = types.void(types.CPointer(types.int64))
    try:
        code = cfunc(kind, cache=True, **_EXACT)(_work)
    except RuntimeError:  # numba finds no folder that it may write to: each process compiles
        code = cfunc(kind, **_EXACT)(_work)
    return code, 0.0 if code.cache_hits else time.perf_counter() - begin_s


_code, compiled_s = _compiled()


def run(value: Tensor, offsets: Tensor, logits: Tensor, sizes: tuple[tuple[int, int], ...], num_heads: int) -> Tensor:
    """Compute `operator.deformable_attention` for contiguous tensors of any size but 0; see `kernels.Kernel`."""
    B, S, C = value.shape
    points = logits.shape[-1] // num_heads
    values, offsets, logits = value.float(), offsets.float(), logits.float()
    mixed = torch.empty(B, S, C)
    places, levels, firsts = _layout(sizes, num_heads, points, C)
    tensors = (values, offsets, logits, places, levels, firsts, mixed)
    task = (ctypes.c_int64 * 13)(0, B * S, S, C, num_heads, points, *(tensor.data_ptr() for tensor in tensors))
    threads = min(torch.get_num_threads(), -(-B * S // _TOKENS_AT_ONCE))
    parallel = _torch_threads() if threads > 1 else None
    if parallel is None:
        _code.ctypes(task)
    else:
        parallel(_code.ctypes, task, threads, 0)
    return mixed.to(value.dtype)


@functools.lru_cache(maxsize=32)
def _layout(
    sizes: tuple[tuple[int, int], ...], num_heads: int, points: int, channels: int
) -> tuple[Tensor, Tensor, Tensor]:
    """What depends on sizes only: places of tokens, and for each point its level's sides and where its values begin."""
    with torch.inference_mode(False):
        sides = torch.tensor(sizes, dtype=torch.float32).flip(1)  # (levels, 2): width, height
        cells = torch.tensor([0, *(height * width for height, width in sizes[:-1])]).cumsum(0)
        firsts = cells * channels + (torch.arange(num_heads) * (channels // num_heads))[:, None]  # (heads, levels)
        each = points // len(sizes)
        levels = sides.T[:, None, :, None].expand(2, num_heads, len(sizes), each).reshape(2, -1)
        firsts = firsts[:, :, None].expand(num_heads, len(sizes), each).reshape(-1).int()
        return reference_points(sizes, torch.device("cpu")), levels.contiguous(), firsts


@functools.cache
def _torch_threads() -> Any:
    """What starts threads for torch's own operations, `GOMP_parallel`; None where torch was built without it.

    It is looked up in torch's library, so that it is the OpenMP that torch itself uses.
    """
    name = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        start = ctypes.CDLL(str(name)).GOMP_parallel
    except (OSError, AttributeError):
        return None
    start.argtypes, start.restype = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint), None
    return start
