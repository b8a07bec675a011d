"""A feed as a video track that aiortc sends."""

from collections.abc import Callable
from fractions import Fraction

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from ssa_stream.nodes.gateway.pictures.feed import CLOCK_RATE, FeedPicture
from ssa_stream.nodes.gateway.pictures.slot import NewestSlot

__all__ = ["FeedTrack"]

_TIME_BASE = Fraction(1, CLOCK_RATE)


class FeedTrack(MediaStreamTrack):
    """Sends the newest picture whenever the encoder has time.

    Args:
        slot: Of the feed.
        last_rtp: RTP time of what was sent last.
        on_origin: Told once what has to be added to a picture's time to get its RTP time.
        on_stop: Called when nobody sends it any more.
    """

    kind = "video"

    def __init__(
        self,
        slot: NewestSlot[FeedPicture],
        last_rtp: Callable[[], int],
        on_origin: Callable[[int], None],
        on_stop: Callable[[], None],
    ) -> None:
        super().__init__()
        self._slot, self._last_rtp, self._on_origin = slot, last_rtp, on_origin
        self._on_stop = on_stop
        self._last_pts: int | None = None
        self._is_origin_known = False

    async def recv(self) -> VideoFrame:
        """The next picture.

        Raises:
            MediaStreamError: There is none any more.
        """
        # When the next picture is asked for, the one before has been sent.
        if self._last_pts is not None and not self._is_origin_known:
            self._is_origin_known = True
            self._on_origin((self._last_rtp() - self._last_pts) % 2**32)
        picture = None if self.readyState != "live" else await self._slot.take()
        if picture is None:
            self.stop()
            raise MediaStreamError
        height, width = picture.shown_size  # browsers take pixels for square
        frame = picture.frame.reformat(format="yuv420p", width=width & ~1, height=height & ~1)
        if frame is picture.frame:  # others may send it with their own time
            frame = VideoFrame.from_ndarray(frame.to_ndarray(), format="yuv420p")
        frame.pts, frame.time_base = picture.pts, _TIME_BASE
        self._last_pts = picture.pts
        return frame

    @property
    def overtaken(self) -> int:
        """Pictures that a newer one replaced before the encoder had time."""
        return self._slot.overtaken

    def stop(self) -> None:
        """End the track."""
        super().stop()
        self._on_stop()
