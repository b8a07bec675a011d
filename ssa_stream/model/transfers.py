"""Copies between the processor and the network's device, which wait for it no more often than they have to."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["to_device", "to_host"]


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """A tensor of the processor on a device. On CUDA nothing is waited for: the bytes go from pinned memory."""
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def to_host(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Tensors of one device on the processor. On CUDA all are waited for once, and are in pinned memory.

    Pinned memory is scarce: copy what is kept.
    """
    if not any(tensor.is_cuda for tensor in tensors):
        return [tensor.cpu() for tensor in tensors]
    copies = [
        torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)
        for tensor in tensors
    ]
    torch.cuda.current_stream(tensors[0].device).synchronize()
    return copies
