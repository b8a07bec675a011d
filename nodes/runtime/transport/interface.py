"""The links as a node sees them, whether its peers are in the same process or not."""

from collections.abc import Sequence
from typing import Protocol

import zmq.asyncio

from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage
from ssa_stream.protocols import AnyMessage

__all__ = ["CONTROL_LINK", "PUBLISH_LINK", "Inlet", "MaskOutlet", "Outlet", "Transport"]

CONTROL_LINK, PUBLISH_LINK = "control", "publish"
"""Names of the broker's two private sockets: requests and heartbeats, and masks with what is finished after them."""


class Inlet(Protocol):
    """Where messages to a node arrive. One task reads it."""

    async def receive(self, timeout_s: float) -> ReceivedMessage | None:
        """The next message; None if none came in time. What cannot be read is counted, logged and passed over."""

    def close(self) -> None:
        """Stop listening. What has come and was not taken is lost. May be called again."""


class Outlet(Protocol):
    """A link to one or several nodes that share work: each message goes to one of them."""

    async def send(
        self, message: AnyMessage, payload: OutgoingPayload | None = None, *, timeout_s: float = 5.0
    ) -> bool:
        """Send a message with its tensors, in the order of calls.

        Args:
            message: Names the tensors of the payload, each once.
            payload: Not to be written to afterwards.
            timeout_s: How long to wait for a receiver, and for memory that receivers give back.
        Returns:
            Whether it is on its way. False: nobody took it in time.
        Raises:
            MessageError: Message and payload do not fit, or no reader would take them.
        """

    def close(self) -> None:
        """Take the link down at once. May be called again."""


class MaskOutlet(Protocol):
    """The link to the broker for what is to be published, and for what must not overtake it.

    Attributes:
        dropped: Messages that the broker did not take in time.
    """

    dropped: int

    async def publish(self, parts: Sequence[bytes | memoryview]) -> bool:
        """Send the parts of a message, as `encode` makes them, in the order of calls; without a topic, to the broker.

        Returns:
            Whether it is on its way; False, and counted, if the broker did not take it within a second.
        """

    def close(self) -> None:
        """Take the link down at once. May be called again."""


class Transport(Protocol):
    """Makes the links of a node."""

    @property
    def context(self) -> zmq.asyncio.Context:
        """For the sockets of the control plane."""

    def link_address(self, name: str) -> str:
        """Address of the socket that a node, `CONTROL_LINK` or `PUBLISH_LINK` binds."""

    @property
    def control_address(self) -> str:
        """Where the broker listens to nodes."""

    @property
    def publish_address(self) -> str:
        """Where the broker listens to masks nodes."""

    def inlet(self, name: str, *, metrics: NodeMetrics | None = None) -> Inlet:
        """Where messages to the node of this name arrive; messages that cannot be read are counted in `metrics`."""

    def outlet(self, names: Sequence[str]) -> Outlet:
        """A link to these nodes; they need not be there yet."""

    def mask_outlet(self) -> MaskOutlet:
        """The link to the broker for masks."""

    def close(self) -> None:
        """Close all links and give back all memory. May be called again."""
