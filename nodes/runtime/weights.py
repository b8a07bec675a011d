"""From a pipeline's model section to the network."""

from typing import TYPE_CHECKING

import structlog

from ssa_stream.errors import ConfigError
from ssa_stream.nodes.pipeline import ModelSection

if TYPE_CHECKING:
    from ssa_stream.model import SSA

__all__ = ["load_network"]

_RANDOM_SEED = 0
_LOG = structlog.get_logger()


def load_network(section: ModelSection) -> "SSA":
    """Load the network, or make one with meaningless weights that are the same in every process.

    Args:
        section: Which network, with which weights, where.
    Raises:
        ConfigError: This machine lacks the device.
        CheckpointError: The checkpoint does not load.
    """
    import torch

    from ssa_stream.checkpoints import DEFAULT_CHECKPOINT, load_checkpoint
    from ssa_stream.configs import load_config
    from ssa_stream.model import SSA, SsaConfig

    device = _device(section.device)
    dtype: torch.dtype = getattr(torch, section.dtype)
    if not section.random_weights:
        return load_checkpoint(section.checkpoint or DEFAULT_CHECKPOINT, device=device, dtype=dtype)
    with torch.random.fork_rng():
        torch.manual_seed(_RANDOM_SEED)
        model = SSA(SsaConfig.from_mapping(load_config("model", section.name))).eval()
    return model.to(device).cast(dtype)


def _device(name: str) -> str:
    """The device to use. `auto` is the only choice made for the user, and it is logged."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        _LOG.info("device chosen", device=name)
    elif name != "cpu" and not torch.cuda.is_available():
        raise ConfigError(f"model.device is {name!r} but this machine offers cpu only: choose cpu or auto")
    return name
