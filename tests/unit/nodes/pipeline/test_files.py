"""What a graph reads and writes is checked before it starts."""

from pathlib import Path
from typing import Any

import pytest

from ssa_stream.errors import ConfigError
from ssa_stream.nodes.pipeline import PipelineConfig, check_pipeline_files
from ssa_stream.outputs import NamedPath


def _config(*outputs: str, **values: Any) -> PipelineConfig:
    streams = {"a": {"source": "in.mp4", "outputs": outputs[:1]}, "b": {"source": "0", "outputs": outputs[1:]}}
    return PipelineConfig.from_mapping({"streams": streams, "overwrite": True} | values)


@pytest.mark.parametrize(
    ("outputs", "values", "said"),
    [
        (["in.mp4"], {}, r"in\.mp4 \(output of stream a\) is in\.mp4 \(source of stream a\)"),
        (["x.mp4", "./in.mp4"], {}, r"\./in\.mp4 \(output of stream b\) is in\.mp4 \(source of stream a\)"),
        (["x.mp4", "./x.mp4"], {}, "are one file"),
        (["jsonl:net.safetensors"], {"model": {"checkpoint": "net.safetensors"}}, r"\(model\.checkpoint\)"),
        (["jsonl:net.yaml"], {"model": {"name": "net.yaml", "random_weights": True}}, r"\(model\.name\)"),
        (["jsonl:p.yaml"], {}, r"p\.yaml \(the pipeline\)"),
        (["r.jsonl"], {}, r"r\.jsonl \(--json\) and r\.jsonl \(output of stream a\) are one file"),
        (["old.mp4"], {"overwrite": False}, "exists already.*overwrite: true in the pipeline"),
    ],
)
def test_output_that_would_destroy_something_is_refused(
    outputs: list[str], values: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sources, weights and settings of the graph, other outputs, and what a command reads and writes beside it."""
    monkeypatch.chdir(tmp_path)
    for name in ("in.mp4", "net.safetensors", "net.yaml", "p.yaml", "old.mp4"):
        Path(name).touch()
    beside = {"inputs": [NamedPath("the pipeline", "p.yaml")], "outputs": [NamedPath("--json", "r.jsonl")]}
    with pytest.raises(ConfigError, match=said):
        check_pipeline_files(_config(*outputs, **values), **beside)
    check_pipeline_files(_config("fine.mp4", "-"), **beside)
