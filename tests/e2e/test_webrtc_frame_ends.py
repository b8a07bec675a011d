"""Frames of a browser's camera are complete at their markers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction

import numpy as np
import pytest
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    VideoStreamTrack,
)
from av import VideoFrame

from ssa_stream.nodes.gateway.webrtc.aiortc_changes import ReceiverGuard
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("media_on_loopback", "no_idle_threads")]

TRIAL = 6
PATIENCE_S = 20.0


class _Camera(VideoStreamTrack):
    """Sends a picture when one is put in."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: asyncio.Queue[VideoFrame] = asyncio.Queue()

    async def recv(self) -> VideoFrame:
        """The next one, which may take for ever."""
        return await self.pictures.get()


def _picture(number: int) -> VideoFrame:
    """A picture that takes several packets."""
    noise = np.random.default_rng(number).integers(0, 256, (45, 80, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(noise), format="rgb24")
    frame.pts, frame.time_base = number * 18_000, Fraction(1, 90_000)
    return frame


@asynccontextmanager
async def _connected(camera: _Camera, codec: str) -> AsyncIterator[tuple[RTCRtpReceiver, ReceiverGuard]]:
    sending, receiving = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    try:
        sending.addTrack(camera)
        codecs = [one for one in RTCRtpSender.getCapabilities("video").codecs if one.mimeType == f"video/{codec}"]
        sending.getTransceivers()[0].setCodecPreferences(codecs)
        await sending.setLocalDescription(await sending.createOffer())
        await receiving.setRemoteDescription(sending.localDescription)
        receiver = receiving.getTransceivers()[0].receiver
        guard = ReceiverGuard(receiver)
        await receiving.setLocalDescription(await receiving.createAnswer())
        await sending.setRemoteDescription(receiving.localDescription)
        await until(lambda: receiving.connectionState == "connected", "a connection")
        yield receiver, guard
    finally:
        await sending.close()
        await receiving.close()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_picture_arrives_before_the_next_one_is_sent(codec: str) -> None:
    """The camera sends nothing more until a picture has arrived, once its markers are trusted."""
    camera = _Camera()
    async with _connected(camera, codec) as (receiver, guard), asyncio.timeout(PATIENCE_S):
        # Each of the first pictures comes with the next one; those that wait for each other here are one behind.
        for number in range(TRIAL + 1):
            await camera.pictures.put(_picture(number))
            if number:
                assert (await receiver.track.recv()).pts == (number - 1) * 18_000
        assert (await receiver.track.recv()).pts == TRIAL * 18_000
        for number in range(TRIAL + 1, TRIAL + 5):
            await camera.pictures.put(_picture(number))
            assert (await receiver.track.recv()).pts == number * 18_000
        assert guard.complete_at == "marker"
        assert guard.backlog.dropped == 0
