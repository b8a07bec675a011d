"""The two sockets of who is a client of a graph: one for what is published, one for requests, and asking through it."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import zmq

from ssa_stream.client.exchange import Exchange
from ssa_stream.errors import ConfigError
from ssa_stream.keys import ClientKeys

__all__ = ["ask", "connect", "milliseconds", "request_socket", "subscriber_socket"]

_A = TypeVar("_A")

HEARTBEAT_MS = 1000
"""How often the connection is tried; libzmq connects again by itself when it is gone."""
HEARTBEAT_TIMEOUT_MS = 3000
RECONNECT_MS, RECONNECT_MAX_MS = 100, 2000


def subscriber_socket(
    context: zmq.Context[Any],
    address: str,
    subscriptions: Iterable[bytes],
    keys: ClientKeys | None = None,
    *,
    queued_messages: int,
) -> Any:
    """A socket that receives what a graph publishes; `connect` it to the address.

    Args:
        context: For the socket; of asyncio or not, and so is the socket.
        address: Where the graph publishes, such as `tcp://127.0.0.1:5555` or `tcp://[::1]:5555`.
        subscriptions: Prefixes of topics.
        keys: For a graph that takes in known clients only.
        queued_messages: More than so many that were not read are lost.
    """
    socket = _socket(context, zmq.SUB, address, keys)
    socket.setsockopt(zmq.RCVHWM, queued_messages)
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
    if address.startswith("tcp:"):
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    for subscription in subscriptions:
        socket.setsockopt(zmq.SUBSCRIBE, subscription)
    return socket


def request_socket(context: zmq.Context[Any], address: str, keys: ClientKeys | None = None) -> Any:
    """A socket for requests and their answers; `connect` it to the address. Arguments as of `subscriber_socket`.

    What cannot be sent is not kept: it would be carried out later, when the caller has given up.
    """
    socket = _socket(context, zmq.DEALER, address, keys)
    socket.setsockopt(zmq.IMMEDIATE, 1)
    return socket


def connect(socket: zmq.Socket[Any], address: str) -> None:
    """Connect; the graph need not be there yet.

    Raises:
        ConfigError: Not an address.
    """
    try:
        socket.connect(address)
    except zmq.ZMQError as error:
        raise ConfigError(f"cannot connect to {address!r} ({error}); expected one like tcp://HOST:PORT") from error


def ask(socket: zmq.Socket[Any], exchange: Exchange[_A]) -> _A:
    """Send a request and wait for its answer.

    Args:
        socket: Of requests, not of asyncio.
        exchange: The request.
    Raises:
        ConfigError: The request was refused: it is wrong.
        TransportError: Nobody answers in time, or the graph cannot carry it out.
    """
    while True:
        wait_s = exchange.wait_s()
        if exchange.is_due:
            exchange.sent(_try_send(socket, exchange.attempt()))
            continue
        if socket.poll(milliseconds(wait_s)):
            answer = exchange.take(socket.recv_multipart(flags=zmq.NOBLOCK, copy=False))
            if answer is not None:
                return answer


def _try_send(socket: zmq.Socket[Any], parts: Sequence[bytes | memoryview]) -> bool:
    try:
        socket.send_multipart(parts, flags=zmq.NOBLOCK)
    except zmq.Again:
        return False
    return True


def milliseconds(seconds: float) -> int:
    """Time to wait as `poll` takes it, never too short."""
    return int(seconds * 1000) + 1


def _socket(context: zmq.Context[Any], kind: int, address: str, keys: ClientKeys | None) -> Any:
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    if address.startswith("tcp://["):
        socket.setsockopt(zmq.IPV6, 1)
    if keys is not None:
        keys.secure(socket)
    return socket
