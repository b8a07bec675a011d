"""Tensors as raw buffers behind a header that says what they are."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from ssa_stream.errors import MessageError
from ssa_stream.protocols.fields import BufferIndex
from ssa_stream.protocols.message import Buffer, BufferUse

__all__ = ["Buffers", "Dtype", "Layout", "TensorSpec", "as_array", "flat_view"]

Dtype = Literal["uint8", "bool", "int32", "int64", "float16", "bfloat16", "float32"]
Layout = Literal["row_major", "channels_last"]

# numpy has no bfloat16: its bits travel as uint16.
_NUMPY = {
    "uint8": np.dtype("u1"),
    "bool": np.dtype("?"),
    "int32": np.dtype("<i4"),
    "int64": np.dtype("<i8"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype("<u2"),
    "float32": np.dtype("<f4"),
}
_NAMES: dict[np.dtype[Any], Dtype] = {
    np.dtype("u1"): "uint8",
    np.dtype("?"): "bool",
    np.dtype("<i4"): "int32",
    np.dtype("<i8"): "int64",
    np.dtype("<f2"): "float16",
    np.dtype("<f4"): "float32",
}


class TensorSpec(Struct, frozen=True, kw_only=True):
    """What a buffer holds. Numbers are little-endian, without gaps.

    Attributes:
        dtype: Type of the elements.
        shape: Axes, outermost first.
        buffer: Which buffer holds it.
        layout: Order in memory: `row_major` as the axes are; `channels_last` with the third axis from the end, the
            channels, innermost. The shape is the same for both. Networks round differently for the two, so it is kept.
    """

    dtype: Dtype
    shape: Annotated[tuple[Annotated[int, Meta(ge=0, le=2**31 - 1)], ...], Meta(max_length=6)]
    buffer: BufferIndex
    layout: Layout = "row_major"

    def __post_init__(self) -> None:
        if self.layout == "channels_last" and len(self.shape) < 3:
            raise ValueError(f"channels_last with shape {self.shape}; expected at least (channels, height, width)")

    @property
    def nbytes(self) -> int:
        """Length that its buffer must have."""
        return math.prod(self.shape) * _NUMPY[self.dtype].itemsize

    def use(self, field: str) -> BufferUse:
        """What the header says about the buffer."""
        return BufferUse(field, self.buffer, exact_bytes=self.nbytes)

    def expect_rank(self, field: str, rank: int) -> None:
        """Refuse another number of axes.

        Raises:
            ValueError: So that the codec says in which field it is.
        """
        if len(self.shape) != rank:
            raise ValueError(f"{field} has shape {self.shape}; expected {rank} axes")


class Buffers:
    """Collects the buffers of a message to be sent. Nothing is copied: do not write to them until it is sent."""

    def __init__(self) -> None:
        self._buffers: list[memoryview] = []

    def add(self, array: NDArray[Any], *, dtype: Dtype | None = None, channels_last: bool = False) -> TensorSpec:
        """Add an array.

        Args:
            array: Without gaps in memory. For `channels_last` that is so with its third axis from the end moved to
                the end.
            dtype: Given only for `bfloat16`, whose bits come as uint16.
            channels_last: Order in memory.
        Raises:
            MessageError: A type or memory order that cannot be sent as it is.
        """
        name = dtype or _NAMES.get(array.dtype)
        if name is None or array.dtype != _NUMPY[name]:
            raise MessageError(
                f"array of {array.dtype}{f' as {dtype}' if dtype else ''} cannot be sent; expected little-endian "
                f"{', '.join(_NUMPY)} (bfloat16 as uint16 with dtype='bfloat16'): convert it first"
            )
        in_memory = np.moveaxis(array, -3, -1) if channels_last and array.ndim >= 3 else array
        if not in_memory.flags.c_contiguous:
            raise MessageError(
                f"array of shape {array.shape} and strides {array.strides} has gaps or another memory order; expected "
                f"{'channels-last' if channels_last else 'row-major'} order: copy it with numpy.ascontiguousarray"
            )
        return self.add_tensor(in_memory.data, name, array.shape, "channels_last" if channels_last else "row_major")

    def add_tensor(self, data: Buffer, dtype: Dtype, shape: Sequence[int], layout: Layout = "row_major") -> TensorSpec:
        """Add bytes that are a tensor; the codec checks that they fit the shape."""
        return TensorSpec(dtype=dtype, shape=tuple(shape), buffer=self.add_bytes(data), layout=layout)

    def add_bytes(self, data: Buffer) -> int:
        """Add bytes as they are; returns the index of the new buffer."""
        self._buffers.append(flat_view(data))
        return len(self._buffers) - 1

    def __len__(self) -> int:
        return len(self._buffers)

    def __getitem__(self, index: int) -> memoryview:
        return self._buffers[index]


def flat_view(data: Any) -> memoryview:
    """The bytes of an object with the buffer protocol or a `.buffer` that has it, such as a zmq frame; not copied.

    Raises:
        MessageError: It has neither, or its bytes are scattered.
    """
    try:
        view = memoryview(getattr(data, "buffer", data))
        return view.cast("B") if view.nbytes else memoryview(b"")
    except TypeError as error:
        raise MessageError(f"a message part is {type(data).__name__} ({error}); expected contiguous bytes") from error


def as_array(spec: TensorSpec, data: memoryview) -> NDArray[Any]:
    """The tensor in a buffer, as numpy array; a view, writable only if the buffer is.

    Args:
        spec: What the buffer holds. The bits of `bfloat16` come as uint16.
        data: The buffer.
    Raises:
        MessageError: The length does not fit.
    """
    if data.nbytes != spec.nbytes:
        raise MessageError(
            f"buffer of {data.nbytes} bytes for {spec.dtype} of shape {spec.shape}; expected {spec.nbytes}"
        )
    flat = np.frombuffer(data, dtype=_NUMPY[spec.dtype])
    if spec.layout == "channels_last":
        *outer, channels, height, width = spec.shape
        return np.moveaxis(flat.reshape(*outer, height, width, channels), -1, -3)
    return flat.reshape(spec.shape)
