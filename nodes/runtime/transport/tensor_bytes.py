"""Tensors as bytes in memory, and bytes as tensors, without copies except where stated."""

from typing import TYPE_CHECKING

import numpy as np

from ssa_stream.nodes.runtime.transport.segments import ALIGNMENT
from ssa_stream.protocols import TensorSpec
from ssa_stream.protocols.tensors import flat_view

if TYPE_CHECKING:
    import torch

    from ssa_stream.nodes.runtime.transport.payload import Item

__all__ = ["copy_bytes", "host_bytes", "tensor_in"]


def host_bytes(item: "Item") -> memoryview:
    """The bytes of a tensor without gaps, in the order that they lie in; copied from another device."""
    if isinstance(item, np.ndarray):
        return flat_view(item.data) if item.size else memoryview(b"")
    return _flat_bytes(item).cpu().numpy().data if item.numel() else memoryview(b"")


def copy_bytes(item: "Item", target: memoryview) -> None:
    """Copy a tensor without gaps into memory, from whatever device."""
    if not target.nbytes:
        return
    if isinstance(item, np.ndarray) or item.device.type == "cpu":
        # Not with torch, which would wake a team of threads for each large copy and let them spin.
        np.copyto(np.frombuffer(target, np.uint8), np.frombuffer(host_bytes(item), np.uint8))
        return
    import torch

    torch.frombuffer(target, dtype=torch.uint8).copy_(_flat_bytes(item))


def tensor_in(spec: TensorSpec, data: memoryview) -> "torch.Tensor":
    """The tensor that memory holds, with the strides that torch gives such a tensor.

    It lies in that memory if it may: at a place that torch could have chosen, because networks round differently by
    where a tensor begins; and in writable memory, though nobody writes, because torch has no tensors that cannot be
    written to. Else it is a copy.

    Args:
        spec: What it is.
        data: Of the length that `spec` says.
    """
    import torch

    dtype: torch.dtype = getattr(torch, spec.dtype)
    if not data.nbytes:
        flat = torch.empty(0, dtype=dtype)
    elif data.readonly or _address(data) % ALIGNMENT:
        owned = torch.empty(data.nbytes, dtype=torch.uint8)
        owned.numpy()[:] = np.frombuffer(data, np.uint8)
        flat = owned.view(dtype)
    else:
        flat = torch.frombuffer(data, dtype=dtype)
    if spec.layout == "row_major":
        return flat.view(spec.shape)
    *outer, channels, height, width = spec.shape
    return flat.view(*outer, height, width, channels).movedim(-1, -3)


def _address(data: memoryview) -> int:
    address: int = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    return address


def _flat_bytes(tensor: "torch.Tensor") -> "torch.Tensor":
    import torch

    in_order = tensor if tensor.is_contiguous() else tensor.movedim(-3, -1)
    return in_order.view(-1).view(torch.uint8)
