"""When the source of a stream runs."""

import asyncio
from typing import Any

from ssa_stream.nodes.gateway.graph_link import Answer
from ssa_stream.nodes.gateway.server import run_while_watched
from ssa_stream.protocols import Accepted, SourceRequest


class _Desk:
    """A stream whose orders are kept."""

    name = "scene"

    def __init__(self) -> None:
        self.users = 0
        self.users_changed = asyncio.Event()
        self.orders: asyncio.Queue[str] = asyncio.Queue()

    async def ask(self, request: SourceRequest) -> Answer:
        """Keep the order; the first one comes too early."""
        await self.orders.put(request.action)
        return Accepted(request_id="x", stream="scene", epoch=0)


async def test_scene_runs_only_while_somebody_watches() -> None:
    """Stopped when nobody is there, started for the first one, and not stopped for one who comes back at once."""
    handler: Any = _Desk()
    running = asyncio.create_task(run_while_watched(handler, linger_s=0.05))
    assert await handler.orders.get() == "stop"
    handler.users = 1
    handler.users_changed.set()
    assert await handler.orders.get() == "start"
    handler.users = 0
    handler.users_changed.set()
    await asyncio.sleep(0)
    handler.users = 1
    handler.users_changed.set()
    handler.users = 0
    handler.users_changed.set()
    assert await handler.orders.get() == "stop"
    assert handler.orders.empty()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
