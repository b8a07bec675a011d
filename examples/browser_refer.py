"""Send a camera over WebRTC (WHIP) as a browser does, name something, and get its masks back.

You will see one line for each frame that has masks. The camera is a rendered scene, so nothing is needed but a gateway:

    ssa-stream serve
    python examples/browser_refer.py --prompt "the blue square moving left" --num-masks 5

    applies from frame 12
    frame 12: #1 0.86 at 402,254-473,325, 96 ms after the camera
    ...
"""

import argparse
import asyncio
import json
import struct
from typing import Any

import aiohttp
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from av import VideoFrame

from ssa_stream.printable import printable
from ssa_stream.sources import open_source

SIZE, FPS = "640x360", 30


class SceneCamera(VideoStreamTrack):
    """A camera in front of a made-up scene."""

    def __init__(self) -> None:
        super().__init__()
        self._source = open_source(f"synthetic@{SIZE},{FPS}fps", live=False)
        self._frames = self._source.frames()

    async def recv(self) -> VideoFrame:
        """The next picture, when it is time for it."""
        pts, time_base = await self.next_timestamp()
        picture = await asyncio.to_thread(next, self._frames)
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture.image), format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


def read_masks(data: bytes) -> dict[str, Any]:
    """Header of a message with masks; its label maps, LZ4 blocks, lie behind it."""
    (length,) = struct.unpack("<I", data[:4])
    header: dict[str, Any] = json.loads(data[4 : 4 + length])
    return header


def show(masks: dict[str, Any]) -> None:
    """Print what was found in one frame."""
    for track in masks["tracks"]:
        left, top, right, bottom = track["box"]
        age = "" if masks["latency_ms"] is None else f", {masks['latency_ms']:.0f} ms after the camera"
        print(f"frame {masks['index']}: #{track['id']} {track['score']:.2f} at {left},{top}-{right},{bottom}{age}")


async def refer(url: str, stream: str, prompt: str, num_masks: int, token: str | None) -> None:
    """Connect, ask, print, and end the session."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTrack(SceneCamera())
    prompts, masks = connection.createDataChannel("prompts"), connection.createDataChannel("masks")
    found: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=100)

    @masks.on("message")  # type: ignore[misc,unused-ignore]  # pyee is untyped in some versions
    def take(data: bytes) -> None:
        if not found.full():
            found.put_nowait(read_masks(data))

    @prompts.on("open")  # type: ignore[misc,unused-ignore]  # likewise
    def ask() -> None:
        prompts.send(json.dumps({"type": "set", "id": 1, "prompts": [prompt]}))

    @prompts.on("message")  # type: ignore[misc,unused-ignore]  # likewise
    def answered(text: str) -> None:
        answer = json.loads(text)
        if answer.get("id") == 1:
            print(printable(answer.get("text", "")) or f"applies from frame {answer['applies_from']['index']}")

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with aiohttp.ClientSession(headers=headers) as session:
            await connection.setLocalDescription(await connection.createOffer())
            offer, kind = connection.localDescription.sdp, {"Content-Type": "application/sdp"}
            async with session.post(f"{url}/whip/{stream}", data=offer, headers=kind) as response:
                answer = await response.text()
                if response.status != 201:
                    raise SystemExit(f"{response.status}: {answer.strip()}")
                location = response.headers["Location"]
            await connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
            for _ in range(num_masks):
                show(await found.get())
            await session.delete(url + location)
    finally:
        await connection.close()


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="of the gateway")
    parser.add_argument("--stream", default="camera", help="with source webrtc")
    parser.add_argument("--prompt", default="the red circle", help="what to look for")
    parser.add_argument("--num-masks", type=int, default=20, help="end after so many")
    parser.add_argument("--token", help="if the gateway wants one")
    options = parser.parse_args()
    asyncio.run(refer(options.url.rstrip("/"), options.stream, options.prompt, options.num_masks, options.token))


if __name__ == "__main__":
    main()
