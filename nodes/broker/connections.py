"""The connections of the public sockets: who is there, how much each may take, and which are closed for it.

libzmq takes in everybody and bounds nothing: a silent connection stays until its handshake is late, subscriptions and
the parts of an unfinished message take memory without end. It does say on which connection a message came, by its file
descriptor, and which connections came and went. So this module keeps the books, and shuts down the connection itself;
libzmq then drops it with all that it holds of it.
"""

import asyncio
import struct
import time
from collections.abc import Callable
from itertools import islice
from typing import Final

import zmq
import zmq.asyncio

from ssa_stream.nodes.broker.allowance import Allowance
from ssa_stream.nodes.broker.connection import OF_CLIENT, Client, Connection, Door
from ssa_stream.nodes.broker.connection_view import ConnectionView, Ends
from ssa_stream.nodes.broker.counters import Counters
from ssa_stream.nodes.pipeline import ClientsSection
from ssa_stream.protocols import QueueDepth, is_subscription

__all__ = ["Connections"]

_EVENTS: Final = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
"""Not those of failures to accept: without descriptors they come without end."""
_FAILURES: Final = {
    int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL): "nothing came in time, or the other side ended it",
    int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL): "it was no ZeroMQ, or one with other keys or none",
    int(zmq.EVENT_HANDSHAKE_FAILED_AUTH): "its key is not allowed",
}
_EVENT = struct.Struct("=Hi")
_EVENTS_AT_ONCE = 64
_TICK_S = 0.1
_MAX_HANDSHAKING = 64
"""As many may be at their handshake; an old one of more is closed, so that another can always begin."""
_LOOKED_AT = 8
"""The oldest so many are looked at; the one that has sent least is closed."""
_OF_ALL = 32
"""All connections may have so many times the subscriptions that one may."""
_REFUSALS = 3
"""So many times `request_burst` are answered with an error beyond what may be asked."""
_CHANGES_HZ, _CHANGES_BURST = 50.0, 4.0
"""Subscribing and its opposite, of one connection: a second, and at once as a multiple of `subscriptions`."""
_SILENT_AFTER_S = 1.0
"""After the time for the handshake; who is there then is through with it."""


