"""Decoded frames of a peer's camera become pictures of the stream."""

import time
from collections.abc import Callable

from av import VideoFrame

from ssa_stream.nodes.gateway.pictures.cameras import CameraPicture, Cameras
from ssa_stream.nodes.gateway.pictures.feed import VideoFeed
from ssa_stream.nodes.gateway.pictures.slot import NewestSlot
from ssa_stream.nodes.gateway.pictures.wire import PictureHeader
from ssa_stream.nodes.gateway.webrtc.aiortc_changes import CLOCK_RATE, SenderClock
from ssa_stream.nodes.gateway.webrtc.limits import LimitExceeded
from ssa_stream.sources.capture_time import CameraClock
from ssa_stream.sources.source import Completion

__all__ = ["CameraIngest"]


class CameraIngest:
    """One camera from its begin to its end.

    Args:
        stream: Whose camera it is.
        cameras: Where the ingest node takes its pictures.
        slot: Of the camera there.
        feed: Where viewers take them.
        clock: The sender's.
        edge_px: Longest edge that is taken.
        on_end: Called once when the camera is gone.
        monotonic_ns: Host's clock.
        utc_ns: Host's wall clock.

    Attributes:
        frames: Pictures so far.
    """

    def __init__(
        self,
        stream: str,
        cameras: Cameras,
        slot: NewestSlot[CameraPicture],
        feed: VideoFeed,
        clock: SenderClock,
        edge_px: int,
        *,
        on_end: Callable[[], object] = lambda: None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        utc_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.frames = 0
        self._stream, self._cameras, self._slot, self._feed = stream, cameras, slot, feed
        self._clock, self._edge_px = clock, edge_px
        self._on_end, self._is_ended = on_end, False
        self._monotonic_ns, self._utc_ns = monotonic_ns, utc_ns
        self._camera_clock = CameraClock()
        self._size: tuple[int, int] | None = None
        self._epoch, self._seq = -1, 0
        self._last_pts = -1

    @property
    def overtaken(self) -> int:
        """Pictures that a newer one replaced before the ingest node asked; it counts them by their missing numbers."""
        return self._slot.overtaken

    def take(self, frame: VideoFrame, complete_at: Completion | None = None) -> LimitExceeded | None:
        """A frame came.

        Args:
            frame: Decoded.
            complete_at: How the ends of frames are found at present.

        Returns:
            Why the camera cannot be taken; None if it can.
        """
        size = frame.height, frame.width
        if max(size) > self._edge_px:
            text = f"the camera sends {frame.width}x{frame.height} pixels; at most {self._edge_px} in each direction"
            return LimitExceeded("edge", text)
        received_ns, pts = self._monotonic_ns(), frame.pts
        if pts is None or pts <= self._last_pts:
            return None
        self._last_pts = pts
        if size != self._size:
            self._size, self._epoch, self._seq = size, self._epoch + 1, 0
        camera_ns = self._clock.utc_ns(pts)
        header = PictureHeader(
            height=size[0],
            width=size[1],
            stream=self._stream,
            epoch=self._epoch,
            seq=self._seq,
            t=pts / CLOCK_RATE,
            t_receive_ns=received_ns,
            pts=pts,
            t_camera_ns=camera_ns,
            t_capture_ns=None if camera_ns is None else self._on_host(camera_ns, received_ns),
            complete_at=complete_at,
        )
        self._seq += 1
        self.frames += 1
        self._slot.put((header, frame))
        self._feed.push(received_ns, frame, camera_ns)
        return None

    def close(self) -> None:
        """The camera is gone; may be called again."""
        if not self._is_ended:
            self._is_ended = True
            self._cameras.end(self._stream, self._slot)
            self._on_end()

    def _on_host(self, camera_ns: int, received_ns: int) -> int | None:
        return self._camera_clock.to_monotonic_ns(camera_ns, received_ns=received_ns, received_utc_ns=self._utc_ns())
