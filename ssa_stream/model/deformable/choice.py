"""Which operator the deformable attention of a network runs by; chosen when the network is loaded, never in a frame."""

from typing import Literal, NamedTuple, get_args

import torch
from torch import nn

from ssa_stream.errors import ConfigError
from ssa_stream.model.deformable.attention import DeformableAttention
from ssa_stream.model.deformable.kernels import LoadedKernel, cuda_kernel, processor_kernel
from ssa_stream.model.deformable.operator import deformable_attention
from ssa_stream.model.deformable.reference import deformable_attention_reference

__all__ = ["OPERATORS", "Operator", "OperatorChoice", "build_operator", "use_operator"]

Operator = Literal["auto", "fused", "torch"]
OPERATORS: tuple[str, ...] = get_args(Operator)
_TOLERANCE = 1e-4
"""Of a kernel on drawn numbers around 1. Rounding gives less than a tenth of it."""


class OperatorChoice(NamedTuple):
    """What deformable attention runs by.

    Attributes:
        name: `numba`, `triton`, or `torch`, which is the reference.
        reason: Why it is the reference; empty if it was asked for, or is not the reference.
        compiled_s: How long compiling took; 0 if the machine code was there.
    """

    name: str
    reason: str = ""
    compiled_s: float = 0.0


def use_operator(network: nn.Module, operator: Operator = "auto") -> OperatorChoice:
    """Let all deformable attention in a network run by one operator, where it needs no gradients.

    A kernel is compiled here if it has to be, and proves itself on a few drawn numbers.

    Args:
        network: On the device on which it will run.
        operator: `torch`, the reference; `fused`, a kernel; `auto`, a kernel if this installation has one that works.
    Raises:
        ConfigError: Another name, or `fused` and there is no kernel.
    """
    if operator not in OPERATORS:
        raise ConfigError(f"operator is {operator!r}; expected one of {', '.join(OPERATORS)}")
    layers = [module for module in network.modules() if isinstance(module, DeformableAttention)]
    choice = OperatorChoice("torch")
    if operator != "torch" and layers:
        choice = _prepared(layers[0])
        if operator == "fused" and choice.name == "torch":
            raise ConfigError(f"operator is 'fused', but {choice.reason}; install the extra `fast`, or choose auto")
    for layer in layers:
        layer.fused = choice.name != "torch"
    return choice


def build_operator() -> OperatorChoice:
    """Compile the kernel for processors, if this installation has numba, and keep it for all later starts."""
    return _prepared(DeformableAttention(8, 2, 1, 1))


def _prepared(layer: DeformableAttention) -> OperatorChoice:
    """Load the kernel of a layer's device, compile it and try it at the layer's sizes."""
    kernel = _kernel(layer.value_proj.weight.device)
    reason = kernel.reason or _deviation(layer, kernel.name)
    return OperatorChoice("torch", reason) if reason else OperatorChoice(kernel.name, "", kernel.compiled_s)


def _kernel(device: torch.device) -> LoadedKernel:
    if device.type == "cpu":
        return processor_kernel()
    if device.type == "cuda":
        return cuda_kernel()
    return LoadedKernel(None, "torch", f"there is no kernel for {device.type}")


@torch.inference_mode()
def _deviation(layer: DeformableAttention, name: str) -> str:
    """What is wrong with a kernel at the sizes of a layer; empty if nothing is."""
    device, width = layer.value_proj.weight.device, layer.value_proj.out_features
    sizes = [(2 + level, 3) for level in range(layer.num_levels)]
    samples = layer.num_heads * layer.num_levels * layer.num_points
    drawn = torch.Generator().manual_seed(0)
    value, offsets, logits = (
        torch.randn(1, sum(height * 3 for height, _ in sizes), columns, generator=drawn).to(device)
        for columns in (width, samples * 2, samples)
    )
    try:
        mixed = deformable_attention(value, offsets, logits, [side for size in sizes for side in size], layer.num_heads)
    except Exception as error:  # a compiler or driver that fails, with errors of its own; the reference is there
        return f"{name} does not work here ({type(error).__name__}: {error})"
    expected = deformable_attention_reference(
        value, offsets, logits, sizes, num_heads=layer.num_heads, num_points=layer.num_points
    )
    deviation = float((mixed - expected).abs().max())
    return "" if deviation < _TOLERANCE else f"{name} gives other numbers here (by {deviation:.1e})"
