"""A live source that is too much for its graph, and then gives nothing more."""

import asyncio
import re
import time

import aiohttp
import pytest
import zmq
import zmq.asyncio
from torch import Tensor

from ssa_stream import overload
from ssa_stream.cli.views.graph_view import _figures
from ssa_stream.model import SSA
from ssa_stream.nodes.health.server import HttpAddress, serve_health
from ssa_stream.nodes.launcher import Graph
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.protocols import Event, EventKind, SourceRequest, SourceState, StreamLoad, encode
from tests.support.graphs import Watched, watched
from tests.support.tiny_model import tiny_model
from tests.support.waiting import until

pytestmark = pytest.mark.e2e

_STEP_S = 0.15


def _slow_model() -> SSA:
    """A network whose encoder takes its time."""
    model = tiny_model()
    encode_stem = model.encode_stem

    def slowly(images: Tensor) -> Tensor:
        """Wait, then encode."""
        time.sleep(_STEP_S)
        return encode_stem(images)

    model.encode_stem = slowly  # type: ignore[method-assign]  # the point of the test
    return model


def _graph() -> Graph:
    """Twenty pictures a second for an encoder that can do six."""
    return Graph(
        PipelineConfig.from_mapping(
            {
                "model": {"random_weights": True, "device": "cpu", "threads": 1},
                "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"},
                "streams": {"cam0": {"source": "synthetic@64x48,20fps", "live": True, "prompts": ["a dog"]}},
            }
        ),
        keep=True,
        load_model=_slow_model,
    )


async def _stop_source(graph: Graph) -> None:
    """Ask for the end of the source."""
    with zmq.asyncio.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.connect(graph.requests_address)
        await socket.send_multipart(encode(SourceRequest(request_id="1", stream="cam0", action="stop")))
        await asyncio.wait_for(socket.recv_multipart(), 30)


async def _metrics(url: str) -> dict[str, float]:
    """What a monitor reads of the stream and the encoder, by name."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as response:
        found = re.findall(
            r'^ssa_stream_(\w+)\{(?:stream="cam0"|node="encoder-0")\} (\S+)$', await response.text(), re.M
        )
    return {name: float(value) for name, value in found}


def _events(seen: Watched, kind: EventKind) -> list[Event]:
    """Events of a kind so far."""
    return [event for event in seen.listener.messages(Event) if event.kind == kind]


async def test_overload_is_told_everywhere_and_ends_with_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the stage that is too slow; afterwards all rates are 0 and the latency is a dash."""
    monkeypatch.setattr(overload, "_HOLD_NS", 10**9)  # five seconds otherwise
    graph = _graph()
    async with watched(graph) as seen, serve_health(HttpAddress("127.0.0.1", 0), graph) as url:
        await until(lambda: bool(_events(seen, EventKind.OVERLOAD)))
        (begun,) = _events(seen, EventKind.OVERLOAD)
        assert begun.severity == "warning"
        assert re.match(r"overloaded: [\d.]+ pictures/s come, [\d.]+/s get masks; .*; what helps: ", begun.text)
        await until(lambda: any(load.stage == "encoder" for load in seen.listener.messages(StreamLoad)))
        await until(lambda: seen.listener.messages(StreamLoad)[-1].masks_hz > 0)
        figures = await _metrics(url)
        assert figures["overloaded"] == 1
        assert 0 < figures["masks_rate_hertz"] < figures["source_rate_hertz"]
        assert 0 < figures["node_busy_ratio"] <= 1
        assert "overloaded: cam0" in _figures(graph.report)
        health = graph.health()
        assert health is not None
        assert health.ready().ok
        assert health.to_mapping()["streams"]["cam0"]["overload"].startswith("overloaded: ")

        await _stop_source(graph)
        await until(lambda: bool(_events(seen, EventKind.OVERLOAD_ENDED)))
        await until(lambda: graph.report.recent_latency_ms is None)
        await until(lambda: seen.listener.messages(StreamLoad)[-1].masks_hz == 0)
        figures = await _metrics(url)
        assert [figures[name] for name in ("overloaded", "source_rate_hertz", "masks_rate_hertz")] == [0, 0, 0]
        assert seen.listener.messages(SourceState)[-1].rate_hz is None
        assert re.search(r" 0\.0 fps  latency -  dropped \d+$", _figures(graph.report))
