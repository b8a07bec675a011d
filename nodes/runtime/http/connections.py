"""Which connections an HTTP server keeps, and which ones it closes to make room or because they take too long.

No sockets and no clock: whoever has those says what happened and when.
"""

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct

__all__ = ["Connection", "Connections", "HttpLimits", "client_of"]

_Positive = Annotated[int, Meta(ge=1)]
_Time = Annotated[float, Meta(gt=0, le=3600)]
_BUSY_S = 60.0
"""No request needs so long: each part of it has a time of its own."""
_V6_CLIENT_BITS = 64
"""Who has one IPv6 address has all of its network."""


class HttpLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much connections to an HTTP server may take.

    Attributes:
        connections: At once. Where the limit of open files leaves room for fewer, fewer are taken.
        connections_per_address: Of these, from one IPv4 address or one IPv6 network of 64 bits. Whoever comes through
            a proxy has the address of the proxy.
        head_s: How long a connection may take for TLS and the header of a request.
        body_s: How long the body of a request may take.
        idle_s: How long a connection may wait for its next request, and how long nobody may read an answer.
    """

    connections: _Positive = 256
    connections_per_address: _Positive = 64
    head_s: _Time = 10.0
    body_s: _Time = 10.0
    idle_s: _Time = 30.0


def client_of(address: str) -> str:
    """Under which name the connections of an address are counted: an IPv6 client has a whole network of them."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address  # a socket file has none
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, _V6_CLIENT_BITS), strict=False))


class Connection:
    """One connection, in one of three states.

    Attributes:
        client: Whose it is.
        state: `head`: a request's header is awaited or on its way; `busy`: a request is being done; `idle`: an answer
            is on its way, or the next request is awaited.
        since_s: When that began, or when an answer last got on.
        close: Ends the connection, soon.
    """

    __slots__ = ("client", "close", "since_s", "state")

    def __init__(self, client: str, now_s: float) -> None:
        self.client = client
        self.state: Literal["head", "busy", "idle"] = "head"
        self.since_s = now_s
        self.close: Callable[[], object] = lambda: None

    def becomes(self, state: Literal["head", "busy", "idle"], now_s: float) -> None:
        """Another state begins."""
        self.state, self.since_s = state, now_s


class Connections:
    """Those that a server has now.

    Args:
        limits: See there; `connections` is what there is room for.
    """

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._all: set[Connection] = set()
        self._of_client: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._all)

    @property
    def has_room(self) -> bool:
        """Whether somebody new can be let in, if need be in place of somebody who does nothing."""
        return len(self) < self._limits.connections or any(one.state != "busy" for one in self._all)

    def admit(self, client: str, now_s: float) -> tuple[Connection | None, Connection | None]:
        """Let somebody in.

        Where there is no room, a connection on which nothing is being done makes room: of the same client if that has
        as many as it may have, else of the client who has most. So a flood of silent connections displaces itself.

        Args:
            client: As `client_of` says.
            now_s: The time.
        Returns:
            The new connection, None if there is no room; and the one that must be closed for it.
        """
        displaced = None
        if self._of_client[client] >= self._limits.connections_per_address:
            displaced = self._least_useful(one for one in self._all if one.client == client)
            if displaced is None:
                return None, None
        elif len(self) >= self._limits.connections:
            displaced = self.dispensable()
            if displaced is None:
                return None, None
        if displaced is not None:
            self.forget(displaced)
        connection = Connection(client, now_s)
        self._all.add(connection)
        self._of_client[client] += 1
        return connection, displaced

    def dispensable(self) -> Connection | None:
        """A connection that can be closed for another: of the client who has most."""
        return self._least_useful(self._all)

    def forget(self, connection: Connection) -> None:
        """It is gone; may be said again."""
        if connection not in self._all:
            return
        self._all.discard(connection)
        self._of_client[connection.client] -= 1
        if not self._of_client[connection.client]:
            del self._of_client[connection.client]

    def overdue(self, now_s: float) -> Iterator[Connection]:
        """Those that have taken too long."""
        allowed_s = {"head": self._limits.head_s, "idle": self._limits.idle_s, "busy": _BUSY_S}
        for one in list(self._all):
            if now_s - one.since_s > allowed_s[one.state]:
                yield one

    def _least_useful(self, among: Iterable[Connection]) -> Connection | None:
        """Of the client who has most, the one that has waited longest, first if it has not asked for anything yet."""
        waiting = (one for one in among if one.state != "busy")
        return min(
            waiting, key=lambda one: (-self._of_client[one.client], one.state != "head", one.since_s), default=None
        )
