"""At which size frames enter the network, found without loading it."""

from ssa_stream.nodes.ingest.picture import Edges
from ssa_stream.nodes.pipeline import PipelineConfig

__all__ = ["network_edges"]


def network_edges(config: PipelineConfig) -> Edges:
    """Wanted shortest and longest edge. May read the header of a checkpoint, never its weights.

    Raises:
        ConfigError: No such model configuration.
        CheckpointError: The checkpoint cannot be read.
    """
    short, long = config.session.short_edge_px, config.session.long_edge_px
    if short is not None and long is not None:
        return short, long
    section = config.model
    if section.random_weights:
        from ssa_stream.configs import load_config
        from ssa_stream.model import SsaConfig

        sizes = SsaConfig.from_mapping(load_config("model", section.name))
    else:
        from ssa_stream.checkpoints import DEFAULT_CHECKPOINT, read_info

        sizes = read_info(section.checkpoint or DEFAULT_CHECKPOINT).config
    return sizes.edges_px(short, long)
