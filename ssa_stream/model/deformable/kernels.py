"""Which fused kernels this installation has; each is looked for once in a process, when it is first needed."""

import functools
import importlib
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Kernel", "LoadedKernel", "cuda_kernel", "processor_kernel"]

Kernel = Callable[[Tensor, Tensor, Tensor, tuple[tuple[int, int], ...], int], Tensor]
"""Takes values, offsets and logits, contiguous and of any size but 0, sizes of the levels, and heads."""


class LoadedKernel(NamedTuple):
    """A kernel, or why there is none.

    Attributes:
        run: The kernel; None if the reference computes.
        name: What computes: `numba`, `triton`, `torch`.
        reason: Why it is the reference; empty if it is not.
        compiled_s: How long compiling took; 0 if the machine code was there, or is made by the first call.
    """

    run: Kernel | None
    name: str
    reason: str
    compiled_s: float = 0.0


@functools.cache
def processor_kernel() -> LoadedKernel:
    """The kernel for processors, by numba; compiled here if it never was on this machine."""
    return _loaded("numba", "ssa_stream.model.deformable.numba_kernel")


@functools.cache
def cuda_kernel() -> LoadedKernel:
    """The kernel for CUDA, by Triton. It is compiled by its first call."""
    if not torch.cuda.is_available():
        return LoadedKernel(None, "torch", "there is no CUDA device")
    return _loaded("triton", "ssa_stream.model.deformable.triton_kernel")


def _loaded(package: str, module: str) -> LoadedKernel:
    try:
        loaded = importlib.import_module(module)
        return LoadedKernel(loaded.run, package, "", getattr(loaded, "compiled_s", 0.0))
    except ModuleNotFoundError as error:
        reason = f"{error.name} is not installed"
    except Exception as error:  # a broken installation fails in its own ways; the reference is there
        reason = f"{package} does not work here ({type(error).__name__}: {error})"
    return LoadedKernel(None, "torch", reason)
