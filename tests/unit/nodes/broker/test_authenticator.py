"""The gate, asked as ZeroMQ asks it (ZAP, RFC 27)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import zmq
import zmq.asyncio
from zmq.utils import z85

from ssa_stream.keys import ClientKeys, ServerKeys, add_client, make_keys
from ssa_stream.nodes.broker.authenticator import ZapAuthenticator
from ssa_stream.nodes.broker.counters import Counters
from ssa_stream.nodes.runtime.descriptors import DescriptorReserve

OK, REFUSED = b"200", b"400"


class _Asker:
    """What libzmq does within the process."""

    def __init__(self, socket: zmq.asyncio.Socket, gate: ZapAuthenticator, counters: Counters, folder: Path) -> None:
        self._socket, self.gate, self.counters, self.folder = socket, gate, counters, folder

    async def ask(self, *parts: bytes) -> bytes:
        """The status of the answer, which names the request."""
        await self._socket.send_multipart(parts)
        assert await self._socket.poll(10_000)
        version, request_id, status, *_ = await self._socket.recv_multipart()
        assert (version, request_id) == (b"1.0", parts[1] if len(parts) > 1 else b"")
        return status

    async def of_key(self, key: bytes) -> bytes:
        """May the holder of that public key pass?"""
        return await self.ask(b"1.0", b"7", b"ssa_stream", b"10.0.0.9", b"", b"CURVE", z85.decode(key))


@pytest.fixture
async def asker(tmp_path: Path) -> AsyncIterator[_Asker]:
    """A gate that knows `robot`, and who asks it."""
    make_keys(tmp_path)
    add_client(tmp_path, "robot")
    context, counters = zmq.asyncio.Context(), Counters()
    gate = ZapAuthenticator(context, ServerKeys.load(tmp_path), counters, DescriptorReserve())
    socket = context.socket(zmq.REQ)
    socket.linger = 0
    socket.connect("inproc://zeromq.zap.01")
    task = asyncio.create_task(gate.serve())
    yield _Asker(socket, gate, counters, tmp_path)
    task.cancel()
    await asyncio.wait([task])
    socket.close()
    gate.close()
    context.term()


async def test_known_clients_and_the_launcher_pass(asker: _Asker) -> None:
    """Nobody else does, be their key as good as any."""
    robot = ClientKeys.load(asker.folder / "clients/robot")
    assert await asker.of_key(robot.public) == OK
    assert await asker.of_key(asker.gate.own.public) == OK
    assert await asker.of_key(ClientKeys.make(robot.server).public) == REFUSED
    assert await asker.of_key(robot.server) == REFUSED
    assert (asker.counters["clients_admitted"], asker.counters["clients_refused"]) == (2, 2)


async def test_change_of_the_folder_counts_at_once(asker: _Asker) -> None:
    """Added, and removed again; without the folder nobody passes."""
    late = ClientKeys.load(add_client(asker.folder, "late"))
    assert await asker.of_key(late.public) == OK
    (asker.folder / "allowed/late.key").unlink()
    assert await asker.of_key(late.public) == REFUSED
    (asker.folder / "allowed").rename(asker.folder / "elsewhere")
    assert await asker.of_key(ClientKeys.load(asker.folder / "clients/robot").public) == REFUSED


@pytest.mark.parametrize(
    "parts",
    [
        [b""],
        [b"1.0", b"7"],
        [b"1.0", b"7", b"ssa_stream", b"10.0.0.9", b"", b"NULL"],
        [b"1.0", b"7", b"ssa_stream", b"10.0.0.9", b"", b"PLAIN", b"robot", b"password"],
        [b"2.0", b"7", b"ssa_stream", b"10.0.0.9", b"", b"CURVE", bytes(32)],
        [b"1.0", b"7", b"ssa_stream", b"10.0.0.9", b"", b"CURVE", b"short"],
    ],
    ids=["nothing", "too short", "null", "plain", "version", "no key"],
)
async def test_anything_else_is_refused_and_the_gate_goes_on(asker: _Asker, parts: list[bytes]) -> None:
    """A question that it does not understand is no reason to stop answering."""
    assert await asker.ask(*parts) == REFUSED
    assert await asker.of_key(ClientKeys.load(asker.folder / "clients/robot").public) == OK
