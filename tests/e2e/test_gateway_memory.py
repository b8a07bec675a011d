"""What sessions leave behind in a gateway."""

import gc
import weakref
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from ssa_stream.nodes.gateway.webrtc.peer import Peer as Session
from tests.support.gateway import CameraTrack, Peer, gateway
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_idle_threads", "media_on_loopback")]
CAMERAS = 2


def _session() -> "weakref.ref[Session]":
    """The newest one in memory."""
    return weakref.ref(next(one for one in reversed(gc.get_objects()) if type(one) is Session))


async def test_ended_sessions_leave_memory_though_the_collector_never_runs_by_itself(tmp_path: Path) -> None:
    """Cameras come and go: their sessions are circles that only the collector finds, and the gateway calls it."""
    gc.collect()
    gc.disable()
    try:
        async with gateway(tmp_path) as url, aiohttp.ClientSession() as session:
            ended = []
            for _ in range(CAMERAS):
                camera = Peer(CameraTrack([np.zeros((48, 64, 3), np.uint8)]))
                await camera.begin(session, url + "whip/cam")
                ended.append(_session())
                await session.delete(url.rstrip("/") + camera.location)
                await camera.close()
            assert len(set(map(id, ended))) == CAMERAS
            await until(lambda: all(one() is None for one in ended), "the memory of the sessions")
    finally:
        gc.enable()
