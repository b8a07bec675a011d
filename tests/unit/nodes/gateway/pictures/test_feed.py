"""Pictures for viewers, and masks that find them."""

from fractions import Fraction

import av
import numpy as np
import pytest

from ssa_stream.nodes.gateway.pictures.feed import FeedPicture, VideoFeed
from ssa_stream.nodes.gateway.webrtc.track import FeedTrack
from ssa_stream.protocols import FrameIdentity


def _picture(width: int = 32, height: int = 16, pts: int | None = 0) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.zeros((height, width, 3), dtype=np.uint8), format="rgb24")
    frame.pts = pts
    return frame


def _frame(received_ns: int, epoch: int = 0, seq: int = 0) -> FrameIdentity:
    return FrameIdentity(
        stream="cam", epoch=epoch, seq=seq, index=0, t=0.0, t_receive_ns=received_ns, receive_clock="monotonic:x"
    )


def test_feed_camera_masks_find_their_picture() -> None:
    """By when it was received; pictures are kept only while somebody draws on them."""
    now = [0]
    feed = VideoFeed(is_camera=True, clock_ns=lambda: now[0])
    feed.push(100, _picture(), sender_ns=55)
    now[0] = 10**9
    feed.push(200, _picture())
    assert feed.times_of(_frame(100)) == (0, 55)
    assert feed.times_of(_frame(200)) == (90_000, None)
    assert feed.times_of(_frame(300)) == (None, None)
    assert feed.picture_of(_frame(200)) is None
    feed.keeps_pictures = 1
    feed.push(300, _picture())
    assert feed.picture_of(_frame(300)) is not None


async def test_feed_viewers_get_newest_until_they_leave() -> None:
    """Two pictures at the same time of the clock still have times that grow."""
    feed = VideoFeed(is_camera=False, clock_ns=lambda: 0)
    slot = feed.join()
    feed.push((0, 1), _picture())
    feed.push((0, 2), _picture())
    newest = await slot.take()
    assert newest is not None
    assert (newest.pts, slot.overtaken, feed.times_of(_frame(0, 0, 1))) == (1, 1, (0, None))
    feed.leave(slot)
    feed.push((0, 3), _picture())
    assert await slot.take() is None


@pytest.mark.parametrize(
    ("pixel_aspect", "shown"), [(Fraction(1), (16, 32)), (Fraction(2), (16, 64)), (Fraction(1, 2), (32, 32))], ids=str
)
async def test_feed_pictures_are_sent_with_square_pixels(pixel_aspect: Fraction, shown: tuple[int, int]) -> None:
    """WebRTC knows no others; no side gets shorter."""
    feed = VideoFeed(is_camera=False, clock_ns=lambda: 0)
    slot = feed.join()
    feed.push((0, 1), _picture(), pixel_aspect=pixel_aspect)
    track = FeedTrack(slot, lambda: 0, lambda _: None, lambda: None)
    sent = await track.recv()
    track.stop()
    assert (sent.height, sent.width) == shown == FeedPicture(0, _picture(), None, pixel_aspect).shown_size
