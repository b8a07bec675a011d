"""What the loops of all nodes that take messages have in common."""

from collections.abc import Iterable
from typing import Protocol

import msgspec

from ssa_stream.nodes.runtime.node import NodeContext
from ssa_stream.nodes.runtime.transport.interface import Inlet
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage
from ssa_stream.protocols import FrameWork, StageTime

__all__ = ["OrderedWork", "serve_in_order", "stage_time", "with_time"]

_POLL_S = 0.1
"""How long a node may take to notice that it shall end."""


class OrderedWork(Protocol):
    """The work of a node whose frames wait for others."""

    def deadlines_ns(self) -> Iterable[int | None]:
        """When waits end; None where nothing is waited for."""

    async def take(self, received: ReceivedMessage) -> None:
        """Take what came."""

    async def advance(self) -> None:
        """Do what became possible, or is due."""


async def serve_in_order(node: NodeContext, inlet: Inlet, work: OrderedWork, *, at_once: int = 1) -> None:
    """Take messages as they come, and advance after each and at every deadline, until the node shall end.

    Args:
        node: The node; ready now.
        inlet: Where messages come.
        work: Takes them.
        at_once: Most messages that are taken before it advances, if they have come already.
    """
    node.broker.mark_ready()
    while not node.stop.is_set():
        now_ns = node.awake.monotonic_ns()
        waits_s = [(deadline_ns - now_ns) / 1e9 for deadline_ns in work.deadlines_ns() if deadline_ns is not None]
        received = await inlet.receive(max(0.0, min([_POLL_S, *waits_s])))
        for left in reversed(range(at_once)):
            if received is None:
                break
            with received, node.metrics.working():
                await work.take(received)
            received = await inlet.receive(0.0) if left else None
        await work.advance()


def stage_time(node: NodeContext, received_ns: int, begin_ns: int) -> StageTime:
    """The work on a frame that ends now."""
    end_ns = node.clock.monotonic_ns()
    return StageTime(
        role=node.role,
        node=node.name,
        clock=node.clock.name,
        received_ns=received_ns,
        begin_ns=begin_ns,
        end_ns=end_ns,
    )


def with_time(node: NodeContext, work: FrameWork, received_ns: int, begin_ns: int) -> FrameWork:
    """The work with the time of this stage, which ends now; its duration is counted."""
    stage = stage_time(node, received_ns, begin_ns)
    node.metrics.latency(node.role, (stage.end_ns - begin_ns) / 1e6, work.frame.stream)
    return msgspec.structs.replace(work, times=(*work.times, stage))
