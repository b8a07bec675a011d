"""How old a picture is when it comes out of a camera's connection: complete at its marker, or when the next one begins.

    python -m benchmarks.age            # a minute and a half

A camera in this process sends pictures at 5 and at 30 a second, over RTSP (H.264, 160x96) and over WebRTC (VP8,
640x360). The age of a picture is the time from when its packets are sent to when it is decoded; encoding is not in it.
Where aiortc's encoder is late, the camera leaves pictures out. Both ways are measured in turns within one run; the
first pictures are left out. Prints a table in Markdown, and the load of the machine, which is in every figure.
"""

import argparse
import asyncio
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import aioice.ice
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, VideoStreamTrack
from av import VideoFrame

from ssa_stream.errors import SourceError
from ssa_stream.nodes.gateway.webrtc.aiortc_changes import ReceiverGuard
from ssa_stream.sources import NetworkSource
from tests.support.scripted_camera import Packetizer, encode_pictures, scripted_camera

CLOCK_RATE = 90_000
RTCP_TYPES = range(64, 96)
UNTRUSTED = 8
"""Pictures at the beginning that are left out."""
FFMPEG_PARSES = {"fflags": "+autobsf"}
PATIENCE_S = 10.0
LAST_S = 0.3
"""For the last pictures to arrive."""


def rtsp_ages_ms(fps: int, count: int, *, at_marker: bool) -> list[float]:
    """Ages of the pictures of an RTSP camera."""
    pictures = encode_pictures(count, options={"tune": "zerolatency"}, fps=fps)
    packetizer = Packetizer(size=1200)
    sent_ns: list[int] = []
    ages: list[float] = []
    with scripted_camera() as camera:

        def send() -> None:
            due_s = time.monotonic()
            for picture in pictures:
                packets = packetizer.packets(picture)
                time.sleep(max(0.0, due_s - time.monotonic()))
                due_s += 1 / fps
                sent_ns.append(time.monotonic_ns())
                camera.send(packets)
            camera.hang_up()

        thread = threading.Thread(target=send)
        thread.start()
        source = NetworkSource(camera.url, options=None if at_marker else FFMPEG_PARSES)
        try:
            for frame in source.frames():
                if frame.pts is None or frame.time_base is None:  # of the first one
                    continue
                number = round(frame.pts * frame.time_base * fps)
                if UNTRUSTED <= number < count - 1:  # the last one ends with the connection
                    ages.append((frame.t_receive_ns - sent_ns[number]) / 1e6)
        except SourceError:  # the camera hung up
            pass
        thread.join()
    return ages


class _Camera(VideoStreamTrack):
    """Has a new picture at each interval, and none older.

    Attributes:
        is_over: Set when there is no more.
    """

    def __init__(self, fps: int, count: int) -> None:
        super().__init__()
        self.is_over = asyncio.Event()
        self._fps, self._count, self._next, self._begun_s = fps, count, 0, 0.0
        self._noise = np.random.default_rng(1).integers(0, 256, (45, 80, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)

    async def recv(self) -> VideoFrame:
        """The next picture, when it is due."""
        now_s = time.monotonic()
        self._begun_s = self._begun_s or now_s
        number = max(self._next, int((now_s - self._begun_s) * self._fps))
        self._next = number + 1
        if number >= self._count:
            self.is_over.set()
            await asyncio.Event().wait()  # until the connection is closed
        await asyncio.sleep(max(0.0, self._begun_s + number / self._fps - now_s))
        pixels = np.ascontiguousarray(np.roll(self._noise, 4 * number, axis=1))
        picture = VideoFrame.from_ndarray(pixels, format="rgb24")
        picture.pts, picture.time_base = number * CLOCK_RATE // self._fps, Fraction(1, CLOCK_RATE)
        return picture


def _note_sent(connection: RTCPeerConnection, fps: int) -> dict[int, float]:
    """When the last packet of each picture is sent, by its number."""
    transport: Any = connection.getTransceivers()[0].sender.transport
    send, sent_s = transport._send_rtp, dict[int, float]()
    first: int | None = None

    async def noted(data: bytes) -> None:
        nonlocal first
        if data[1] & 0x7F not in RTCP_TYPES:
            time_of_picture = int.from_bytes(data[4:8], "big")
            first = time_of_picture if first is None else first
            sent_s[round((time_of_picture - first) % (1 << 32) * fps / CLOCK_RATE)] = time.monotonic()
        await send(data)

    transport._send_rtp = noted
    return sent_s


def webrtc_ages_ms(fps: int, count: int, *, at_marker: bool) -> list[float]:
    """Ages of the pictures of a WebRTC peer."""
    return asyncio.run(_webrtc_ages_ms(fps, count, at_marker=at_marker))


async def _webrtc_ages_ms(fps: int, count: int, *, at_marker: bool) -> list[float]:
    sending, receiving = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    camera = _Camera(fps, count)
    sending.addTrack(camera)
    await sending.setLocalDescription(await sending.createOffer())
    await receiving.setRemoteDescription(sending.localDescription)
    receiver: Any = receiving.getTransceivers()[0].receiver
    ReceiverGuard(receiver)
    if not at_marker:
        receiver._RTCRtpReceiver__jitter_buffer._rule.refute()  # as a sender does whose markers cannot be trusted
    await receiving.setLocalDescription(await receiving.createAnswer())
    sent_s = _note_sent(sending, fps)
    await sending.setRemoteDescription(receiving.localDescription)
    while receiving.connectionState != "connected":  # noqa: ASYNC110  # a few milliseconds, once
        await asyncio.sleep(0.01)
    ages: list[float] = []

    async def receive() -> None:
        while True:
            frame = await receiver.track.recv()
            number = round(frame.pts * fps / CLOCK_RATE)
            if number >= UNTRUSTED:
                ages.append((time.monotonic() - sent_s[number]) * 1e3)

    reading = asyncio.create_task(receive())
    async with asyncio.timeout(PATIENCE_S + count / fps):
        await camera.is_over.wait()
    await asyncio.sleep(LAST_S)
    if reading.done():
        reading.result()
    reading.cancel()
    await sending.close()
    await receiving.close()
    return ages


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each stream")
    parser.add_argument("--rounds", type=int, default=2, help="each way takes turns so often")
    arguments = parser.parse_args()
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    print(f"load before: {os.getloadavg()[0]:.1f}")
    print("| camera | fps | next picture: p50 ms | p95 ms | marker: p50 ms | p95 ms | p50 ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    ways: dict[str, Callable[..., list[float]]] = {"RTSP": rtsp_ages_ms, "WebRTC": webrtc_ages_ms}
    for name, ages_ms in ways.items():
        for fps in (5, 30):
            count = UNTRUSTED + 1 + round(arguments.seconds * fps)
            ages: dict[bool, list[float]] = {False: [], True: []}
            for _ in range(arguments.rounds):
                for at_marker in (False, True):
                    ages[at_marker] += ages_ms(fps, count, at_marker=at_marker)
            if min(len(one) for one in ages.values()) < 2:
                sys.exit("too few pictures came to say how old they are: the machine is too busy; try again later")
            figures = [(statistics.median(one), statistics.quantiles(one, n=20)[-1]) for one in ages.values()]
            cells = " | ".join(f"{p50:.1f} | {p95:.1f}" for p50, p95 in figures)
            print(f"| {name} | {fps} | {cells} | {figures[0][0] / figures[1][0]:.1f} |", flush=True)
    print(f"load after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
