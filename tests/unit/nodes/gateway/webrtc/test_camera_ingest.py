"""Frames of a camera become pictures of the stream."""

from typing import Any

import av
import numpy as np

from ssa_stream.nodes.gateway.pictures.cameras import CameraPicture
from ssa_stream.nodes.gateway.pictures.feed import VideoFeed
from ssa_stream.nodes.gateway.pictures.slot import NewestSlot
from ssa_stream.nodes.gateway.webrtc.aiortc_changes import SenderClock
from ssa_stream.nodes.gateway.webrtc.camera_ingest import CameraIngest


def _picture(width: int = 32, height: int = 16, pts: int | None = 0) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.zeros((height, width, 3), dtype=np.uint8), format="rgb24")
    frame.pts = pts
    return frame


class _Cameras:
    """Where a camera is said to be gone."""

    ended = False

    def end(self, stream: str, slot: NewestSlot[CameraPicture]) -> None:
        """It is gone."""
        self.ended = True
        slot.close()


def _ingest(edge_px: int = 64) -> tuple[CameraIngest, NewestSlot[CameraPicture], SenderClock]:
    slot: NewestSlot[CameraPicture] = NewestSlot()
    clock = SenderClock()
    clock.map(0)
    cameras: Any = _Cameras()
    feed = VideoFeed(is_camera=True)
    times = {"monotonic_ns": lambda: 1_000_000_000, "utc_ns": lambda: 1_577_836_800 * 10**9}
    return CameraIngest("cam", cameras, slot, feed, clock, edge_px, **times), slot, clock


async def test_ingest_size_changes_epoch_begins() -> None:
    """Chromium changes the size in the middle of a stream as the network allows."""
    ingest, slot, _ = _ingest()
    headers = []
    for pts, width in ((0, 32), (3000, 32), (3000, 32), (6000, 48)):
        assert ingest.take(_picture(width, pts=pts)) is None
    taken = await slot.take()
    assert taken is not None
    headers.append(taken[0])
    assert (headers[0].epoch, headers[0].seq, headers[0].t, headers[0].width) == (1, 0, 6000 / 90_000, 48)
    assert (ingest.frames, ingest.overtaken) == (3, 2)  # the repeated time is no frame


async def test_ingest_sender_report_gives_capture_time() -> None:
    """The clocks agree, so that the age of the picture is known."""
    ingest, slot, clock = _ingest()
    clock.report((1_577_836_800 + 2_208_988_800 << 32), 9000)
    ingest.take(_picture(pts=0))
    taken = await slot.take()
    assert taken is not None
    assert taken[0].t_camera_ns == 1_577_836_800 * 10**9 - 100_000_000
    assert taken[0].t_capture_ns == 1_000_000_000 - 100_000_000


def test_ingest_too_large_is_refused() -> None:
    """With what came and what is allowed."""
    ingest, _, _ = _ingest(edge_px=40)
    exceeded = ingest.take(_picture(48))
    assert exceeded is not None
    assert exceeded.limit == "edge"
    assert "48x16" in exceeded.text
