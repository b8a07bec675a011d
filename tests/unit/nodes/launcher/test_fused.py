"""A graph in one process that is stopped while its only thread is busy for long."""

import asyncio
import threading
from functools import partial
from typing import Any, NoReturn

import pytest

from ssa_stream.nodes.launcher import Graph, fused
from ssa_stream.nodes.pipeline import PipelineConfig

_PATIENCE_S = 30.0


class _Block:
    """Something that takes until `go_on`, in a thread; `begun` is set in the event loop."""

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), threading.Event()
        self.calls = 0
        self._loop = asyncio.get_running_loop()

    def __call__(self, *_: object) -> NoReturn:
        self.calls += 1
        self._loop.call_soon_threadsafe(self.begun.set)
        self.go_on.wait(2 * _PATIENCE_S)
        raise RuntimeError("nobody waits for this any more")


@pytest.fixture
async def block() -> Any:
    """Lets it go on at the end."""
    block = _Block()
    yield block
    block.go_on.set()


def _graph(**options: Any) -> Graph:
    plain = {
        "name": "fused",
        "placement": "fused",
        "model": {"name": "ssa-tiny", "random_weights": True, "device": "cpu"},
        "streams": {"cam0": {"source": "synthetic@64x48,30fps", "prompts": ["x"]}},
    }
    return Graph(PipelineConfig.from_mapping(plain), **options)


async def _expect_end_meanwhile(graph: Graph, block: _Block) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(graph.run(stop))
    await asyncio.wait([running, begun := asyncio.ensure_future(block.begun.wait())], return_when="FIRST_COMPLETED")
    assert begun.done(), running
    stop.set()
    report = await asyncio.wait_for(running, _PATIENCE_S)
    assert report.is_interrupted
    assert not block.go_on.is_set()
    assert block.calls == 1


async def test_stop_does_not_wait_for_the_network(block: _Block) -> None:
    """Loading cannot be interrupted; its thread is left behind."""
    await _expect_end_meanwhile(_graph(load_model=block), block)


async def test_stop_does_not_wait_for_imports(block: _Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor are those of other roles begun."""
    monkeypatch.setattr(fused, "FusedPlacement", partial(fused.FusedPlacement, run_of=block))
    await _expect_end_meanwhile(_graph(), block)
