"""Pictures of the graph's own sources, fetched for viewers from the node that has them."""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import structlog
from av import VideoFrame

from ssa_stream.errors import MessageError
from ssa_stream.nodes.gateway.pictures.feed import VideoFeed
from ssa_stream.nodes.gateway.pictures.wire import (
    LENGTH_BYTES,
    REQUEST,
    PictureHeader,
    header_length,
    unpack_header,
)

__all__ = ["Pictures"]

_LOG = structlog.get_logger()
_BUFFER_BYTES = 2**22


class Pictures:
    """Takes pictures at a socket, one at a time, and puts them into the feeds of their streams.

    Args:
        feeds: By stream.
        path: Of the socket.
    """

    def __init__(self, feeds: Mapping[str, VideoFeed], path: Path) -> None:
        self._feeds, self._path = feeds, path
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until cancelled."""
        server = await asyncio.start_unix_server(self._accept, self._path, limit=_BUFFER_BYTES)
        os.chmod(self._path, 0o600)
        try:
            async with server:
                await server.serve_forever()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._take(reader, writer), name="pictures of a source")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(REQUEST)
                await writer.drain()
                body = await reader.readexactly(header_length(await reader.readexactly(LENGTH_BYTES)))
                header = unpack_header(body)
                self._put(header, await reader.readexactly(header.image_bytes))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the node ended; its successor comes again
        except MessageError as error:
            _LOG.warning("no picture", error=str(error))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _put(self, header: PictureHeader, pixels: bytes) -> None:
        feed = self._feeds.get(header.stream)
        if feed is not None:
            image = np.frombuffer(pixels, dtype=np.uint8).reshape(header.height, header.width, 3)
            feed.push((header.epoch, header.seq), VideoFrame.from_ndarray(image, format="rgb24"))
