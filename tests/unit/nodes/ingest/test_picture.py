"""Pictures as the network gets them."""

from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.errors import CheckpointError, ConfigError
from ssa_stream.nodes.ingest.picture import Picture, network_edges, prepare
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.sources import Frame


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


def _prepared(image: NDArray[np.uint8], pixel_aspect: Fraction = Fraction(1)) -> Picture:
    frame = Frame(image, 0, 0, 0.0, 0, pixel_aspect=pixel_aspect)
    return prepare(frame, (32, 256), lambda: 0)


def test_picture_has_square_pixels_and_tells_those_of_the_source() -> None:
    """On the wire only where they are not square."""
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    wide, square = _prepared(image, Fraction(2)), _prepared(image)
    assert (wide.image.shape, square.image.shape) == ((32, 64, 3), (32, 32, 3))
    assert (wide.sizes.source, wide.sizes.network, wide.sizes.pixel_aspect) == ((32, 32), (32, 64), (2, 1))
    assert (wide.sizes.source_pixel_aspect, square.sizes.source_pixel_aspect) == (Fraction(2), Fraction(1))
    assert "pixel_aspect" not in msgspec.to_builtins(square.sizes)


def test_picture_that_shows_nothing_is_blank() -> None:
    """As a session judges it."""
    assert _prepared(np.zeros((48, 64, 3), dtype=np.uint8)).is_blank
    assert not _prepared(np.tile(np.arange(64, dtype=np.uint8)[:, None], (48, 1, 3))).is_blank
