"""What links within a process and between processes have in common: addresses, inlets, and an end for all of them."""

from abc import ABC, abstractmethod

import zmq
import zmq.asyncio

from ssa_stream.nodes.runtime.clock import Clock, MonotonicClock
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.transport.interface import CONTROL_LINK, PUBLISH_LINK, Outlet
from ssa_stream.nodes.runtime.transport.links import LinkInlet, LinkMaskOutlet, connect, listen
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage

__all__ = ["LinkTransport"]


class LinkTransport(ABC):
    """Links of nodes by push and pull sockets.

    Args:
        context: Of all its sockets.
        clock: Of the times when messages come.
    """

    def __init__(self, context: zmq.asyncio.Context, clock: Clock | None) -> None:
        self.context = context
        self._clock = clock or MonotonicClock()
        self._links: list[LinkInlet | LinkMaskOutlet | Outlet] = []

    @abstractmethod
    def link_address(self, name: str) -> str:
        """Address of the socket that a node, `CONTROL_LINK` or `PUBLISH_LINK` binds."""

    @abstractmethod
    def _read(self, frames: list[zmq.Frame], received_ns: int) -> ReceivedMessage | None:
        """What came; None for a type that only a later version knows."""

    @property
    def control_address(self) -> str:
        """Where the broker listens to nodes."""
        return self.link_address(CONTROL_LINK)

    @property
    def publish_address(self) -> str:
        """Where the broker listens to masks nodes."""
        return self.link_address(PUBLISH_LINK)

    def inlet(self, name: str, *, metrics: NodeMetrics | None = None) -> LinkInlet:
        """Where messages to the node of this name arrive.

        Raises:
            TransportError: Its address cannot be used.
        """
        address = self.link_address(name)
        inlet = LinkInlet(listen(self.context, address), address, self._read, self._clock, metrics)
        self._links.append(inlet)
        return inlet

    def mask_outlet(self) -> LinkMaskOutlet:
        """The link to the broker for masks."""
        outlet = LinkMaskOutlet(connect(self.context, [self.publish_address]))
        self._links.append(outlet)
        return outlet

    def close(self) -> None:
        """Close all links. May be called again."""
        for link in self._links:
            link.close()
