"""The cameras that peers send, one per stream, and how ingest nodes get their pictures."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import structlog
from av import VideoFrame

from ssa_stream.nodes.gateway.pictures.slot import NewestSlot
from ssa_stream.nodes.gateway.pictures.wire import REQUEST, PictureHeader, pack_header, serve_connections
from ssa_stream.nodes.runtime.tasks import first_of
from ssa_stream.sources.picture import RgbConverter

__all__ = ["CameraPicture", "Cameras"]

_LOG = structlog.get_logger()
_STREAM_BYTES = 64
_HELLO_S = 5.0
_SEND_S = 5.0

CameraPicture = tuple[PictureHeader, VideoFrame]
"""A picture with what is known of it; its pixels are converted only if somebody asks for it."""


class Cameras:
    """Hands the newest picture of each camera to the ingest node that asks.

    Args:
        streams: Names of the streams that take a camera.
        path: Of the socket.
    """

    def __init__(self, streams: Mapping[str, object] | list[str], path: Path) -> None:
        self._path = path
        self._present: dict[str, NewestSlot[CameraPicture] | None] = dict.fromkeys(streams)
        self._arrived = asyncio.Condition()
        self.served = 0

    async def run(self) -> None:
        """Serve until cancelled."""
        await serve_connections(self._path, self._serve)

    def is_taken(self, stream: str) -> bool:
        """Whether a stream has a camera."""
        return self._present[stream] is not None

    async def begin(self, stream: str) -> NewestSlot[CameraPicture]:
        """A camera begins; the slot is for its pictures."""
        slot: NewestSlot[CameraPicture] = NewestSlot()
        async with self._arrived:
            self._present[stream] = slot
            self._arrived.notify_all()
        return slot

    def end(self, stream: str, slot: NewestSlot[CameraPicture]) -> None:
        """A camera ends; who reads it is told."""
        slot.close()
        if self._present.get(stream) is slot:
            self._present[stream] = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HELLO_S):
                stream = (await reader.readexactly(_STREAM_BYTES)).decode(errors="replace").strip()
            if stream in self._present:
                await self._serve_camera(stream, reader, writer)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # the reader went away; it comes again
        except Exception:  # of one reader: the others are served on, and the log has it whole
            _LOG.exception("pictures of a camera cannot be handed over")

    async def _serve_camera(self, stream: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one camera from its begin to its end; the reader sees the end of the camera as that of the link."""
        await reader.readexactly(len(REQUEST))
        slot, colours = await self._camera(stream, reader), RgbConverter()
        while slot is not None:
            picture = await slot.take()
            if picture is None:
                return
            header, frame = picture
            image = await asyncio.to_thread(colours.rgb, frame)
            writer.write(pack_header(header))
            writer.write(image.data.cast("B"))
            async with asyncio.timeout(_SEND_S):
                await writer.drain()
            self.served += 1
            await reader.readexactly(len(REQUEST))

    async def _camera(self, stream: str, reader: asyncio.StreamReader) -> NewestSlot[CameraPicture] | None:
        """Wait for a camera; None if the reader goes away before."""

        async def arrival() -> NewestSlot[CameraPicture] | None:
            async with self._arrived:
                await self._arrived.wait_for(lambda: self._present[stream] is not None)
            return self._present[stream]

        waiting, leaving = asyncio.create_task(arrival()), asyncio.create_task(reader.read(1))
        await first_of(waiting, leaving)
        return waiting.result() if leaving.cancelled() else None
