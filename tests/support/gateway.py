"""Gateways in tests, and an independent WebRTC peer: aiortc, as any program may use it."""

import asyncio
import json
import re
import signal
import struct
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import aioice.ice
import numpy as np
import yaml
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from av import VideoFrame
from numpy.typing import NDArray

from ssa_stream.nodes.gateway.server import run_gateway
from ssa_stream.nodes.gateway.settings import GatewaySettings, PeerLimits, StreamAccess
from ssa_stream.nodes.runtime.tasks import first_of
from tests.support.command_line import CONSOLE_SCRIPT
from tests.support.waiting import until

__all__ = ["PATIENCE_S", "SDP", "CameraTrack", "Peer", "Served", "count_peers", "gateway", "serving", "until_no_peers"]

PATIENCE_S = 90.0
READY = re.compile(r"ready(?:, but .*)?: (?:.*; )?masks at (\S+),")
SDP = {"Content-Type": "application/sdp"}
STREAMS = {
    "cam": StreamAccess(kind="camera", label="a browser's camera"),
    "file": StreamAccess(kind="source", label="street.mp4"),
}


async def count_peers(url: str) -> int:
    """Peers of the gateway with its page at an address."""
    async with aiohttp.ClientSession() as session, session.get(url + "api/streams") as response:
        return int((await response.json())["peers"])


async def until_no_peers(url: str) -> None:
    """Wait until all peers are gone."""
    async with asyncio.timeout(PATIENCE_S):
        while await count_peers(url):  # noqa: ASYNC110  # it is over there that something happens
            await asyncio.sleep(0.05)


@asynccontextmanager
async def gateway(run_dir: Path, **settings: Any) -> AsyncIterator[str]:
    """A gateway without a graph in this process; gives the address of its page."""
    limits, incarnation = settings.pop("limits", {}), settings.pop("incarnation", 0)
    config = GatewaySettings(
        **{
            "port": 0,
            "publish": "tcp://127.0.0.1:1",
            "requests": "tcp://127.0.0.1:1",
            "run_dir": str(run_dir),
            "streams": STREAMS,
            "loopback_media": True,
            "limits": PeerLimits(**limits),
            **settings,
        }
    )
    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    before = aioice.ice.get_host_addresses
    task = asyncio.create_task(run_gateway(config, stop, url.set_result, incarnation=incarnation), name="gateway")
    try:
        await first_of(asyncio.shield(task), url)
        if task.done():
            task.result()
        yield url.result()
    finally:
        stop.set()
        await asyncio.wait([task])
        aioice.ice.get_host_addresses = before
        task.result()


class CameraTrack(VideoStreamTrack):
    """A camera that shows pictures `(H, W, 3)` uint8 RGB over and over, 30 a second."""

    def __init__(self, pictures: list[NDArray[np.uint8]]) -> None:
        super().__init__()
        self.pictures = pictures
        self.number = 0

    async def recv(self) -> VideoFrame:
        """The next one."""
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame.from_ndarray(self.pictures[self.number % len(self.pictures)], format="rgb24")
        self.number += 1
        frame.pts, frame.time_base = pts, time_base
        return frame


class Peer:
    """A peer with both data channels.

    Attributes:
        said: Messages about prompts.
        masks: Headers of mask messages.
        frames: Pictures that came.
    """

    def __init__(self, track: VideoStreamTrack | None = None) -> None:
        self.said: list[dict[str, Any]] = []
        self.masks: list[dict[str, Any]] = []
        self.frames: list[VideoFrame] = []
        self.location = ""
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        if track is not None:
            self.connection.addTrack(track)
        else:
            self.connection.addTransceiver("video", direction="recvonly")
        self.prompts: RTCDataChannel = self.connection.createDataChannel("prompts")
        self.mask_channel = self.connection.createDataChannel("masks")
        self.prompts.on("message", lambda text: self.said.append(json.loads(text)))
        self.mask_channel.on("message", lambda data: self.masks.append(_header(data)))
        self._reading: asyncio.Task[None] | None = None

    async def offer(self) -> str:
        """What it offers."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def begin(self, session: aiohttp.ClientSession, url: str, headers: dict[str, str] | None = None) -> None:
        """Offer, and take the answer."""
        async with session.post(url, data=await self.offer(), headers={**SDP, **(headers or {})}) as response:
            text = await response.text()
            assert response.status == 201, text
            self.location = response.headers["Location"]
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp=text, type="answer"))
        await until(lambda: self.prompts.readyState == "open", "a data channel")

    def watch(self) -> None:
        """Keep the pictures that come."""
        self._reading = asyncio.create_task(self._read(), name="pictures of a peer")

    async def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command; returns its answer."""
        command_id = len(self.said) + 1000
        self.prompts.send(json.dumps({**command, "id": command_id}))
        await until(lambda: any(one.get("id") == command_id for one in self.said), f"an answer to {command}")
        return next(one for one in self.said if one.get("id") == command_id)

    async def close(self) -> None:
        """Close the connection."""
        await self.connection.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        track = self.connection.getTransceivers()[0].receiver.track
        while True:
            frame = await track.recv()
            assert isinstance(frame, VideoFrame)
            self.frames.append(frame)


def _header(data: bytes) -> dict[str, Any]:
    (length,) = struct.unpack("<I", data[:4])
    header: dict[str, Any] = json.loads(data[4 : 4 + length])
    return header


@asynccontextmanager
async def serving(folder: Path, pipeline: dict[str, Any] | str, *options: str) -> AsyncIterator["Served"]:
    """`ssa-stream serve` as a process, from when it is ready; it is ended in order and has to end well.

    Args:
        folder: For files of this.
        pipeline: Its sections, or the name of a shipped one.
        options: Of the command.
    """
    public = {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"}
    file = folder / "pipeline.yaml"
    if isinstance(pipeline, str):
        options = (*options, *(word for name, address in public.items() for word in (f"--{name}", address)))
    else:
        file.write_text(yaml.safe_dump({"name": "page", "public": public, "flow": {"staleness_s": 20.0}, **pipeline}))
    named = pipeline if isinstance(pipeline, str) else str(file)
    with (folder / "serve.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(CONSOLE_SCRIPT), "serve", named, "--port", "0", "--loopback-media", "--threads", "1", *options,
            stderr=log, stdout=log,
        )  # fmt: skip
    served = Served(process, folder / "serve.log")
    try:
        await until(
            lambda: process.returncode is not None or (served.pages and READY.search(served.log)), "it is ready"
        )
        assert process.returncode is None, served.log
        yield served
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 0, served.log
        assert _folders_of(process.pid) == []
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _folders_of(pid: int) -> list[Path]:
    """Folders that a process left."""
    return list(Path(tempfile.gettempdir()).glob(f"ssa-page-{pid}-*"))


class Served:
    """A running `ssa-stream serve`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text(errors="replace")

    @property
    def pages(self) -> list[str]:
        """Addresses of its page, one for each start of the gateway."""
        return re.findall(r"event=page url=(\S+)", self.log)

    @property
    def publish_address(self) -> str:
        """Where it publishes."""
        found = READY.search(self.log)
        assert found is not None, self.log
        return found[1]

    def gateway_pid(self) -> int:
        """Process id of the gateway."""
        for listing in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            for pid in listing.read_text().split():
                if b"ssa_stream.nodes.gateway" in Path("/proc", pid, "cmdline").read_bytes():
                    return int(pid)
        raise AssertionError("there is no gateway")
