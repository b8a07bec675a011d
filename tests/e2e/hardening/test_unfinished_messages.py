"""A client without a ZeroMQ library sends what no library would: a message without an end, a name that is no text."""

import asyncio
import socket
import struct
from pathlib import Path

import pytest

from ssa_stream.protocols import ErrorReply, ListPrompts
from tests.support.scripted_nodes import graph
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_idle_threads")]

_GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(1 + 31)
_PART = b"\x03" + struct.pack(">Q", 200_000) + bytes(200_000)
"""A long frame after which another one comes."""
_PARTS = 2_500


def _ready(socket_type: bytes, **said: bytes) -> bytes:
    """The command that ends a handshake without keys (ZMTP 3.0), with what the client says of itself."""
    properties = {"Socket-Type": socket_type, **{name.replace("_", "-"): value for name, value in said.items()}}
    body = b"\x05READY" + b"".join(
        bytes([len(name)]) + name.encode() + struct.pack(">I", len(value)) + value for name, value in properties.items()
    )
    return b"\x04" + bytes([len(body)]) + body


def _flood(port: int, socket_type: bytes) -> int:
    """Send parts without end, as far as they are taken; how many were."""
    with socket.create_connection(("127.0.0.1", port), timeout=20.0) as connection:
        connection.sendall(_GREETING)
        connection.sendall(_ready(socket_type))
        for number in range(_PARTS):
            try:
                connection.sendall(_PART)
            except OSError:
                return number
    return _PARTS


def _memory_mib() -> float:
    """What this process has in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


async def test_message_that_does_not_end_closes_its_connection() -> None:
    """Of 500 MB in parts the hub, which would keep them all, takes a few; others are answered as ever."""
    async with graph() as running:
        before_mib, port = _memory_mib(), int(running.broker.requests_address.rpartition(":")[2])
        taken = await asyncio.to_thread(_flood, port, b"DEALER")
        assert taken < _PARTS
        assert _memory_mib() - before_mib < 350
        await until(lambda: running.broker.counters["connections_refused"] == 1)
        client = running.client()
        await client.say(ListPrompts(request_id="r1", stream="cam0"))
        assert (await client.hear(ErrorReply)).code == "unavailable"


async def test_subscriber_that_sends_other_things_is_closed() -> None:
    """What comes from a subscriber are subscriptions of a kilobyte at most."""
    async with graph() as running:
        port = int(running.broker.publish_address.rpartition(":")[2])
        assert await asyncio.to_thread(_flood, port, b"SUB") < _PARTS
        subscriber = running.subscriber(b"v1/")
        assert await subscriber.packet() is not None


@pytest.mark.parametrize(
    ("door", "socket_type", "message"), [("publish", b"SUB", b"\x01v1/"), ("requests", b"DEALER", b"x")]
)
async def test_name_that_is_no_text_ends_nothing(door: str, socket_type: bytes, message: bytes) -> None:
    """A client without keys may say a `User-Id`; it is not believed, nor even read."""
    async with graph() as running:
        address = running.broker.publish_address if door == "publish" else running.broker.requests_address

        def say() -> None:
            with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=20.0) as connection:
                connection.sendall(_GREETING + _ready(socket_type, User_Id=b"\xc3("))
                connection.sendall(bytes([0, len(message)]) + message)
                connection.recv(1000)

        await asyncio.to_thread(say)
        client = running.client()
        await client.say(ListPrompts(request_id="r1", stream="cam0"))
        assert (await client.hear(ErrorReply)).code == "unavailable"
