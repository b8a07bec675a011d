"""Sizes of pictures at the network."""

from pathlib import Path

import pytest

from ssa_stream.errors import CheckpointError, ConfigError
from ssa_stream.nodes.ingest.picture import network_edges
from ssa_stream.nodes.pipeline import PipelineConfig


def _pipeline(model: dict[str, object], **session: int) -> PipelineConfig:
    streams = {"cam0": {"source": "0"}}
    return PipelineConfig.from_mapping({"model": model, "session": session, "streams": streams})


def test_edges_are_those_of_the_session_where_it_names_them() -> None:
    """No model is looked at if it names both."""
    edges = _pipeline({"checkpoint": "missing.safetensors"}, short_edge_px=64, long_edge_px=128)
    assert network_edges(edges) == (64, 128)


def test_edges_are_those_of_the_model_where_the_session_names_none() -> None:
    """Its configuration is enough."""
    short, long = network_edges(_pipeline({"name": "ssa-large", "random_weights": True}, long_edge_px=900))
    assert (short, long) == (448, 900)


@pytest.mark.parametrize(
    ("model", "error"),
    [({"name": "ssa-unknown", "random_weights": True}, ConfigError), ({"checkpoint": "missing"}, CheckpointError)],
    ids=["configuration", "checkpoint"],
)
def test_missing_model_is_told(model: dict[str, object], error: type[Exception], tmp_path: Path) -> None:
    """Before any source is opened."""
    if "checkpoint" in model:
        model = {"checkpoint": str(tmp_path / "missing.safetensors")}
    with pytest.raises(error):
        network_edges(_pipeline(model))
