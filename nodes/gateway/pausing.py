"""Made-up scenes run only while somebody watches: they cost as much as a camera and nobody misses a frame of them."""

import asyncio

from ssa_stream.errors import TransportError
from ssa_stream.nodes.gateway.streams import StreamDesk
from ssa_stream.protocols import ErrorReply, SourceRequest

__all__ = ["run_while_watched"]

_LINGER_S = 3.0
_RETRY_S = 0.5


async def run_while_watched(desk: StreamDesk, linger_s: float = _LINGER_S) -> None:
    """Stop the source of a stream when nobody uses it, start it when somebody does; until cancelled.

    Args:
        desk: The stream.
        linger_s: How long it goes on after the last one left.
    """
    is_running = True  # so it was begun
    while True:
        desk.users_changed.clear()
        is_wanted = desk.users > 0
        if is_running and not is_wanted:
            await _wait(desk.users_changed, linger_s)
            if desk.users:
                continue
        if is_running != is_wanted:
            if not await _order(desk, start=is_wanted):
                await asyncio.sleep(_RETRY_S)  # the graph may not be ready yet
                continue
            is_running = is_wanted
        await desk.users_changed.wait()


async def _order(desk: StreamDesk, *, start: bool) -> bool:
    """Whether the graph did it."""
    try:
        answer = await desk.ask(SourceRequest(request_id="", stream=desk.name, action="start" if start else "stop"))
    except TransportError:
        return False
    return not isinstance(answer, ErrorReply)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
