"""Making and reading the hub's sockets."""

from collections.abc import Mapping

import zmq
import zmq.asyncio

from ssa_stream.errors import TransportError

__all__ = ["bound_socket", "receive", "try_send"]


def bound_socket(
    context: zmq.asyncio.Context, kind: int, address: str, options: Mapping[zmq.SocketOption, int]
) -> tuple[zmq.asyncio.Socket, str]:
    """A socket and the address that it was bound to, with the port if `address` leaves that open.

    Raises:
        TransportError: The address is taken or is none.
    """
    socket = context.socket(kind)
    for option, value in options.items():
        socket.setsockopt(option, value)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close(linger=0)
        raise TransportError(
            f"cannot listen at {address} ({error}); is another graph running there? End it, or choose another address"
        ) from error
    return socket, socket.getsockopt_string(zmq.LAST_ENDPOINT)


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
