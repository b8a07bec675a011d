"""Read a pipeline by its shipped name or a path, and write one for other processes to read."""

from pathlib import Path

import yaml

from ssa_stream.configs import load_config
from ssa_stream.files import write_whole
from ssa_stream.nodes.pipeline.config import PipelineConfig

__all__ = ["load_pipeline", "save_pipeline"]


def load_pipeline(name: str | Path) -> PipelineConfig:
    """Read and check a pipeline.

    Args:
        name: A shipped name such as `demo`, or the path of a YAML file.
    Raises:
        ConfigError: It cannot be read, or a value is wrong.
    """
    return PipelineConfig.from_mapping(load_config("pipeline", name), origin=f"pipeline configuration {str(name)!r}")


def save_pipeline(config: PipelineConfig, path: Path) -> None:
    """Write a pipeline, readable for its owner only: addresses of sources may hold passwords.

    Raises:
        OSError: It cannot be written.
    """
    write_whole(path, yaml.safe_dump(config.to_mapping(), sort_keys=False, allow_unicode=True), mode=0o600)
