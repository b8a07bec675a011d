"""What the loops of all nodes that take messages have in common."""

from collections.abc import AsyncIterator

import msgspec

from ssa_stream.nodes.runtime.node import NodeContext
from ssa_stream.nodes.runtime.transport.interface import Inlet
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage
from ssa_stream.protocols import FrameWork, StageTime

__all__ = ["POLL_S", "received_messages", "stage_time", "with_time"]

POLL_S = 0.1
"""How long a node may take to notice that it shall end."""


async def received_messages(node: NodeContext, inlet: Inlet) -> AsyncIterator[ReceivedMessage]:
    """Messages as they come, until the node shall end. Each is a step, and is released after it."""
    while not node.stop.is_set():
        if (received := await inlet.receive(POLL_S)) is not None:
            with received, node.metrics.working():
                yield received


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
