"""Watches a graph through what it publishes, as any subscriber could."""

import asyncio
from collections.abc import Collection

import zmq.asyncio

from ssa_stream.client.graph_state import GraphState
from ssa_stream.client.sockets import connect, subscriber_socket
from ssa_stream.errors import MessageError
from ssa_stream.keys import ClientKeys
from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.nodes.runtime.transport.links import pull
from ssa_stream.protocols import Limits, decode, subscription

__all__ = ["Observer"]

_LIMITS = Limits()
_QUEUED_MESSAGES = 10_000
"""Figures, not masks, are what it is for: it may fall behind for a while."""
_TICK_S = 0.25
_QUIET_S, _DRAIN_S = 0.05, 0.5


class Observer:
    """Subscribes to everything that a graph publishes.

    Args:
        context: Of its socket.
        address: Where the graph publishes.
        streams: Names of all streams.
        clock: Tells when something came.
        keys: With what it connects; None where everybody may.

    Attributes:
        state: What was seen.
        finished: Set once the sources of all streams have ended.
    """

    def __init__(
        self,
        context: zmq.asyncio.Context,
        address: str,
        streams: Collection[str],
        clock: Clock,
        keys: ClientKeys | None = None,
    ) -> None:
        self.state = GraphState(clock.monotonic_ns())
        self.finished = asyncio.Event()
        self._streams = streams
        self._clock = clock
        self._socket: zmq.asyncio.Socket = subscriber_socket(
            context, address, [subscription()], keys, queued_messages=_QUEUED_MESSAGES
        )
        connect(self._socket, address)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self._read(_TICK_S)
            if self.state.has_ended(self._streams):
                self.finished.set()
            else:
                self.finished.clear()

    async def drain(self) -> None:
        """Read what is still on its way; not beside `run`."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                while await self._read(_QUIET_S):
                    pass
        except TimeoutError:
            pass

    def close(self) -> None:
        """Unsubscribe."""
        self._socket.close(linger=0)

    async def _read(self, timeout_s: float) -> bool:
        frames = await pull(self._socket, timeout_s)
        if frames is None:
            return False
        try:
            self.state.take(decode(frames, _LIMITS).message, self._clock.monotonic_ns())
        except MessageError:
            pass  # readers of masks check and report; here it is one frame less in the figures
        return True
