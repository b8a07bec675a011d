"""The pictures of one stream for its viewers, and which masks belong to which."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import structlog
from av import VideoFrame

from ssa_stream.errors import MessageError
from ssa_stream.nodes.gateway.pictures.slot import NewestSlot
from ssa_stream.nodes.gateway.pictures.wire import (
    LENGTH_BYTES,
    REQUEST,
    PictureHeader,
    header_length,
    serve_connections,
    unpack_header,
)
from ssa_stream.protocols import FrameIdentity

__all__ = ["FeedPicture", "Pictures", "VideoFeed"]

CLOCK_RATE = 90_000
_MAX_KEPT = 600
_MAX_PICTURES = 48
_MIN_PICTURES, _MAX_PICTURE_BYTES = 6, 2**25
"""Of the graph's own sources, whose pictures come with their masks and may be large."""


@dataclass(frozen=True, slots=True, eq=False)
class FeedPicture:
    """A picture of a stream.

    Attributes:
        pts: When it came, in units of 1/90,000 s from the first one; grows.
        frame: The picture.
        sender_ns: When it was taken by the clock of the browser that sent it, since 1970; None if not known.
        pixel_aspect: Width of its pixels divided by their height.
    """

    pts: int
    frame: VideoFrame
    sender_ns: int | None = None
    pixel_aspect: Fraction = Fraction(1)

    @property
    def shown_size(self) -> tuple[int, int]:
        """Height and width that it has with square pixels, no side shorter than it is."""
        height, width, aspect = self.frame.height, self.frame.width, self.pixel_aspect
        return (height, round(width * aspect)) if aspect > 1 else (round(height / aspect), width)


class VideoFeed:
    """Hands pictures to viewers, newest first, and remembers the last ones.

    Args:
        is_camera: Whether frames are known by when they were received; else by epoch and number.
        clock_ns: Monotonic clock.

    Attributes:
        keeps_pictures: How many draw on pictures once their masks are there.
        on_picture: Called when a picture was taken in.
    """

    def __init__(self, *, is_camera: bool, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.keeps_pictures = 0
        self.on_picture: Callable[[], None] = lambda: None
        self._is_camera, self._clock_ns = is_camera, clock_ns
        self._begin_ns: int | None = None
        self._last_pts = -1
        self._times: OrderedDict[Hashable, tuple[int, int | None]] = OrderedDict()
        self._pictures: OrderedDict[Hashable, FeedPicture] = OrderedDict()
        self._viewers: set[NewestSlot[FeedPicture]] = set()

    def join(self) -> NewestSlot[FeedPicture]:
        """A slot that gets all pictures from now on."""
        slot: NewestSlot[FeedPicture] = NewestSlot()
        self._viewers.add(slot)
        return slot

    def leave(self, slot: NewestSlot[FeedPicture]) -> None:
        """The slot gets none any more."""
        self._viewers.discard(slot)
        slot.close()

    def push(
        self, key: Hashable, frame: VideoFrame, sender_ns: int | None = None, pixel_aspect: Fraction = Fraction(1)
    ) -> None:
        """A picture came.

        Args:
            key: What masks will say of it, see `key_of`.
            frame: The picture.
            sender_ns: See `FeedPicture`.
            pixel_aspect: Likewise.
        """
        picture = FeedPicture(self._next_pts(), frame, sender_ns, pixel_aspect)
        self._times[key] = picture.pts, sender_ns
        if len(self._times) > _MAX_KEPT:
            self._times.popitem(last=False)
        if self.keeps_pictures:
            self._pictures[key] = picture
        while len(self._pictures) > (self._room_for(frame) if self.keeps_pictures else 0):
            self._pictures.popitem(last=False)
        for slot in self._viewers:
            slot.put(picture)
        self.on_picture()

    def forget(self) -> None:
        """Let go of the pictures so far: another camera begins."""
        self._times.clear()
        self._pictures.clear()

    def key_of(self, frame: FrameIdentity) -> Hashable:
        """How the picture of a frame is called here."""
        return frame.t_receive_ns if self._is_camera else (frame.epoch, frame.seq)

    def times_of(self, frame: FrameIdentity) -> tuple[int | None, int | None]:
        """`pts` and `sender_ns` of a frame's picture; None where not known."""
        return self._times.get(self.key_of(frame), (None, None))

    def picture_of(self, frame: FrameIdentity) -> FeedPicture | None:
        """The picture of a frame, if it was kept."""
        return self._pictures.get(self.key_of(frame))

    @property
    def newest(self) -> FeedPicture | None:
        """The newest of the pictures that are kept."""
        return next(reversed(self._pictures.values()), None)

    def _room_for(self, frame: VideoFrame) -> int:
        """How many pictures such as this are kept."""
        if self._is_camera:
            return _MAX_PICTURES
        return min(_MAX_PICTURES, max(_MIN_PICTURES, _MAX_PICTURE_BYTES // (3 * frame.width * frame.height)))

    def _next_pts(self) -> int:
        now_ns = self._clock_ns()
        if self._begin_ns is None:
            self._begin_ns = now_ns
        self._last_pts = max(self._last_pts + 1, (now_ns - self._begin_ns) * CLOCK_RATE // 10**9)
        return self._last_pts


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

    async def run(self) -> None:
        """Serve until cancelled."""
        await serve_connections(self._path, self._take, limit=_BUFFER_BYTES)

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

    def _put(self, header: PictureHeader, pixels: bytes) -> None:
        feed = self._feeds.get(header.stream)
        if feed is not None:
            image = np.frombuffer(pixels, dtype=np.uint8).reshape(header.height, header.width, 3)
            frame = VideoFrame.from_ndarray(image, format="rgb24")
            feed.push((header.epoch, header.seq), frame, pixel_aspect=Fraction(*header.pixel_aspect))
