"""What a graph reads and writes, checked before it starts."""

import os
from collections.abc import Iterable, Iterator

from ssa_stream.nodes.pipeline.config import PipelineConfig
from ssa_stream.outputs import NamedPath, check_outputs, sink_files

__all__ = ["check_pipeline_files"]


def check_pipeline_files(
    config: PipelineConfig, *, inputs: Iterable[NamedPath] = (), outputs: Iterable[NamedPath] = ()
) -> None:
    """Refuse outputs that would destroy a source, each other, or a file that may not be replaced.

    Args:
        config: The graph; `overwrite` says what may be replaced.
        inputs: What else is read, such as the pipeline's own file.
        outputs: What else is written, such as a report.
    Raises:
        ConfigError: See `ssa_stream.outputs.check_outputs`.
        SinkError: Likewise.
    """
    check_outputs(
        [*_outputs(config), *outputs],
        [*_inputs(config), *inputs],
        overwrite=config.overwrite,
        ways="--overwrite, or overwrite: true in the pipeline",
    )


def _outputs(config: PipelineConfig) -> Iterator[NamedPath]:
    for name, stream in config.streams.items():
        yield from sink_files(f"output of stream {name}", stream.outputs)


def _inputs(config: PipelineConfig) -> Iterator[NamedPath]:
    for name, stream in config.streams.items():
        yield NamedPath(f"source of stream {name}", stream.source)
    for what, path in (("model.checkpoint", config.model.checkpoint), ("model.name", config.model.name)):
        if path is not None and os.path.isfile(path):  # False for a name that no file can have
            yield NamedPath(what, path)
