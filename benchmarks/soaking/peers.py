"""Peers of the gateway, each in a process of its own, so that it can vanish: a camera, and somebody who watches."""

import asyncio
import fractions
import multiprocessing
import time
from collections.abc import Callable
from contextlib import suppress
from ctypes import c_longlong
from multiprocessing.synchronize import Event
from typing import NamedTuple

import aiohttp
import aioice.ice
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from ssa_stream.data import demo_scene, render

__all__ = ["PeerProcess", "Seen"]

_CLOCK_RATE = 90_000
_SCENE_FRAMES = 30
_AGAIN_S, _LEAVE_S = 0.5, 10.0
_SPAWN = multiprocessing.get_context("spawn")


class Seen(NamedTuple):
    """What a peer has done so far; shared by two processes, written by one.

    Attributes:
        tries_ns: When it first tried to connect, on the monotonic clock; 0 before.
        pictures: Pictures that it sent, or got.
        masks: Messages with masks that it got.
    """

    tries_ns: c_longlong
    pictures: c_longlong
    masks: c_longlong


class PeerProcess:
    """A peer that may vanish.

    Args:
        address: Where to post its offer.
        fps: Rate of its camera; 0 for one who watches.
        size: Width and height of the camera's picture.
    """

    def __init__(self, address: str, *, fps: int = 0, size: tuple[int, int] = (160, 96)) -> None:
        self.seen = Seen(*(_SPAWN.RawValue(c_longlong, 0) for _ in Seen._fields))
        self._leave = _SPAWN.Event()
        arguments = (address, fps, size, self.seen, self._leave)
        self._process = _SPAWN.Process(target=_run, args=arguments, name=address, daemon=True)
        self._process.start()

    def vanish(self) -> None:
        """End as if the cable were cut."""
        self._process.kill()
        self._process.join()

    def leave(self) -> None:
        """End in order; in vain, vanish."""
        self._leave.set()
        self._process.join(_LEAVE_S)
        self.vanish()


class _Camera(MediaStreamTrack):
    """A camera in front of the demo's scene, at a rate that a small machine keeps up with."""

    kind = "video"

    def __init__(self, fps: int, size: tuple[int, int], seen: Seen) -> None:
        super().__init__()
        scene = demo_scene(*size, _SCENE_FRAMES)
        self._pictures = [np.ascontiguousarray(render(scene, number).image) for number in range(_SCENE_FRAMES)]
        self._fps, self._seen, self._number = fps, seen, 0
        self._begin_s: float | None = None

    async def recv(self) -> VideoFrame:
        """The next picture, when it is time for it."""
        now_s = time.monotonic()
        self._begin_s = now_s if self._begin_s is None else self._begin_s
        await asyncio.sleep(self._begin_s + self._number / self._fps - now_s)
        frame = VideoFrame.from_ndarray(self._pictures[self._number % _SCENE_FRAMES], format="rgb24")
        frame.pts, frame.time_base = self._number * _CLOCK_RATE // self._fps, fractions.Fraction(1, _CLOCK_RATE)
        self._number += 1
        self._seen.pictures.value += 1
        return frame


def _run(address: str, fps: int, size: tuple[int, int], seen: Seen, leave: Event) -> None:
    """The process of a peer."""
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    with suppress(KeyboardInterrupt):
        while not leave.is_set():  # on a busy machine a connection may take longer than the gateway waits for it
            asyncio.run(_session(address, _Camera(fps, size, seen) if fps else None, seen, leave))


async def _session(address: str, camera: _Camera | None, seen: Seen, leave: Event) -> None:
    """Connect; stay until told to leave, or until the connection is lost."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    masks = connection.createDataChannel("masks")
    masks.on("message", lambda _: _count(seen.masks))
    if camera is None:
        connection.addTransceiver("video", direction="recvonly")
    else:
        connection.addTrack(camera)
    watching = None
    try:
        async with aiohttp.ClientSession() as session:
            await connection.setLocalDescription(await connection.createOffer())
            seen.tries_ns.value = seen.tries_ns.value or time.monotonic_ns()
            answer, place = await _answer(session, address, connection.localDescription.sdp, leave.is_set)
            await connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
            if camera is None:
                watching = asyncio.create_task(_watch(connection, seen))
            while not await asyncio.to_thread(leave.wait, _AGAIN_S):
                if connection.connectionState in ("failed", "closed"):
                    return
            await session.delete(place)
    finally:
        await connection.close()
        if watching is not None:
            await watching


async def _answer(
    session: aiohttp.ClientSession, address: str, offer: str, is_over: Callable[[], bool]
) -> tuple[str, str]:
    """The gateway's answer and the address of the session. A camera that vanished may still have its place."""
    while not is_over():
        with suppress(aiohttp.ClientError):
            async with session.post(address, data=offer, headers={"Content-Type": "application/sdp"}) as response:
                if response.status == 201:
                    return await response.text(), str(response.url.with_path(response.headers["Location"]))
        await asyncio.sleep(_AGAIN_S)
    raise SystemExit


async def _watch(connection: RTCPeerConnection, seen: Seen) -> None:
    """Take pictures until they end."""
    track = connection.getTransceivers()[0].receiver.track
    with suppress(MediaStreamError):
        while True:
            await track.recv()
            _count(seen.pictures)


def _count(number: c_longlong) -> None:
    number.value += 1
