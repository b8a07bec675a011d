"""Who is let in, who makes room, who takes too long."""

import pytest

from ssa_stream.nodes.runtime.http.connections import Connection, Connections, HttpLimits, client_of


def _admit(connections: Connections, client: str, now_s: float = 0.0) -> Connection:
    connection, displaced = connections.admit(client, now_s)
    assert connection is not None
    assert displaced is None
    return connection


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.168.1.2", "192.168.1.2"),
        ("::ffff:192.168.1.2", "192.168.1.2"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_client_of_ipv6_is_its_network(address: str, client: str) -> None:
    """Who has one address of a network has them all."""
    assert client_of(address) == client


def test_admit_full_address_displaces_its_own_longest_waiting() -> None:
    """Others keep what they have, however long they have waited."""
    connections = Connections(HttpLimits(connections=10, connections_per_address=2))
    other = _admit(connections, "b")
    first, second = _admit(connections, "a", 1.0), _admit(connections, "a", 2.0)
    third, displaced = connections.admit("a", 3.0)
    assert displaced is first
    assert third is not None
    assert len(connections) == 3
    second.becomes("busy", 3.0)
    third.becomes("busy", 3.0)
    assert connections.admit("a", 4.0) == (None, None)
    assert _admit(connections, "b", 4.0) is not other


def test_admit_full_server_displaces_of_the_greediest() -> None:
    """First one that has not asked for anything, though another has been idle for longer."""
    connections = Connections(HttpLimits(connections=4, connections_per_address=3))
    _admit(connections, "b")
    idle, silent, busy = (_admit(connections, "a", 1.0 + number) for number in range(3))
    idle.becomes("idle", 1.0)
    busy.becomes("busy", 0.0)
    assert connections.admit("c", 5.0)[1] is silent
    assert connections.admit("d", 5.0)[1] is idle


def test_has_room_all_busy_has_none() -> None:
    """As long as one can be displaced somebody can come."""
    connections = Connections(HttpLimits(connections=2, connections_per_address=2))
    first, second = _admit(connections, "a"), _admit(connections, "b")
    first.becomes("busy", 0.0)
    assert connections.has_room
    second.becomes("busy", 0.0)
    assert not connections.has_room
    assert connections.admit("c", 1.0) == (None, None)
    connections.forget(first)
    connections.forget(first)
    assert connections.has_room
    _admit(connections, "c", 1.0)


@pytest.mark.parametrize(("state", "allowed_s"), [("head", 2.0), ("idle", 3.0), ("busy", 60.0)])
def test_overdue_each_state_has_its_time(state: str, allowed_s: float) -> None:
    """It counts from when the state began."""
    connections = Connections(HttpLimits(head_s=2.0, idle_s=3.0))
    connection = _admit(connections, "a")
    connection.state = state  # type: ignore[assignment]  # the cases are its values
    connection.since_s = 10.0
    assert list(connections.overdue(10.0 + allowed_s)) == []
    assert list(connections.overdue(10.1 + allowed_s)) == [connection]
