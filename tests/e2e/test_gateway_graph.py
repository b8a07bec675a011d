"""`ssa-stream serve` with an independent WebRTC peer (aiortc): a camera in, masks and drawn pictures out."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.data import demo_scene, render
from tests.support.command_line import run_command, write_tiny_config
from tests.support.gateway import PATIENCE_S, CameraTrack, Peer, Served, serving
from tests.support.threads import in_thread
from tests.support.waiting import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.usefixtures("warm_python", "no_idle_threads", "media_on_loopback"),
]

PIPELINE: dict[str, Any] = {
    "session": {"window": 2, "short_edge_px": 64},
    "streams": {"cam": {"source": "webrtc", "prompts": ["the red circle"]}},
}
SCENE: dict[str, Any] = {
    **PIPELINE,
    "streams": {"scene": {"source": "synthetic@160x96,10fps", "live": True, "prompts": ["the red circle"]}},
}


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    """What the camera sees."""
    scene = demo_scene(160, 96, 30)
    return [np.ascontiguousarray(render(scene, number).image) for number in range(30)]


def _tiny(pipeline: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The pipeline with a network that is made in no time."""
    return {**pipeline, "model": {"name": str(write_tiny_config(folder)), "random_weights": True}}


async def _until_metrics_say(session: aiohttp.ClientSession, served: Served, *lines: str) -> None:
    """Wait until they hold all the lines, or beginnings of lines."""
    missing = set(lines)
    async with asyncio.timeout(PATIENCE_S):
        while missing:
            async with session.get(served.pages[-1] + "metrics") as response:
                text = await response.text()
            missing = {line for line in lines if line not in text}
            await asyncio.sleep(0.1)


async def test_camera_comes_masks_go_back_prompts_change_camera_comes_again(
    tmp_path: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    """All of it in one graph, as starting one takes long."""
    async with serving(tmp_path, _tiny(PIPELINE, tmp_path)) as served, aiohttp.ClientSession() as session:
        url = served.pages[0]
        peer = Peer(CameraTrack(pictures))
        await peer.begin(session, url + "whip/cam")
        await until(lambda: len(peer.masks) >= 3, "masks")
        first = peer.masks[0]
        assert (first["prompt"], first["source_size"]) == ("p1", [96, 160])
        assert first["video_pts"] is not None

        answer = await peer.ask(type="add", text="the blue square")
        added = answer["prompts"][-1]
        assert (added["text"], answer["version"]) == ("the blue square", added["version"])
        await until(lambda: any(one["prompt"] == added["id"] for one in peer.masks), "masks of the new prompt")
        new = [one for one in peer.masks if one["prompt"] == added["id"]]
        applies = answer["applies_from"]
        assert all((one["epoch"], one["seq"]) >= (applies["epoch"], applies["seq"]) for one in new)
        refused = await peer.ask(type="remove", prompt_id="none")
        assert (refused["type"], refused["code"]) == ("error", "unknown_prompt")

        viewer = Peer()
        await viewer.begin(session, url + "whep/cam?overlay=1")
        viewer.watch()
        await until(lambda: len(viewer.frames) >= 2, "drawn pictures")
        assert (viewer.frames[0].width, viewer.frames[0].height) == (160, 96)
        await viewer.close()

        # The sender's clock is this machine's, so the age of its pictures is known once it reported.
        await until(lambda: peer.masks[-1]["sender_ms"] is not None, "a sender report")
        assert 0 < peer.masks[-1]["latency_ms"] < 120_000

        # Its markers are trusted by now, so each picture is out at its last packet.
        address = served.publish_address
        shown = await in_thread(lambda: run_command("status", "--json", "--address", address, cwd=tmp_path))
        assert json.loads(shown.stdout)["streams"]["cam"]["source"]["complete_at"] == "marker"

        last_epoch, last_index = peer.masks[-1]["epoch"], peer.masks[-1]["index"]
        async with session.delete(url.rstrip("/") + peer.location) as response:
            assert response.status == 200
        await peer.close()
        again = Peer(CameraTrack(pictures))
        await again.begin(session, url + "whip/cam")
        await until(lambda: any(one["epoch"] > last_epoch for one in again.masks), "masks of the second camera")
        # Nothing of the first camera: neither its last masks nor its tracks.
        assert all(one["epoch"] > last_epoch and one["index"] > last_index for one in again.masks)
        assert {one["text"] for one in (await again.ask(type="list"))["prompts"]} == {
            "the red circle",
            "the blue square",
        }
        await again.close()


async def test_watched_source_pictures_can_be_told_by_their_time(tmp_path: Path) -> None:
    """A viewer of the graph's own source gets pictures, masks, and the RTP time of the picture of each mask."""
    async with serving(tmp_path, _tiny(SCENE, tmp_path)) as served, aiohttp.ClientSession() as session:
        viewer = Peer()
        await viewer.begin(session, served.pages[0] + "whep/scene")
        viewer.watch()
        await until(lambda: len(viewer.frames) >= 4 and len(viewer.masks) >= 4, "pictures and masks")
        await until(lambda: any(one["type"] == "video" for one in viewer.said), "the origin of RTP times")
        origin = next(one["rtp_origin"] for one in viewer.said if one["type"] == "video")
        mapper = vars(viewer.connection.getTransceivers()[0].receiver)["_RTCRtpReceiver__timestamp_mapper"]

        def shared() -> set[int]:
            """RTP times of pictures that came, and of masks that came."""
            pictures = {(mapper._origin + frame.pts) % 2**32 for frame in viewer.frames if frame.pts is not None}
            return pictures & {(origin + one["video_pts"]) % 2**32 for one in viewer.masks}

        await until(lambda: len(shared()) >= 3, "pictures whose masks came as well")

        async with session.get(served.pages[0] + "readyz") as response:
            assert (response.status, (await response.json())["ok"]) == (200, True)
        changed = await viewer.ask(type="add", text="the blue square")
        os.kill(served.gateway_pid(), signal.SIGKILL)
        await until(lambda: len(served.pages) == 2, "the gateway is started again")
        again = Peer()
        await again.begin(session, served.pages[1] + "whep/scene")
        # Without asking: the page shows what the graph looks for.
        await until(lambda: any(one["type"] == "prompts" for one in again.said), "the prompts")
        greeting = next(one for one in again.said if one["type"] == "prompts")
        assert (greeting["prompts"], greeting["version"]) == (changed["prompts"], changed["version"])
        await until(lambda: len(again.masks) >= 2, "masks after the restart")
        await _until_metrics_say(
            session,
            served,
            'ssa_stream_node_losses_total{node="gateway-0"} 1.0',
            'ssa_stream_node_ready{node="gateway-0"} 1.0',
            'ssa_stream_queue_peers_length{node="gateway-0"} 1.0',
            'ssa_stream_count_masks_sent_total{node="gateway-0",stream="scene"}',
        )
        await again.close()
        await viewer.close()
