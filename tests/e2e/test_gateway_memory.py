"""What sessions leave behind in a gateway."""

import gc
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from ssa_stream.nodes.gateway.webrtc.peer import Peer as Session
from tests.support.gateway import CameraTrack, Peer, gateway, until_no_peers
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_idle_threads", "media_on_loopback")]
CAMERAS = 2


def _sessions() -> int:
    """Sessions that are in memory, ended or not."""
    return sum(type(one) is Session for one in gc.get_objects())


async def test_ended_sessions_leave_memory_though_the_collector_never_runs_by_itself(tmp_path: Path) -> None:
    """Cameras come and go: their sessions are garbage that only the collector finds, and the gateway calls it."""
    gc.collect()
    gc.disable()
    try:
        async with gateway(tmp_path) as url, aiohttp.ClientSession() as session:
            for _ in range(CAMERAS):
                camera = Peer(CameraTrack([np.zeros((48, 64, 3), np.uint8)]))
                await camera.begin(session, url + "whip/cam")
                assert _sessions() >= 1
                await session.delete(url.rstrip("/") + camera.location)
                await camera.close()
            await until_no_peers(url)
            await until(lambda: _sessions() == 0, "the memory of the sessions")
    finally:
        gc.enable()
