"""What faults happen to: the RTSP server, the camera behind WebRTC, and somebody who watches."""

import time
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path

import cv2

from benchmarks.soaking.masks import MaskLog
from benchmarks.soaking.peers import PeerProcess, Seen
from ssa_stream.data import demo_scene, render
from tests.support.rtsp_server import RtspServer, rtsp_server

__all__ = ["PeerTarget", "RtspTarget", "Target"]

_SCENE_FRAMES = 30


class Target(ABC):
    """Something that faults happen to."""

    @abstractmethod
    def start(self) -> None:
        """Begin, or come back."""

    @abstractmethod
    def suffer(self, kind: str) -> None:
        """A fault begins."""

    @abstractmethod
    def come_back(self, kind: str) -> None:
        """The fault is over: from now on all could work."""

    @abstractmethod
    def recovered_ns(self) -> tuple[int, int] | None:
        """Since it came back last: when it could work, and when it did again; None before that."""

    @abstractmethod
    def stop(self) -> None:
        """End for good."""


class RtspTarget(Target):
    """A real RTSP server that shows the demo's scene.

    Args:
        folder: For its pictures.
        size: Width and height.
        fps: Rate.
        port: To listen at.
        stream: Whose masks tell that it is back.
        masks: See there.
    """

    def __init__(self, folder: Path, size: tuple[int, int], fps: int, port: int, stream: str, masks: MaskLog) -> None:
        self._folder, self._size, self._fps, self._port = folder, size, fps, port
        self._stream, self._masks = stream, masks
        self._running = ExitStack()
        self._server: RtspServer | None = None
        self._back_ns = 0
        scene = demo_scene(*size, _SCENE_FRAMES)
        for number in range(_SCENE_FRAMES):
            picture = cv2.cvtColor(render(scene, number).image, cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(folder / f"{number:03d}.jpg"), picture)

    def start(self) -> None:
        """Begin, or come back."""
        size = "x".join(map(str, self._size))
        running = rtsp_server(
            port=self._port, size=size, fps=self._fps, pictures=self._folder, key_interval=2 * self._fps
        )
        self._server = self._running.enter_context(running)
        self._back_ns = time.monotonic_ns()

    def suffer(self, kind: str) -> None:
        """A fault begins."""
        assert self._server is not None
        if kind == "killed":
            self._running.close()
        else:
            self._server.stall()

    def come_back(self, kind: str) -> None:
        """The fault is over: from now on all could work."""
        assert self._server is not None
        if kind == "killed":
            self.start()
        else:
            self._server.resume()
            self._back_ns = time.monotonic_ns()

    def recovered_ns(self) -> tuple[int, int] | None:
        """Since it came back last: when it could work, and when its masks came again; None before that."""
        came_ns = self._masks.first_after(self._stream, self._back_ns)
        return None if came_ns is None else (self._back_ns, came_ns)

    def stop(self) -> None:
        """End for good, as if killed."""
        self._running.close()


class PeerTarget(Target):
    """A peer of the gateway: a camera, or somebody who watches.

    Args:
        address: Where to post its offer.
        size: Of the camera's picture.
        fps: Of the camera; 0 for one who watches.
        stream: Whose masks tell that the camera is back; its own pictures tell it of one who watches.
        masks: See there.

    Attributes:
        lives: What each peer, one after the other, has done.
    """

    def __init__(self, address: str, size: tuple[int, int], fps: int, stream: str, masks: MaskLog) -> None:
        self.lives: list[Seen] = []
        self._address, self._size, self._fps = address, size, fps
        self._stream, self._masks = stream, masks
        self._peer: PeerProcess | None = None

    def start(self) -> None:
        """Begin, or come back."""
        self._peer = PeerProcess(self._address, fps=self._fps, size=self._size)
        self.lives.append(self._peer.seen)

    def suffer(self, kind: str) -> None:
        """A fault begins."""
        assert self._peer is not None
        if kind == "vanished":
            self._peer.vanish()
        else:
            self._peer.leave()

    def come_back(self, kind: str) -> None:
        """The fault is over: from now on all could work."""
        self.start()

    def recovered_ns(self) -> tuple[int, int] | None:
        """Since it first tried to connect: when that was, and when pictures went through; None before that."""
        tries_ns = self.lives[-1].tries_ns.value
        if not tries_ns:
            return None
        if self._fps:
            came_ns = self._masks.first_after(self._stream, tries_ns)
        else:
            came_ns = time.monotonic_ns() if self.lives[-1].pictures.value else None
        return None if came_ns is None else (tries_ns, came_ns)

    def stop(self) -> None:
        """End for good, in order."""
        if self._peer is not None:
            self._peer.leave()
