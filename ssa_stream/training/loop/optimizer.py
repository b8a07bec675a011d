"""AdamW over the learnable parameters, in groups that differ in learning rate and weight decay."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from ssa_stream.training.config import OptimizerConfig

__all__ = ["build_optimizer", "parameter_groups", "set_learning_rate"]

_NO_DECAY = (nn.LayerNorm, nn.GroupNorm, nn.Embedding)
_ADAPTERS = ".adapters."


def _learnable(module: nn.Module, *, decay_vectors: bool) -> Iterator[tuple[str, nn.Parameter, bool]]:
    """Name, parameter, and whether it decays; every parameter once."""
    seen: set[int] = set()
    for prefix, part in module.named_modules():
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                decays = not isinstance(part, _NO_DECAY) and (decay_vectors or parameter.dim() >= 2)
                yield f"{prefix}.{name}".lstrip("."), parameter, decays


def parameter_groups(module: nn.Module, config: OptimizerConfig, *, decay_vectors: bool = True) -> list[dict[str, Any]]:
    """Group what is learnable.

    Args:
        module: What is trained; parameters under `adapters` get their own rate.
        config: Rates and decay.
        decay_vectors: Whether biases and gains decay, as in the published training of SSA; CLIP's decay does not.
    Returns:
        AdamW's groups. `lr_scale` is the group's factor on the base rate, `names` are its parameters' names.
    """
    groups: dict[tuple[float, float], list[tuple[str, nn.Parameter]]] = defaultdict(list)
    for name, parameter, decays in _learnable(module, decay_vectors=decay_vectors):
        scale = config.adapter_lr_factor if _ADAPTERS in f".{name}" else 1.0
        groups[scale, config.weight_decay if decays else 0.0].append((name, parameter))
    return [
        {
            "params": [parameter for _, parameter in members],
            "names": [name for name, _ in members],
            "lr": config.lr * scale,
            "lr_scale": scale,
            "weight_decay": decay,
        }
        for (scale, decay), members in sorted(groups.items(), reverse=True)
    ]


def build_optimizer(
    module: nn.Module, config: OptimizerConfig, *, decay_vectors: bool = True, fused: bool = False
) -> torch.optim.AdamW:
    """Make AdamW for a module's learnable parameters; see `parameter_groups`."""
    groups = parameter_groups(module, config, decay_vectors=decay_vectors)
    return torch.optim.AdamW(groups, lr=config.lr, fused=fused)


def set_learning_rate(optimizer: torch.optim.Optimizer, config: OptimizerConfig, step: int, steps: int) -> float:
    """Set all groups to their rate at a step; returns the base rate."""
    rate = config.lr * config.lr_factor(step, steps)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_scale"]
    return rate
