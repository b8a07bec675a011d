"""Whether what a pipeline writes can be written, found out without writing anything."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ssa_stream.errors import SsaStreamError
from ssa_stream.outputs import local_path

if TYPE_CHECKING:
    from ssa_stream.nodes.pipeline import PipelineConfig

__all__ = ["free_space", "outputs_problem"]


def outputs_problem(config: "PipelineConfig") -> str:
    """Why outputs of a pipeline cannot be written, or would destroy a file; empty if they can be.

    Args:
        config: Not running.
    """
    from ssa_stream.nodes.pipeline import check_pipeline_files

    try:
        check_pipeline_files(config)
    except SsaStreamError as error:
        return str(error)
    found = []
    for name, file in _files(config):
        if not os.access(file.parent, os.W_OK | os.X_OK):
            found.append(f"output of stream {name}: this user may not write into {file.parent}")
    states = config.decoder.checkpoint
    if states is not None and not os.access(_nearest(Path(states)), os.W_OK | os.X_OK):
        found.append(f"decoder.checkpoint: this user may not write into {_nearest(Path(states))}")
    return "; ".join(found)


def free_space(config: "PipelineConfig") -> dict[str, int]:
    """Free bytes where a pipeline writes, by folder."""
    folders = {_nearest(file.parent) for _, file in _files(config)}
    if config.decoder.checkpoint is not None:
        folders.add(_nearest(Path(config.decoder.checkpoint)))
    return {str(folder): shutil.disk_usage(folder).free for folder in sorted(folders)}


def _files(config: "PipelineConfig") -> Iterator[tuple[str, Path]]:
    """Outputs that are files, with the names of their streams."""
    for name, stream in config.streams.items():
        for spec in stream.outputs:
            path = local_path(spec)
            if path is not None:
                yield name, Path(path).absolute()


def _nearest(folder: Path) -> Path:
    """A folder, or the nearest one above it that is there."""
    return next(one for one in (folder.absolute(), *folder.absolute().parents) if one.is_dir())
