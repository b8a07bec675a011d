"""The public socket that everything is published on."""

import asyncio
from collections.abc import Iterator, Sequence

import zmq
import zmq.asyncio

from ssa_stream.keys import ServerKeys
from ssa_stream.nodes.broker.connection import Client, Door
from ssa_stream.nodes.broker.connections import Connections
from ssa_stream.nodes.broker.counters import Counters
from ssa_stream.nodes.broker.sockets import PUBLIC_OPTIONS, bound_socket, receive
from ssa_stream.nodes.runtime.transport.socket_files import SocketFile
from ssa_stream.protocols import AnyMessage, Buffer, Topic, encode

__all__ = ["LastValueCache", "Publisher"]

_Key = tuple[bytes, str]
Parts = Sequence[bytes]


class LastValueCache:
    """Keeps the last message of every type on every topic.

    Who keeps values decides what topics there are; nothing here bounds them.
    """

    def __init__(self) -> None:
        self._values: dict[_Key, Parts] = {}

    def keep(self, topic: bytes, message_type: str, parts: Parts) -> None:
        """Replace the value of a topic and type."""
        self._values[topic, message_type] = parts

    def keys(self, prefix: bytes) -> Iterator[_Key]:
        """Which values a subscription asks for, in the order in which their topics were first seen."""
        return (key for key in self._values if key[0].startswith(prefix))

    def get(self, key: _Key) -> Parts | None:
        """The parts of a value; None if there is none."""
        return self._values.get(key)


QUEUED_MESSAGES = 100
"""For each subscriber; one that is slower loses the newest ones, and slows nobody."""
LINGER_MS = 200
REPLAY_PACE_S = 0.02
"""Late subscribers that come within this time are told together."""
MAX_SUBSCRIBER_BYTES = 1024
"""Of one message; handshakes are the longest."""
QUEUED_SUBSCRIPTIONS = 16
"""For each subscriber. libzmq takes so many into its tree before anybody can look at them."""
_BYTES_HZ, _BYTES_BURST = 64.0 * 1024, 512.0 * 1024


class Publisher:
    """Publishes, and tells late subscribers the newest states.

    A socket sends to everybody who subscribed to a topic, so those who are there already get such a state again.
    libzmq can send to the newcomer alone (`ZMQ_XPUB_MANUAL_LAST_VALUE`), but only one message for each subscription,
    and if there is none to send, then the next message of all, a mask perhaps, goes to the newcomer alone.

    Who subscribes in a loop is told states once a second: they go to everybody, so that nobody else gets much more for
    it. What it may subscribe to, `Connections` decides.

    Attributes:
        address: Where it was bound.
        files: Of the socket.
    """

    def __init__(
        self,
        context: zmq.asyncio.Context,
        address: str,
        connections: Connections,
        counters: Counters,
        keys: ServerKeys | None = None,
    ) -> None:
        """Bind the socket.

        Args:
            context: For the socket.
            address: Where subscribers connect.
            connections: Watches them.
            counters: Counts.
            keys: Who may connect; None: everybody who reaches it.
        """
        options = {
            **PUBLIC_OPTIONS,
            zmq.XPUB_VERBOSER: 1,
            zmq.SNDHWM: QUEUED_MESSAGES,
            zmq.RCVHWM: QUEUED_SUBSCRIPTIONS,
            zmq.MAXMSGSIZE: MAX_SUBSCRIBER_BYTES,
            zmq.LINGER: LINGER_MS,
        }
        doors: list[Door] = []

        def watch(socket: zmq.asyncio.Socket) -> None:
            doors.append(connections.open_door(socket, "publish", bytes_hz=_BYTES_HZ, bytes_burst=_BYTES_BURST))

        self._socket, self.address = bound_socket(context, zmq.XPUB, address, options, keys, prepare=watch)
        self.files = [SocketFile(self._socket.bind, address)]
        (self._door,) = doors
        self._connections = connections
        self._counters = counters
        self._values = LastValueCache()
        self._due: dict[Client, dict[_Key, None]] = {}
        self._has_due = asyncio.Event()

    async def publish(self, topic: Topic, message: AnyMessage) -> None:
        """Publish something that happened."""
        await self.forward(encode(message, topic=topic))

    async def publish_state(self, topic: Topic, message_type: str, header: Buffer) -> None:
        """Publish a state and keep it for late subscribers.

        Args:
            topic: Where.
            message_type: States of other types on the same topic are kept beside it.
            header: The encoded message.
        """
        name = topic.encode()
        parts = (name, bytes(header))
        self._values.keep(name, message_type, parts)
        for due in self._due.values():
            due.pop((name, message_type), None)
        await self.forward(parts)

    async def forward(self, parts: Sequence[object]) -> None:
        """Publish parts as they are; the first one is the topic."""
        await self._socket.send_multipart(parts, copy=False)

    async def follow_subscriptions(self) -> None:
        """Note who subscribes. Runs until it is cancelled."""
        while True:
            (frame, *rest) = await receive(self._socket)
            connection = self._connections.heard(self._door, frame)
            if connection is None or connection.client is None:
                continue
            kind, prefix = frame.bytes[:1], frame.bytes[1:]
            if rest or kind not in (b"\x00", b"\x01"):
                self._connections.refuse(connection, "subscriptions_refused", "it sent what is no subscription")
            elif kind == b"\x00":
                self._connections.unsubscribe(connection, prefix)
            elif self._connections.subscribe(connection, prefix):
                self._counters["replays_put_off"] += connection.client.replays.left() < 1
                self._due.setdefault(connection.client, {}).update(dict.fromkeys(self._values.keys(prefix)))
                self._has_due.set()

    async def replay(self) -> None:
        """Tell states to late subscribers. Runs until it is cancelled."""
        while True:
            await self._has_due.wait()
            await asyncio.sleep(REPLAY_PACE_S)
            self._has_due.clear()
            now = [client for client, due in self._due.items() if not due or client.replays.take()]
            for key in {key: None for client in now for key in self._due.pop(client)}:
                parts = self._values.get(key)
                if parts is not None:
                    await self.forward(parts)
            if self._due:  # of those who ask too often; they have to wait
                self._has_due.set()

    def close(self) -> None:
        """Close the socket; what is queued is still sent for a moment."""
        self._socket.close()
