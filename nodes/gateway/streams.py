"""What the gateway knows of a stream and of its users."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import structlog

from ssa_stream.errors import MessageError
from ssa_stream.nodes.gateway.graph_link import Answer, Request
from ssa_stream.nodes.gateway.page_messages import PromptAnswer, as_json, coloured, mask_bytes
from ssa_stream.nodes.gateway.pictures.cameras import Cameras
from ssa_stream.nodes.gateway.pictures.feed import FeedPicture, VideoFeed
from ssa_stream.nodes.gateway.pictures.overlay import OverlayFeed
from ssa_stream.nodes.gateway.pictures.slot import NewestSlot
from ssa_stream.nodes.gateway.settings import StreamAccess
from ssa_stream.nodes.gateway.webrtc.aiortc_changes import SenderClock
from ssa_stream.nodes.gateway.webrtc.camera_ingest import CameraIngest
from ssa_stream.nodes.gateway.webrtc.track import FeedTrack
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.protocols import MaskMessage, PromptState, SourceState, StreamLoad

__all__ = ["StreamHandler", "User"]

_LOG = structlog.get_logger()
_MAX_EARLY = 32
_TOLD_OF_SOURCES = ("status", "text", "size", "code", "attempt", "retry_in_s")
Masks = tuple[MaskMessage, tuple[memoryview, ...]]


class User(Protocol):
    """Who uses a stream."""

    def send_masks(self, prompt_id: str, data: bytes) -> None:
        """Masks of a prompt came."""

    def send_text(self, text: str) -> None:
        """Something is said about the stream."""


class StreamHandler:
    """One stream: its pictures, its prompts, its users.

    Args:
        name: Of the stream.
        access: How it may be used.
        cameras: Where cameras hand over pictures.
        ask: Asks the graph.
        mask_bytes: Longest message with masks.
        metrics: Count masks that did not fit into one, however small.

    Attributes:
        users_changed: Set when somebody comes or leaves.
    """

    def __init__(
        self,
        name: str,
        access: StreamAccess,
        cameras: Cameras,
        ask: Callable[[Request], Awaitable[Answer]],
        mask_bytes: int,
        metrics: NodeMetrics,
    ) -> None:
        self.name, self.access, self.ask = name, access, ask
        self.feed = VideoFeed(is_camera=access.kind == "camera")
        self.overlays = OverlayFeed(self.feed)
        self.users_changed = asyncio.Event()
        self._cameras, self._mask_bytes, self._metrics = cameras, mask_bytes, metrics
        self._users: set[User] = set()
        self._prompts: PromptState | None = None
        self._state: SourceState | None = None
        self._load: StreamLoad | None = None
        self._last_masks: dict[str, bytes] = {}
        self._early: deque[Masks] = deque()
        self._camera_since_ns: int | None = None
        self.feed.on_picture = self._picture_came

    @property
    def users(self) -> int:
        """How many use it."""
        return len(self._users)

    def describe(self) -> dict[str, Any]:
        """What a page is told of it."""
        prompts = () if self._prompts is None else coloured(self._prompts.prompts)
        return {
            "name": self.name,
            "kind": self.access.kind,
            "label": self.access.label,
            "status": "starting" if self._state is None else self._state.status,
            "busy": self.access.kind == "camera" and self._cameras.is_taken(self.name),
            "prompts": prompts,
        }

    @property
    def source_state(self) -> dict[str, Any] | None:
        """What is known of its source, as a page is told; None before anything is."""
        state = self._state
        if state is None:
            return None
        load = self._load if self._load is not None and self._load.text else None
        return {name: getattr(state, name) for name in _TOLD_OF_SOURCES} | {
            "overload": "" if load is None else load.text,
            "source_hz": None if load is None else state.rate_hz,
            "masks_hz": None if load is None else load.masks_hz,
        }

    @property
    def prompts_version(self) -> int:
        """Grows with every change of its prompts; 0 before anything is known."""
        return 0 if self._prompts is None else self._prompts.version

    # -- users

    def join(self, user: User) -> None:
        """Somebody uses it."""
        self._users.add(user)
        self.users_changed.set()

    def leave(self, user: User) -> None:
        """Somebody does not any more."""
        self._users.discard(user)
        self.users_changed.set()

    def greeting(self) -> list[str]:
        """What somebody is told who comes later than it was published."""
        return [text for text in (self._prompts_text(), self._state_text()) if text is not None]

    def repeat_masks(self, user: User) -> None:
        """Send the last masks to somebody who came later."""
        for prompt_id, data in self._last_masks.items():
            user.send_masks(prompt_id, data)

    async def begin_camera(self, clock: SenderClock, edge_px: int) -> CameraIngest:
        """Somebody sends a camera."""
        slot = await self._cameras.begin(self.name)
        self._forget_pictures()
        self._camera_since_ns = time.monotonic_ns()
        return CameraIngest(self.name, self._cameras, slot, self.feed, clock, edge_px, on_end=self._end_camera)

    def _end_camera(self) -> None:
        """The camera is gone: what it showed is shown to nobody who comes later."""
        self._camera_since_ns = None
        self._forget_pictures()

    def _forget_pictures(self) -> None:
        self._last_masks.clear()
        self._early.clear()
        self.feed.forget()
        self.overlays.forget()

    def track(self, *, overlay: bool, last_rtp: Callable[[], int], on_origin: Callable[[int], None]) -> FeedTrack:
        """The pictures as a track, with masks drawn on them or without."""
        feed = self.overlays if overlay else self.feed
        slot: NewestSlot[FeedPicture] = feed.join()
        return FeedTrack(slot, last_rtp, on_origin, lambda: feed.leave(slot))

    # -- what the graph publishes

    def take(
        self, message: MaskMessage | PromptState | SourceState | StreamLoad, buffers: tuple[memoryview, ...]
    ) -> None:
        """Something was published about the stream."""
        match message:
            case MaskMessage():
                self._take_masks(message, buffers)
            case PromptState():
                self._prompts = message
                ids = [prompt.id for prompt in message.prompts]
                self._last_masks = {one: data for one, data in self._last_masks.items() if one in ids}
                self.overlays.prompts_are(ids)
                self._tell(self._prompts_text())
            case SourceState():
                before, self._state = self._state, message
                if before is None or _news(before) != _news(message):
                    self._tell(self._state_text())
            case StreamLoad():
                before_load, self._load = self._load, message
                if bool(before_load and before_load.text) != bool(message.text):  # its figures change every second
                    self._tell(self._state_text())

    def _take_masks(self, message: MaskMessage, buffers: tuple[memoryview, ...]) -> None:
        """Masks came. Those of the graph's own sources come before their pictures, and wait for them."""
        if message.status != "final" or self._is_of_another_camera(message):
            return
        self._early.append((message, buffers))
        if self.access.kind == "camera":
            self._release()
        while len(self._early) > _MAX_EARLY:
            self._send_masks(*self._early.popleft())

    def _is_of_another_camera(self, message: MaskMessage) -> bool:
        """Whether masks are of a picture that came before the present camera, or while there is none."""
        if self.access.kind != "camera":
            return False
        since_ns = self._camera_since_ns
        return since_ns is None or message.frame.t_receive_ns < since_ns

    def _picture_came(self) -> None:
        self._release()
        self.overlays.picture_came()

    def _release(self) -> None:
        """Send masks up to the last ones whose picture is there."""
        ready = [i for i, (message, _) in enumerate(self._early) if self.feed.times_of(message.frame)[0] is not None]
        count = len(self._early) if self.access.kind == "camera" else (ready[-1] + 1 if ready else 0)
        for _ in range(count):
            self._send_masks(*self._early.popleft())

    def _send_masks(self, message: MaskMessage, buffers: tuple[memoryview, ...]) -> None:
        pts, sender_ns = self.feed.times_of(message.frame)
        extra = {
            "video_pts": pts,
            "sender_ms": None if sender_ns is None else sender_ns / 1e6,
            "model_ms": round(sum(one.end_ns - one.begin_ns for one in message.times) / 1e6, 1),
            "latency_ms": self._latency_ms(message),
        }
        try:
            data = mask_bytes(message, buffers, limit=self._mask_bytes, extra=extra)
            self.overlays.take(message, buffers)
        except MessageError as error:
            _LOG.warning("masks cannot be read", stream=self.name, error=str(error))
            return
        if data is None:
            self._metrics.count("masks_too_large", stream=self.name)
            return
        self._last_masks[message.prompt.id] = data
        for user in self._users:
            user.send_masks(message.prompt.id, data)

    def _latency_ms(self, message: MaskMessage) -> float | None:
        """From the camera, or else from receipt, to the masks."""
        frame, end = message.frame, message.times[-1] if message.times else None
        if end is None:
            return None
        for begin_ns, clock in ((frame.t_capture_ns, frame.capture_clock), (frame.t_receive_ns, frame.receive_clock)):
            if begin_ns is not None and clock == end.clock:
                return round((end.end_ns - begin_ns) / 1e6, 1)
        return None

    def _tell(self, text: str | None) -> None:
        if text is not None:
            for user in self._users:
                user.send_text(text)

    def _prompts_text(self) -> str | None:
        state = self._prompts
        if state is None:
            return None
        prompts = coloured(state.prompts)
        return as_json(PromptAnswer(prompts=prompts, version=state.version, applies_from=state.applies_from))

    def _state_text(self) -> str | None:
        state = self.source_state
        return None if state is None else as_json({"type": "state", **state})


def _news(state: SourceState) -> tuple[object, ...]:
    """What changes when there is something to tell; not that the next attempt comes nearer."""
    return state.status, state.text, state.size, state.code, state.attempt, state.retry_in_s is None
