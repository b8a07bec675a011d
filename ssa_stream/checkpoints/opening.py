"""From settings or options to a network that is ready to run; `load_checkpoint` reads the file format."""

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ssa_stream.checkpoints.store import checked_device, checked_dtype, load_checkpoint
from ssa_stream.configs import load_config
from ssa_stream.errors import ConfigError
from ssa_stream.model import SSA, Operator, Precision, SsaConfig, fold_weights, use_operator
from ssa_stream.model.precision import checked_precision
from ssa_stream.weight_files import DEFAULT_CHECKPOINT

__all__ = ["choose_device", "open_network"]

_RANDOM_SEED = 0
"""Of the random weights of each module: the nodes of a graph hold parts of one network."""


def choose_device(name: str, option: str = "device") -> str:
    """The device to use. `auto` is the only choice that is made for the user; the caller tells which it was.

    Args:
        name: `auto`, `cpu`, `cuda` or `cuda:N`.
        option: What the user calls this setting, for the error.
    Raises:
        ConfigError: This machine lacks the device.
    """
    has_cuda = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if has_cuda else "cpu"
    if name != "cpu" and not (name.startswith("cuda") and has_cuda):
        raise ConfigError(
            f"{option} is {name!r} but this machine offers: cpu{', cuda' * has_cuda}; choose one of these, or auto"
        )
    return name


def open_network(
    checkpoint: str | Path | None = None,
    *,
    random_weights: str | None = None,
    clip: Mapping[str, Tensor] | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    operator: Operator = "auto",
    parts: Collection[str] | None = None,
    precision: Precision | None = None,
    fold: bool = True,
) -> SSA:
    """Load a network, or make one with meaningless weights that are the same in every process.

    Args:
        checkpoint: Weight file, or the name of a shipped one; None takes the default.
        random_weights: Name or YAML file of a model configuration: make such a network instead.
        clip: CLIP's weights, for a checkpoint without them.
        device: Where the network goes, see `choose_device`.
        dtype: float32 or bfloat16.
        operator: What deformable attention runs by, see `model.use_operator`.
        parts: Only these parts of the network, see `model.parts`; None is the whole network. Random weights are the
            same in a part as in the whole.
        precision: How the pixel decoder computes, `published` or `fast`; None chooses by device and type.
        fold: Fold the trunk for inference (`model.fold_weights`); such a network cannot be saved.
    Returns:
        The network in evaluation mode.
    Raises:
        ConfigError: An unknown configuration, or a device, type, operator or precision that the network cannot run in.
        CheckpointError: The checkpoint does not load.
    """
    place, dtype = checked_device(device), checked_dtype(dtype)
    precision = checked_precision(precision, place, dtype)
    if random_weights is None:
        network = load_checkpoint(
            checkpoint or DEFAULT_CHECKPOINT,
            device=place,
            dtype=dtype,
            clip=clip,
            operator=operator,
            parts=parts,
            precision=precision,
        )
        return fold_weights(network) if fold else network
    config = SsaConfig.from_mapping(load_config("model", random_weights))
    with torch.random.fork_rng():
        network = SSA(config, parts=parts, seed=_RANDOM_SEED).eval()
    network = network.cast(dtype, precision).to(place)
    use_operator(network, operator)
    return fold_weights(network) if fold else network
