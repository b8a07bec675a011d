"""The books of connections, with sockets of this process in place of libzmq's."""

import socket
from collections.abc import Iterator

import pytest
import zmq
import zmq.asyncio

from ssa_stream.nodes.broker.connection import Door
from ssa_stream.nodes.broker.connections import Connections
from ssa_stream.nodes.broker.counters import Counters
from ssa_stream.nodes.pipeline import ClientsSection


class _Frame:
    """What libzmq says of a message: its connection, and whose it is."""

    def __init__(self, descriptor: int | None, user: str | None = None) -> None:
        self._known = {zmq.SRCFD: descriptor, "User-Id": user, "Peer-Address": "127.0.0.1"}

    def get(self, what: object) -> object:
        """A property; an error if there is none, as in libzmq."""
        value = self._known[what]
        if value is None:
            raise zmq.ZMQError(zmq.EINVAL)
        return value


class _World:
    """A listener, and the connections to it."""

    def __init__(self, room: int = 100, *, has_keys: bool = True, **limits: float) -> None:
        self.now_s = 0.0
        self.counters = Counters()
        self._context = zmq.asyncio.Context()
        section = ClientsSection(**limits)  # type: ignore[arg-type]
        self.books = Connections(self._context, section, room, self.counters, lambda: self.now_s, has_keys=has_keys)
        self._monitored = self._context.socket(zmq.XPUB)
        self.door: Door = self.books.open_door(self._monitored, "publish", bytes_hz=100.0, bytes_burst=1000.0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []

    def connect(self) -> tuple[socket.socket, int]:
        """A new connection: the far end, and the descriptor of the near one."""
        far = socket.create_connection(self._listener.getsockname())
        near, _ = self._listener.accept()
        self._sockets += [far, near]
        self.books.came(self.door, near.fileno())
        return far, near.fileno()

    def subscribe(self, descriptor: int, prefix: bytes, user: str | None = None) -> bool:
        """A subscription on a connection; whether it is taken."""
        connection = self.books.heard(self.door, _Frame(descriptor, user))  # type: ignore[arg-type]
        return connection is not None and self.books.subscribe(connection, prefix)

    def close(self) -> None:
        """Close all."""
        for one in (*self._sockets, self._listener):
            one.close()
        self.books.close()
        self._context.destroy(linger=0)


def _is_closed(far: socket.socket) -> bool:
    """Whether the other side has shut a connection down."""
    far.setblocking(False)
    try:
        return far.recv(1) == b""
    except BlockingIOError:
        return False


@pytest.fixture
def world() -> Iterator[_World]:
    """Eight connections at most, three subscriptions each."""
    made = _World(room=8, subscriptions=3, connections=8)
    yield made
    made.close()


def test_old_silent_connection_gives_way_to_a_new_one(world: _World) -> None:
    """Four may be at their handshake; one that has been heard stays."""
    far, descriptor = world.connect()
    assert world.subscribe(descriptor, b"v1/")
    others = [world.connect()[0] for _ in range(6)]
    assert [_is_closed(one) for one in others] == [True, True, False, False, False, False]
    assert not _is_closed(far)
    assert world.counters["connections_refused"] == 2


def test_newest_is_closed_when_all_are_in_use(world: _World) -> None:
    """Nobody who is served is driven out."""
    used = []
    for number in range(8):
        far, descriptor = world.connect()
        assert world.subscribe(descriptor, b"v1/", user=f"client-{number}")
        used.append(far)
    newest, _ = world.connect()
    assert _is_closed(newest)
    assert not any(map(_is_closed, used))


def test_client_has_no_more_than_half_of_the_connections(world: _World) -> None:
    """The fifth of eight is closed; another client gets in."""
    own = [world.connect() for _ in range(4)]
    assert all(world.subscribe(descriptor, b"v1/", user="greedy") for _, descriptor in own)
    far, descriptor = world.connect()
    assert not world.subscribe(descriptor, b"v1/", user="greedy")
    assert _is_closed(far)
    assert world.subscribe(world.connect()[1], b"v1/", user="honest")


@pytest.mark.parametrize("prefix", [b"x", b"v1/cam0/masks/" + b"x" * 65, b"v1//", b"\xff", b"v1/c" * 60])
def test_subscription_to_no_topic_closes_its_connection(world: _World, prefix: bytes) -> None:
    """And what still comes on it counts for nothing."""
    far, descriptor = world.connect()
    assert not world.subscribe(descriptor, prefix)
    assert _is_closed(far)
    assert world.books.heard(world.door, _Frame(descriptor)) is None  # type: ignore[arg-type]
    assert world.counters["subscriptions_refused"] == 1


def test_one_subscription_too_many_closes_its_connection(world: _World) -> None:
    """The same one again is not another one; one that ended makes room."""
    far, descriptor = world.connect()
    prefixes = [b"", b"v1/", b"v1/cam0/", b"v1/"]
    assert all(world.subscribe(descriptor, prefix) for prefix in prefixes)
    connection = world.books.heard(world.door, _Frame(descriptor))  # type: ignore[arg-type]
    assert connection is not None
    world.books.unsubscribe(connection, b"v1/")
    assert world.subscribe(descriptor, b"v1/cam1/")
    assert not world.subscribe(descriptor, b"v1/cam2/")
    assert _is_closed(far)
    assert {queue.name: queue.depth for queue in world.books.queues} == {
        "connections": 0,
        "handshakes": 0,
        "subscriptions": 0,
    }


def test_connection_that_is_heard_before_it_is_told_is_the_same(world: _World) -> None:
    """And the end of an earlier one with its descriptor does not end it."""
    _, descriptor = world.connect()
    world.books.gone(world.door, descriptor)
    assert world.subscribe(descriptor, b"v1/")
    world.books.gone(world.door, descriptor)
    world.books.came(world.door, descriptor)
    assert len(world.books) == 1
    world.books.gone(world.door, descriptor)
    assert len(world.books) == 0


def test_connection_that_sends_more_than_it_may_is_closed(world: _World) -> None:
    """A thousand bytes at once."""
    far, _ = world.connect()
    far.sendall(bytes(900))
    world.books.look()
    assert not _is_closed(far)
    far.sendall(bytes(900))
    world.books.look()
    assert _is_closed(far)


def test_requests_have_a_share_and_a_rate() -> None:
    """Of each connection, and four times that of a client."""
    world = _World(request_burst=2, request_rate_hz=1.0, waiting_requests=2)
    asked = []
    for _ in range(5):
        connection = world.books.heard(world.door, _Frame(world.connect()[1], "greedy"))  # type: ignore[arg-type]
        assert connection is not None
        asked.append([world.books.may_ask(connection) for _ in range(3)])
        for _ in range(2):
            if world.books.may_wait(connection):
                world.books.wait(connection, 1)
    assert asked == [[True, True, False]] * 4 + [[False, False, False]]
    assert connection is not None
    assert not world.books.may_wait(connection)
    other = world.books.heard(world.door, _Frame(world.connect()[1], "honest"))  # type: ignore[arg-type]
    assert other is not None
    assert world.books.may_ask(other)
    assert world.books.may_wait(other)
    world.close()


@pytest.mark.parametrize("has_keys", [True, False])
def test_client_without_a_key_is_its_address_whatever_it_says(has_keys: bool) -> None:
    """Each connection may say another name; only an authenticator's is believed."""
    world = _World(has_keys=has_keys, subscriptions=3)
    try:
        names = [world.connect()[1] for _ in range(2)]
        found = [
            world.books.heard(world.door, _Frame(descriptor, user))  # type: ignore[arg-type]
            for descriptor, user in zip(names, ("a", "b"), strict=True)
        ]
        assert [None if one is None else one.name for one in found] == (
            ["a", "b"] if has_keys else ["127.0.0.1", "127.0.0.1"]
        )
    finally:
        world.close()
