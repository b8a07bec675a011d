"""Pictures on a local stream socket: a length, a header, the pixels.

The reader asks for each picture with one byte. So none waits in the socket while a newer one exists.
"""

import asyncio
import contextlib
import os
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ssa_stream.errors import MessageError
from ssa_stream.nodes.runtime.transport.socket_files import KEEP_S
from ssa_stream.protocols.fields import PixelAspect
from ssa_stream.sources.source import Completion

__all__ = [
    "LENGTH_BYTES",
    "MAX_HEADER_BYTES",
    "REQUEST",
    "LinkAddress",
    "PictureHeader",
    "header_length",
    "pack_header",
    "receive_exactly",
    "receive_picture",
    "serve_connections",
    "unpack_header",
]

REQUEST = b"\x01"
MAX_HEADER_BYTES = 4096
_LENGTH = struct.Struct("!I")
LENGTH_BYTES = _LENGTH.size
_MAX_EDGE_PX = 16_384
_ADDRESS = re.compile(r"webrtc:(?P<stream>[A-Za-z0-9][A-Za-z0-9_.-]{0,63})@(?P<path>/.+)")


class LinkAddress(NamedTuple):
    """A stream at a gateway's socket, as a source or an output of that stream: `webrtc:STREAM@SOCKET`."""

    stream: str
    path: str

    def __str__(self) -> str:
        return f"webrtc:{self.stream}@{self.path}"

    @classmethod
    def parse(cls, text: str) -> "LinkAddress | None":
        """Read an address; None if it is none."""
        match = _ADDRESS.fullmatch(text)
        return None if match is None else cls(match["stream"], match["path"])


class PictureHeader(Struct, frozen=True, kw_only=True):
    """What is known of a picture.

    Attributes:
        height: In pixels.
        width: In pixels.
        stream: Of which stream.
        epoch: As the sender counts; grows where the size changes or another camera begins.
        seq: Number within the epoch, those that were overtaken included.
        t: Stream time in seconds.
        t_receive_ns: When it came, on the host's monotonic clock.
        pts: Time on the wire in units of 1/90,000 s; None if there is none.
        t_camera_ns: When it was taken by the sender's clock, since 1970; None if not known.
        t_capture_ns: The same on the host's monotonic clock; None if the clocks do not agree.
        pixel_aspect: Width of a pixel and its height.
        complete_at: See `Frame`.
    """

    height: int
    width: int
    stream: str
    epoch: int
    seq: int
    t: float
    t_receive_ns: int
    pts: int | None = None
    t_camera_ns: int | None = None
    t_capture_ns: int | None = None
    pixel_aspect: PixelAspect = (1, 1)
    complete_at: Completion | None = None

    @property
    def image_bytes(self) -> int:
        """Length of the pixels: RGB, uint8, row by row."""
        return self.height * self.width * 3


def pack_header(header: PictureHeader) -> bytes:
    """The bytes before the pixels."""
    body = msgspec.msgpack.encode(header)
    return _LENGTH.pack(len(body)) + body


def header_length(prefix: bytes) -> int:
    """Length of the header that follows.

    Raises:
        MessageError: Longer than any header.
    """
    (length,) = _LENGTH.unpack(prefix)
    if length > MAX_HEADER_BYTES:
        raise MessageError(f"a picture's header has {length} bytes; expected at most {MAX_HEADER_BYTES}")
    return int(length)


def unpack_header(body: bytes) -> PictureHeader:
    """Read a header.

    Raises:
        MessageError: It is none, or of an impossible size.
    """
    try:
        header = msgspec.msgpack.decode(body, type=PictureHeader)
    except msgspec.DecodeError as error:
        raise MessageError(f"a picture's header cannot be read: {error}") from error
    if not (0 < header.height <= _MAX_EDGE_PX and 0 < header.width <= _MAX_EDGE_PX):
        raise MessageError(f"a picture has {header.width}x{header.height} pixels; expected 1..{_MAX_EDGE_PX} each")
    return header


async def serve_connections(
    path: Path, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], *, limit: int = 2**16
) -> None:
    """Serve whoever connects to a socket that is for this user only; until cancelled, which ends all connections.

    Should somebody remove its file, another one is made, if the folder is there.

    Args:
        path: Of the socket.
        serve: Serves one connection, which is closed after it.
        limit: Bytes that are read ahead.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve_one(reader, writer), name=f"connection at {path.name}")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    servers: list[asyncio.Server] = []
    try:
        while True:
            if not servers or _is_gone(path):
                with contextlib.suppress(*((OSError,) if servers else ())):  # the folder is gone, too, for now
                    servers.append(await asyncio.start_unix_server(accept, path, limit=limit))
                    os.chmod(path, 0o600)
            await asyncio.sleep(KEEP_S)
    finally:
        for server in servers:
            server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_gone(path: Path) -> bool:
    return not path.exists()


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """Read so many bytes; empty at the end of the stream, also in the middle.

    Raises:
        OSError: The socket failed or timed out.
    """
    data = bytearray(size)
    return bytes(data) if _fill(connection, memoryview(data)) else b""


def receive_picture(connection: socket.socket) -> tuple[PictureHeader, NDArray[np.uint8]] | None:
    """Read a picture, `(H, W, 3)` uint8 RGB; None at the end of the stream.

    Raises:
        MessageError: What came is no picture.
        OSError: The socket failed or timed out.
    """
    prefix = receive_exactly(connection, LENGTH_BYTES)
    body = receive_exactly(connection, header_length(prefix)) if prefix else b""
    if not body:
        return None
    header = unpack_header(body)
    image = np.empty((header.height, header.width, 3), dtype=np.uint8)
    return (header, image) if _fill(connection, image.data.cast("B")) else None


def _fill(connection: socket.socket, view: memoryview) -> bool:
    while view:
        count = connection.recv_into(view)
        if not count:
            return False
        view = view[count:]
    return True
