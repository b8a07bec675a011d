"""From a pipeline's model section to the network."""

from typing import TYPE_CHECKING

import structlog

from ssa_stream.nodes.pipeline import ModelSection

if TYPE_CHECKING:
    from ssa_stream.model import SSA, SsaConfig

__all__ = ["load_network", "network_config"]

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

    from ssa_stream.checkpoints import choose_device, open_network

    device = choose_device(section.device, "model.device")
    if section.device == "auto":
        _LOG.info("device chosen", device=device)
    dtype: torch.dtype = getattr(torch, section.dtype)
    return open_network(
        section.checkpoint,
        random_weights=section.name if section.random_weights else None,
        device=device,
        dtype=dtype,
    )


def network_config(section: ModelSection) -> "SsaConfig":
    """The sizes of the network; reads at most the header of a checkpoint, never its weights.

    Raises:
        ConfigError: No such model configuration.
        CheckpointError: The checkpoint cannot be read.
    """
    if section.random_weights:
        from ssa_stream.configs import load_config
        from ssa_stream.model import SsaConfig

        return SsaConfig.from_mapping(load_config("model", section.name))
    from ssa_stream.checkpoints import DEFAULT_CHECKPOINT, read_info

    return read_info(section.checkpoint or DEFAULT_CHECKPOINT).config
