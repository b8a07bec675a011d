"""Sockets of the broker: how they are made and read."""

from collections.abc import Callable, Mapping

import zmq
import zmq.asyncio

from ssa_stream.errors import TransportError
from ssa_stream.keys import ServerKeys

__all__ = ["PUBLIC_OPTIONS", "bind", "bound_socket", "receive", "try_send", "within_reach"]

PUBLIC_OPTIONS: Mapping[zmq.SocketOption, int] = {
    zmq.TCP_KEEPALIVE: 1,
    zmq.TCP_KEEPALIVE_IDLE: 30,
    zmq.TCP_KEEPALIVE_INTVL: 10,
    zmq.TCP_KEEPALIVE_CNT: 3,
    zmq.TCP_MAXRT: 60_000,
}
"""A peer whose machine or network is gone keeps its place for a minute."""


def bound_socket(
    context: zmq.asyncio.Context,
    kind: int,
    address: str,
    options: Mapping[zmq.SocketOption, int],
    keys: ServerKeys | None = None,
    *,
    prepare: Callable[[zmq.asyncio.Socket], object] = lambda socket: None,
) -> tuple[zmq.asyncio.Socket, str]:
    """A socket and the address that it was bound to, with the port if `address` leaves that open.

    Args:
        context: For the socket.
        kind: Of socket.
        address: Where to listen.
        options: Of the socket.
        keys: Encrypt, and take in only whom the context's `ZapAuthenticator` lets pass; None: everybody, in the clear.
        prepare: Called with the socket before it is bound.
    Raises:
        TransportError: The address is taken or is none.
    """
    socket = context.socket(kind)
    for option, value in options.items():
        socket.setsockopt(option, value)
    if address.startswith("tcp://["):
        socket.setsockopt(zmq.IPV6, 1)
    if keys is not None:
        keys.secure(socket)
    prepare(socket)
    return socket, bind(socket, address)


def bind(socket: zmq.asyncio.Socket, address: str) -> str:
    """Let a socket listen, at a further address if it listens already; returns the address as it was bound.

    Raises:
        TransportError: The address is taken or is none; the socket is closed.
    """
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close(linger=0)
        raise TransportError(
            f"cannot listen at {address} ({error}); is another graph running there? End it, or choose another address"
        ) from error
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)


def within_reach(address: str) -> str:
    """Where a peer on this machine finds what is bound to an address, which may stand for all of the machine's."""
    return address.replace("tcp://0.0.0.0:", "tcp://127.0.0.1:").replace("tcp://[::]:", "tcp://[::1]:")


async def receive(socket: zmq.asyncio.Socket) -> list[zmq.Frame]:
    """The next message. Nothing is lost if the wait is cancelled."""
    while True:
        await socket.poll()
        try:
            return await socket.recv_multipart(flags=zmq.NOBLOCK, copy=False)
        except zmq.Again:
            continue


async def try_send(socket: zmq.asyncio.Socket, parts: list[bytes | memoryview]) -> bool:
    """Send at once; False if the peer is gone or takes no more."""
    try:
        await socket.send_multipart(parts, flags=zmq.NOBLOCK)
    except zmq.ZMQError as error:
        if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
            return False
        raise
    return True
