"""Outgoing payload: the tensors of a message to be sent, on any device, not copied."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import MessageError
from ssa_stream.protocols import AnyMessage, Dtype, Layout, TensorSpec

if TYPE_CHECKING:
    import torch

    Item: TypeAlias = NDArray[Any] | torch.Tensor

__all__ = ["OutgoingPayload"]

_DTYPES: tuple[Dtype, ...] = ("uint8", "bool", "int32", "int64", "float16", "bfloat16", "float32")


class OutgoingPayload:
    """Collects the tensors of one message. The transport takes them from there.

    Neither the sender nor a receiver writes to a tensor once it is in a payload: between nodes of one process it is
    handed over as it is.
    """

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._specs: list[TensorSpec] = []

    def add(self, tensor: "torch.Tensor") -> TensorSpec:
        """Add a tensor of any device; gradients do not travel.

        It is copied only if it has gaps in memory. The order in memory, row by row or channels last, stays as it is,
        because networks round differently for the two.

        Raises:
            MessageError: A dtype that no message holds.
        """
        tensor = tensor.detach()
        layout = _layout(tuple(tensor.shape), tensor.stride())
        if layout is None:
            tensor, layout = _without_gaps(tensor)
        dtype = str(tensor.dtype).removeprefix("torch.")
        return self._append(tensor, dtype, tuple(tensor.shape), layout)

    def add_array(self, array: NDArray[Any]) -> TensorSpec:
        """Add an array, row by row in memory; it is copied if it is not.

        Raises:
            MessageError: A dtype that no message holds.
        """
        if not array.dtype.isnative:
            raise MessageError(f"array of {array.dtype.str} cannot be sent; expected native byte order: convert it")
        return self._append(np.ascontiguousarray(array), str(array.dtype), array.shape, "row_major")

    def _append(self, item: "Item", dtype: str, shape: tuple[int, ...], layout: Layout) -> TensorSpec:
        known = next((name for name in _DTYPES if name == dtype), None)
        if known is None:
            raise MessageError(f"tensor of {dtype} cannot be sent; expected {', '.join(_DTYPES)}: convert it first")
        spec = TensorSpec(dtype=known, shape=shape, buffer=len(self._items), layout=layout)
        self._items.append(item)
        self._specs.append(spec)
        return spec

    def __len__(self) -> int:
        return len(self._items)

    @property
    def items(self) -> "tuple[Item, ...]":
        """The tensors and arrays, without gaps, in order of adding."""
        return tuple(self._items)

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """What each of them is."""
        return tuple(self._specs)

    def expect_named_by(self, message: AnyMessage) -> None:
        """Refuse a message that does not name every tensor of this payload, each once and as what it is.

        Raises:
            MessageError: Its sender put the two together wrongly.
        """
        uses = sorted(message.buffer_uses(), key=lambda use: use.buffer)
        sizes = [spec.nbytes for spec in self._specs]
        if [use.buffer for use in uses] != list(range(len(sizes))) or [use.exact_bytes for use in uses] != sizes:
            named = ", ".join(f"{use.field}: buffer {use.buffer} of {use.exact_bytes} bytes" for use in uses)
            raise MessageError(
                f"{type(message).__name__} names {named or 'no buffers'}; its payload has tensors of {sizes} bytes: "
                "add each tensor once, and use the spec that add() returns"
            )


def _layout(shape: tuple[int, ...], strides: tuple[int, ...]) -> Layout | None:
    """The layout whose strides a tensor has exactly; by that torch chooses between ways to compute.

    Only where it has neither, which of the two it could be; None if it has gaps or another order.
    """
    row_major = _strides(shape)
    channels_last = None
    if len(shape) >= 3:
        *outer, channels, height, width = shape
        *outer_strides, row, column, channel = _strides((*outer, height, width, channels))
        channels_last = (*outer_strides, channel, row, column)
    if strides == row_major:
        return "row_major"
    if strides == channels_last:
        return "channels_last"
    if _same_places(shape, strides, row_major):
        return "row_major"
    return "channels_last" if channels_last and _same_places(shape, strides, channels_last) else None


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a tensor in row-major order, as torch has them."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def _same_places(shape: tuple[int, ...], left: tuple[int, ...], right: tuple[int, ...]) -> bool:
    """Whether elements lie at the same places; the stride of an axis of one entry does not matter."""
    return 0 in shape or all(size == 1 or a == b for size, a, b in zip(shape, left, right, strict=True))


def _without_gaps(tensor: "torch.Tensor") -> "tuple[torch.Tensor, Layout]":
    """A copy in the nearer of the two orders."""
    if tensor.ndim >= 3 and tensor.stride(-3) < tensor.stride(-1):
        return tensor.movedim(-3, -1).contiguous().movedim(-1, -3), "channels_last"
    return tensor.contiguous(), "row_major"
