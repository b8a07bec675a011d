"""The gateway says to control how it fares, as nodes of the graph do."""

import asyncio

import structlog
import zmq.asyncio

from ssa_stream.errors import TransportError
from ssa_stream.nodes.gateway.settings import ControlAccess
from ssa_stream.nodes.pipeline import GATEWAY, role_of
from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.nodes.runtime.hub_link import HubLink, LinkTimes
from ssa_stream.nodes.runtime.metrics import NodeMetrics

__all__ = ["report"]

_AGAIN_S = 1.0
_LOG = structlog.get_logger()


async def report(control: ControlAccess, metrics: NodeMetrics, incarnation: int, clock: Clock) -> None:
    """Send heartbeats and statistics until cancelled.

    Unlike a node of the graph the gateway does not end when control is silent: its peers keep what they have, and it
    says hello again.
    """
    times = LinkTimes(heartbeat_s=control.heartbeat_s, heartbeat_timeout_s=control.heartbeat_timeout_s)
    context = zmq.asyncio.Context()
    try:
        while True:
            is_lost = asyncio.Event()
            link = HubLink(
                context, control.address, metrics, name=GATEWAY, role=role_of(GATEWAY),
                incarnation=incarnation, clock=clock, stop=is_lost, times=times,
            )  # fmt: skip
            try:
                async with link:
                    link.mark_ready()
                    await is_lost.wait()
            except TransportError as error:
                _LOG.warning("control is not told how the gateway fares", error=str(error))
            await asyncio.sleep(_AGAIN_S)
    finally:
        context.destroy()
