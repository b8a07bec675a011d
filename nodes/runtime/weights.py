"""From a pipeline's model section to the network."""

from typing import TYPE_CHECKING

import structlog

from ssa_stream.nodes.pipeline import ModelSection

if TYPE_CHECKING:
    from ssa_stream.model import SSA

__all__ = ["load_network"]

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
