"""Sizes that a stream's frames pass through, known without the network's weights."""

from ssa_stream.model import MaskSizes, SsaConfig, network_size
from ssa_stream.model.preprocess import SIZE_DIVISOR
from ssa_stream.streaming.config import SessionConfig

__all__ = ["frame_sizes"]


def frame_sizes(model: SsaConfig, config: SessionConfig, size: tuple[int, int]) -> MaskSizes:
    """Sizes of a frame at the network and of its masks.

    Args:
        model: The network's sizes.
        config: May set other edges.
        size: Of the source, `(height, width)`.
    """
    height, width = network_size(
        size, config.short_edge_px or model.short_edge_px, config.long_edge_px or model.long_edge_px
    )
    return MaskSizes((height + -height % SIZE_DIVISOR, width + -width % SIZE_DIVISOR), (height, width), size)
