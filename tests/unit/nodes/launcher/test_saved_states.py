"""The folder in which a graph saves its states."""

import asyncio
from pathlib import Path

import pytest

from ssa_stream.errors import ConfigError, SinkError
from ssa_stream.files import only_writer
from ssa_stream.nodes.launcher import Graph
from ssa_stream.nodes.pipeline import PipelineConfig


def _graph(folder: Path) -> Graph:
    return Graph(
        PipelineConfig.from_mapping(
            {
                "name": "states",
                "streams": {"cam0": {"source": "synthetic", "prompts": ["x"]}},
                "decoder": {"checkpoint": str(folder)},
            }
        )
    )


async def test_folder_in_which_another_graph_saves_is_refused(tmp_path: Path) -> None:
    """Each would go on with what the other has seen."""
    with only_writer(tmp_path), pytest.raises(SinkError, match="another process is writing into"):
        await _graph(tmp_path).run(asyncio.Event())


async def test_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """At once, not with the first frame."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"decoder.checkpoint is .*, where nothing can be saved"):
        await _graph(tmp_path / "file").run(asyncio.Event())