class Connections:
    """Keeps count of the connections of all public sockets together.

    When there are too many, one is closed that has not said anything: an old one of those at their handshake, else of
    those that are silent; if all others are in use, the newest. So strangers cannot keep a client out for long, nor
    drive out one that is in use.

    Args:
        context: For the monitors.
        limits: How much clients may take.
        room: How many connections there may be.
        counters: Counts.
        now_s: The time, monotonic.
        has_keys: Whether an authenticator names the clients.
    """

    def __init__(
        self,
        context: zmq.asyncio.Context,
        limits: ClientsSection,
        room: int,
        counters: Counters,
        now_s: Callable[[], float] = time.monotonic,
        *,
        has_keys: bool = False,
    ) -> None:
        self._context = context
        self._has_keys = has_keys
        self._limits = limits
        self._room = room
        self._counters = counters
        self._now_s = now_s
        self._doors: list[Door] = []
        self._view = ConnectionView()
        self._by_descriptor: dict[int, Connection] = {}  # refused ones, too, until they are gone
        self._handshaking: dict[Connection, None] = {}  # oldest first
        self._silent: dict[Connection, None] = {}  # through with it, or about to be closed by libzmq; oldest first
        self._heard: dict[Connection, None] = {}
        self._clients: dict[str, Client] = {}
        self._num_subscriptions = 0

    def __len__(self) -> int:
        return len(self._handshaking) + len(self._silent) + len(self._heard)

    @property
    def queues(self) -> tuple[QueueDepth, ...]:
        """How many there are, and how many there may be."""
        return (
            QueueDepth(name="connections", depth=len(self), capacity=self._room),
            QueueDepth(name="handshakes", depth=len(self._handshaking), capacity=self._max_handshaking),
            QueueDepth(name="subscriptions", depth=self._num_subscriptions, capacity=self._max_subscriptions),
        )

    def open_door(self, socket: zmq.asyncio.Socket, name: str, *, bytes_hz: float, bytes_burst: float) -> Door:
        """Watch a socket that is not bound yet.

        Args:
            socket: The socket.
            name: Of it, for people.
            bytes_hz: See `Door`.
            bytes_burst: See `Door`.
        """
        socket.setsockopt(zmq.HANDSHAKE_IVL, round(self._limits.handshake_s * 1000))
        address = f"inproc://connections-{name}-{id(socket)}"
        socket.monitor(address, _EVENTS)
        monitor = self._context.socket(zmq.PAIR)
        monitor.setsockopt(zmq.LINGER, 0)
        monitor.setsockopt(zmq.RCVHWM, 0)  # libzmq waits where this is full, and this process then waits for libzmq
        monitor.connect(address)
        door = Door(name, monitor, bytes_hz, bytes_burst)
        self._doors.append(door)
        return door

    async def serve(self) -> None:
        """Follow who comes and goes, and look at them now and then. Runs until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for door in self._doors:
                group.create_task(self._follow(door), name=f"connections of {door.name}")
            while True:
                await asyncio.sleep(_TICK_S)
                self.look()

    def close(self) -> None:
        """Close the monitors."""
        for door in self._doors:
            door.monitor.close()
        self._view.close()

    def heard(self, door: Door, frame: zmq.Frame) -> Connection | None:
        """On which connection a message came; None for what libzmq says itself, and of those that were closed here."""
        descriptor = _descriptor(frame)
        if descriptor is None:
            return None
        connection, ends = self._by_descriptor.get(descriptor), self._view.ends(descriptor)
        is_other = connection is None or connection.door is not door or (ends is not None and ends != connection.ends)
        if connection is None or is_other:
            connection = self._new(door, descriptor, ends)
            if ends is None:  # it sent something and left
                connection.is_gone = True
            else:
                self._replace(connection)
        if connection.is_refused:
            return None
        if connection.client is None:
            self._take_from_tables(connection)
            if not connection.is_gone:
                self._heard[connection] = None
            if not self._belongs_to(connection, _client_name(frame, has_keys=self._has_keys)):
                return None
        return connection

    def came(self, door: Door, descriptor: int) -> None:
        """A connection was taken in."""
        known = self._by_descriptor.get(descriptor)
        if known is not None and known.door is door and not known.is_told:
            known.is_told = True  # it was heard before
            return
        connection = self._new(door, descriptor, self._view.ends(descriptor))
        connection.is_told = True
        self._replace(connection)
        self._handshaking[connection] = None
        self._make_room()

    def gone(self, door: Door, descriptor: int) -> None:
        """A connection ended."""
        connection = self._by_descriptor.get(descriptor)
        if connection is not None and connection.door is door and connection.is_told:
            del self._by_descriptor[descriptor]
            self._forget(connection)

    def subscribe(self, connection: Connection, prefix: bytes) -> bool:
        """Note a subscription. One that may not be closes the connection, as nothing else takes it from libzmq."""
        client = connection.client
        assert client is not None  # it was heard
        if connection.is_gone:
            return False
        if not connection.changes.take():
            why = "it subscribes too often"
        elif not is_subscription(prefix):
            why = f"it subscribes to {prefix[:80]!r}; expected the beginning of v1/<stream>/<kind>[/<name>]"
        elif prefix in connection.subscriptions:
            return True
        elif len(connection.subscriptions) >= self._limits.subscriptions:
            why = f"it has {len(connection.subscriptions)} subscriptions, the most (clients.subscriptions)"
        elif client.subscriptions >= OF_CLIENT * self._limits.subscriptions:
            why = f"the connections of its client have {client.subscriptions} subscriptions, the most"
        elif self._num_subscriptions >= self._max_subscriptions:
            why = f"all clients together have {self._num_subscriptions} subscriptions, the most"
        else:
            connection.subscriptions.add(prefix)
            client.subscriptions += 1
            self._num_subscriptions += 1
            return True
        self.refuse(connection, "subscriptions_refused", why)
        return False

    def unsubscribe(self, connection: Connection, prefix: bytes) -> None:
        """Note the end of a subscription."""
        if not connection.changes.take():
            self.refuse(connection, "subscriptions_refused", "it subscribes too often")
        elif prefix in connection.subscriptions and not connection.is_gone:
            connection.subscriptions.remove(prefix)
            self._num_subscriptions -= 1
            if connection.client is not None:
                connection.client.subscriptions -= 1

    @property
    def request_rate_hz(self) -> float:
        """How many requests a connection may make in a second."""
        return self._limits.request_rate_hz

    def may_ask(self, connection: Connection) -> bool:
        """Whether it may make a request now; counts it."""
        client = connection.client
        assert client is not None  # it was heard
        return connection.requests.take() and client.requests.take()

    def may_wait(self, connection: Connection) -> bool:
        """Whether one more of its requests may wait for a node."""
        most, client = self._limits.waiting_requests, connection.client
        assert client is not None  # it was heard
        return connection.waiting < most and client.waiting < OF_CLIENT * most

    def wait(self, connection: Connection, change: int) -> None:
        """Note that one more of its requests waits (1), or one less (-1)."""
        connection.waiting += change
        if connection.client is not None:
            connection.client.waiting += change

    def refuse(self, connection: Connection, what: str, why: str) -> None:
        """Close a connection, and count it.

        Args:
            connection: Which.
            what: The counter.
            why: For people.
        """
        if connection.is_refused or connection.is_gone:
            return
        text = f"a connection of {connection.name} to {connection.door.name} is closed: {why}"
        self._counters.passed_over(what, text)
        self._view.shut(connection.descriptor, connection.ends)
        connection.is_refused = True
        self._forget(connection)

    def look(self) -> None:
        """Close what takes too much, and forget who is gone."""
        late_s = self._now_s() - self._limits.handshake_s - _SILENT_AFTER_S
        for connection in [one for one in self._handshaking if one.since_s < late_s]:
            del self._handshaking[connection]
            self._silent[connection] = None  # libzmq has closed those that did not get through
        for connection in (*self._handshaking, *self._silent, *self._heard):
            self._look_at_bytes(connection)
        if not self._view.has_spare():
            self._counters.passed_over("descriptors_exhausted", "no other file can be opened; see ulimit -n")
            for connection in list(self._handshaking)[: (len(self._handshaking) + 1) // 2]:
                self.refuse(connection, "connections_refused", "there are no descriptors left")
        for name in [name for name, client in self._clients.items() if _is_idle(client)]:
            del self._clients[name]

    @property
    def _max_handshaking(self) -> int:
        return max(1, min(_MAX_HANDSHAKING, self._room // 2))

    @property
    def _max_subscriptions(self) -> int:
        return _OF_ALL * self._limits.subscriptions

    async def _follow(self, door: Door) -> None:
        while True:
            await door.monitor.poll()
            for _ in range(_EVENTS_AT_ONCE):
                try:
                    parts = await door.monitor.recv_multipart(flags=zmq.NOBLOCK)
                except zmq.Again:
                    break
                self._take(door, *_EVENT.unpack(parts[0]))

    def _take(self, door: Door, event: int, value: int) -> None:
        if event == zmq.EVENT_ACCEPTED:
            self.came(door, value)
        elif event == zmq.EVENT_DISCONNECTED:
            self.gone(door, value)
        else:
            self._counters.passed_over("handshakes_failed", f"at {door.name}: {_FAILURES.get(event, event)}")

    def _new(self, door: Door, descriptor: int, ends: Ends | None) -> Connection:
        limits, now_s = self._limits, self._now_s
        return Connection(
            descriptor,
            door,
            ends,
            now_s(),
            requests=Allowance(limits.request_rate_hz, float(limits.request_burst), now_s),
            refusals=Allowance(limits.request_rate_hz, float(_REFUSALS * limits.request_burst), now_s),
            changes=Allowance(_CHANGES_HZ, _CHANGES_BURST * limits.subscriptions, now_s),
            received=Allowance(door.bytes_hz, door.bytes_burst, now_s),
        )

    def _replace(self, connection: Connection) -> None:
        """Note a connection; another one with its descriptor has ended."""
        earlier = self._by_descriptor.get(connection.descriptor)
        if earlier is not None:
            self._forget(earlier)
        self._by_descriptor[connection.descriptor] = connection

    def _take_from_tables(self, connection: Connection) -> None:
        for table in (self._handshaking, self._silent, self._heard):
            table.pop(connection, None)

    def _belongs_to(self, connection: Connection, name: str) -> bool:
        """Note whose it is; False if that one has too many."""
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = Client(name, self._limits, self._now_s)
        connection.client = client
        if connection.is_gone:
            return True
        client.connections += 1
        most = max(1, self._room // 2)
        if client.connections > most:
            self.refuse(connection, "connections_refused", f"its client has {most} connections already, the most")
            return False
        return True

    def _make_room(self) -> None:
        if len(self._handshaking) > self._max_handshaking:
            self._close_oldest(self._handshaking)
        if len(self) > self._room:
            has_others = len(self._handshaking) > 1 or not self._silent
            self._close_oldest(self._handshaking if has_others else self._silent)

    def _close_oldest(self, table: dict[Connection, None]) -> None:
        why = f"there are {len(self)} connections, {len(self._handshaking)} of them at their handshake"
        self.refuse(min(islice(table, _LOOKED_AT), key=self._received), "connections_refused", why)

    def _received(self, connection: Connection) -> int:
        """Bytes that it has sent; 0 where the system does not say, or if it is gone."""
        return self._view.received(connection.descriptor, connection.ends)

    def _look_at_bytes(self, connection: Connection) -> None:
        received = self._received(connection)
        more = received - connection.received_before
        connection.received_before = received
        if more > 0 and not connection.received.take(more):
            self.refuse(connection, "connections_refused", f"it sent {more} bytes at once, {received} in all")

    def _forget(self, connection: Connection) -> None:
        if connection.is_gone:
            return
        connection.is_gone = True
        self._take_from_tables(connection)
        self._num_subscriptions -= len(connection.subscriptions)
        if connection.client is not None:
            connection.client.connections -= 1
            connection.client.subscriptions -= len(connection.subscriptions)


def _descriptor(frame: zmq.Frame) -> int | None:
    try:
        value = frame.get(zmq.SRCFD)
    except zmq.ZMQError:
        return None
    return value if isinstance(value, int) and value >= 0 else None


def _client_name(frame: zmq.Frame, *, has_keys: bool) -> str:
    """What the authenticator calls a client; without keys its address, for then a client may say any `User-Id`."""
    try:
        return str(frame.get("User-Id" if has_keys else "Peer-Address")) or "unknown"
    except (zmq.ZMQError, UnicodeDecodeError):
        return "unknown"


def _is_idle(client: Client) -> bool:
    return not client.connections and not client.waiting and client.requests.is_full and client.replays.is_full
