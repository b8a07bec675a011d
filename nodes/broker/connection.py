"""What is known of one connection to a public socket, and of the client whose it is."""

from collections.abc import Callable
from dataclasses import dataclass, field

import zmq.asyncio

from ssa_stream.nodes.broker.allowance import Allowance
from ssa_stream.nodes.broker.connection_view import Ends
from ssa_stream.nodes.pipeline import ClientsSection

__all__ = ["OF_CLIENT", "Client", "Connection", "Door"]

OF_CLIENT = 4
"""All connections of a client may have so many times what one may."""
REPLAYS_HZ, REPLAYS_BURST = 1.0, 10.0
"""How often one client is told all states."""


@dataclass(frozen=True, slots=True)
class Door:
    """A public socket.

    Attributes:
        name: For people.
        monitor: Tells who comes and goes.
        bytes_hz: How much one connection may send in a second, over a longer time.
        bytes_burst: How much at once.
    """

    name: str
    monitor: zmq.asyncio.Socket
    bytes_hz: float
    bytes_burst: float


class Client:
    """All connections with one key; without keys, those from one address."""

    def __init__(self, name: str, limits: ClientsSection, now_s: Callable[[], float]) -> None:
        self.name = name
        self.requests = Allowance(OF_CLIENT * limits.request_rate_hz, float(OF_CLIENT * limits.request_burst), now_s)
        self.replays = Allowance(REPLAYS_HZ, REPLAYS_BURST, now_s)
        self.subscriptions = 0
        self.waiting = 0
        self.connections = 0


@dataclass(slots=True, eq=False)
class Connection:
    """One connection to a public socket.

    Attributes:
        descriptor: Of this process.
        door: The socket.
        ends: Both addresses; None if they are not known.
        since_s: When it came.
        requests: How many requests it may make.
        refusals: How many of those beyond are answered; a flood is not worth its answers.
        changes: How often it may subscribe, or end that.
        received: How many bytes it may send.
        received_before: Bytes that it had sent when they were counted last.
        client: Whose it is; None until it has said something.
        waiting: How many of its requests wait for their node.
        subscriptions: To what it is subscribed.
        is_told: Whether libzmq has told that it came; messages may be quicker.
        is_gone: Whether it has ended.
        is_refused: Whether it was closed here; what still comes of it counts for nothing.
    """

    descriptor: int
    door: Door
    ends: Ends | None
    since_s: float
    requests: Allowance
    refusals: Allowance
    changes: Allowance
    received: Allowance
    received_before: int = 0
    client: Client | None = None
    waiting: int = 0
    subscriptions: set[bytes] = field(default_factory=set)
    is_told: bool = False
    is_gone: bool = False
    is_refused: bool = False

    @property
    def name(self) -> str:
        """Whose it is, for people."""
        return "somebody" if self.client is None else self.client.name
