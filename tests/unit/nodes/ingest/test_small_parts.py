"""Measured rates, sizes at the network, waiting for changes."""

import asyncio
from pathlib import Path

import pytest

from ssa_stream.errors import CheckpointError, ConfigError
from ssa_stream.nodes.ingest.change_condition import ChangeCondition
from ssa_stream.nodes.ingest.picture import network_edges
from ssa_stream.nodes.ingest.stream import RateMeter
from ssa_stream.nodes.pipeline import PipelineConfig

SECOND = 1_000_000_000


def test_rate_counts_overtaken_frames() -> None:
    """It is that of the source, not of the model."""
    rate = RateMeter(3)
    assert rate.rate_hz is None
    rate.saw(1, 0)
    assert rate.rate_hz is None
    rate.saw(4, SECOND)
    assert rate.rate_hz == 3.0


def test_rate_is_of_the_last_frames_only() -> None:
    """A stream that has become slow is slow."""
    rate = RateMeter(2)
    for count, at_s in ((1, 0), (101, 1), (102, 2), (103, 3)):
        rate.saw(count, at_s * SECOND)
    assert rate.rate_hz == 1.0
    rate.reset()
    assert rate.rate_hz is None


def test_rate_of_frames_at_one_moment_is_not_known() -> None:
    """Rather than infinite."""
    rate = RateMeter()
    rate.saw(1, 5)
    rate.saw(2, 5)
    assert rate.rate_hz is None


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


async def test_waiting_ends_when_it_is_so_and_not_at_other_changes() -> None:
    """Each who waits looks for himself."""
    condition, came = ChangeCondition(), list[str]()
    waiting = asyncio.create_task(condition.until(lambda: "letter" in came))
    for what in ("bill", "letter"):
        await asyncio.sleep(0)
        assert not waiting.done()
        came.append(what)
        condition.notify()
    assert await waiting


async def test_waiting_with_a_limit_says_whether_it_came_true() -> None:
    """It may have come true at the last moment."""
    condition = ChangeCondition()
    assert not await condition.until(lambda: False, timeout_s=0.001)
    assert await condition.until(lambda: True, timeout_s=0.001)
    await condition.wait(0.001)
