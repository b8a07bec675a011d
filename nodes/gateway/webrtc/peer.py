"""One WebRTC connection from its offer to its end."""

import asyncio
import contextlib
import functools
import secrets
from typing import Literal

from aiortc import MediaStreamTrack, RTCConfiguration, RTCDataChannel, RTCIceServer, RTCPeerConnection
from aiortc import RTCSessionDescription as Description
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from ssa_stream.awake import AwakeClock
from ssa_stream.errors import MessageError
from ssa_stream.nodes.gateway.page_messages import as_json
from ssa_stream.nodes.gateway.settings import GatewaySettings, IceServer
from ssa_stream.nodes.gateway.streams import StreamHandler
from ssa_stream.nodes.gateway.webrtc.aiortc_changes import (
    ReceiverGuard,
    bytes_received,
    close_connection,
    drop_unreadable_messages,
    rtp_timestamp_of_last,
    with_bitrate,
)
from ssa_stream.nodes.gateway.webrtc.camera_ingest import CameraIngest
from ssa_stream.nodes.gateway.webrtc.candidates import filter_candidates
from ssa_stream.nodes.gateway.webrtc.channels import MaskOutbox, PromptHandler, send_text
from ssa_stream.nodes.gateway.webrtc.codecs import refused_kind, refused_text
from ssa_stream.nodes.gateway.webrtc.figures import PeerFigures
from ssa_stream.nodes.gateway.webrtc.ice_checks import CheckBudget
from ssa_stream.nodes.gateway.webrtc.limits import LimitExceeded, RateLimit, Watchdog
from ssa_stream.nodes.gateway.webrtc.track import FeedTrack
from ssa_stream.nodes.runtime.metrics import NodeMetrics

__all__ = ["Peer", "Role"]

Role = Literal["publish", "watch"]
_TICK_S = 1.0
_ABSENCE_S = 3.0
"""A process that looks every second and did not for so long did not run: no peer is judged by that time."""
_LAST_WORDS_S = 0.05
_CLOSE_S = 3.0


class Peer:
    """A browser or another program: it sends a camera or watches a stream, and has data channels.

    Args:
        role: What it does.
        handler: The stream that it is about.
        settings: Of the gateway.
        metrics: Count what it sends and gets, and limits that it comes to.
        checks: Room for connectivity checks to unknown addresses, of all peers together.
        address: From where its offer came.
        overlay: Whether a viewer gets pictures with masks drawn on them.

    Attributes:
        id: Nobody can guess it; who knows it may end the session.
        role: See there.
        reason: Why it ended.
        address: From where its offer came.
        has_connected: Whether its connection was made; it may be gone again.
    """

    def __init__(
        self,
        role: Role,
        handler: StreamHandler,
        settings: GatewaySettings,
        metrics: NodeMetrics,
        *,
        checks: RateLimit,
        address: str | None = None,
        overlay: bool = False,
    ) -> None:
        self.id = secrets.token_urlsafe(16)
        self.role: Role = role
        self.reason = ""
        self._end_code = ""
        self.address = address
        self.has_connected = False
        self._handler, self._limits, self._overlay = handler, settings.limits, overlay
        self._loopback = settings.loopback_media
        self._counted = PeerFigures(metrics, handler.name)
        self._checks = CheckBudget(settings.limits.checks, checks)
        self._candidates_refused = 0
        self._messages_dropped = 0
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[_ice(one) for one in settings.ice_servers]))
        self._ended = asyncio.Event()
        self._awake = AwakeClock(_ABSENCE_S)
        self._watchdog = Watchdog(settings.limits, self._awake.monotonic_s())
        self._prompts = PromptHandler(handler.name, handler.ask, settings.limits, metrics)
        self._prompt_channel: RTCDataChannel | None = None
        self._masks: asyncio.Future[RTCDataChannel] = asyncio.get_running_loop().create_future()
        self._outbox = MaskOutbox()
        self._camera: tuple[MediaStreamTrack, ReceiverGuard] | None = None
        self._ingest: CameraIngest | None = None
        self._feed_track: FeedTrack | None = None
        self._rtp_origin: int | None = None
        self._connection.on("connectionstatechange", self._on_state)
        self._connection.on("datachannel", self._on_channel)

    @property
    def stream(self) -> str:
        """Which stream it is about."""
        return self._handler.name

    async def answer(self, offer: str) -> str:
        """Answer an offer. What the peer may not send or take is inactive in the answer.

        Raises:
            MessageError: It cannot be answered.
        """
        limits = self._limits
        filtered = filter_candidates(
            offer, self.address, limit=limits.candidates, max_sections=limits.media_sections, loopback=self._loopback
        )
        self._candidates_refused = filtered.refused
        try:
            await self._connection.setRemoteDescription(Description(sdp=filtered.offer, type="offer"))
            self._choose_media()
            drop_unreadable_messages(self._connection, self._on_unreadable)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
            self._checks.bind(self._connection)
        except (OSError, MessageError):
            raise  # not the peer's fault; or said already
        except Exception as error:  # aiortc raises errors of all kinds at an offer that is malformed or asks too much
            kind = refused_kind(error)
            if kind is not None:
                raise MessageError(f"the offer cannot be answered: {refused_text(offer, kind)}") from error
            raise MessageError(
                "the offer is malformed and cannot be answered; expected a session description (SDP) of a WebRTC peer"
            ) from error
        self._counted.tell(self.figures())
        return with_bitrate(self._connection.localDescription.sdp, limits.bitrate_kbps)

    def end(self, reason: str, code: str) -> None:
        """End the session, soon.

        Args:
            reason: For people.
            code: For programs: `gateway` (it ends), `peer`, `connection`, `camera`, or the keyword of a limit.
        """
        if not self._ended.is_set():
            self.reason, self._end_code = reason, code
            self._ended.set()

    async def run(self) -> None:
        """Serve the peer until its session ends; nothing of it is left then."""
        self._handler.join(self)
        try:
            async with asyncio.TaskGroup() as group:
                work = [self._watch(), self._prompts.run(self.send_text), self._send_masks()]
                if self._camera is not None:
                    work.append(self._receive(*self._camera))
                tasks = [group.create_task(one) for one in work]
                await self._ended.wait()
                self.send_text(as_json({"type": "end", "text": self.reason, "code": self._end_code}))
                await asyncio.sleep(_LAST_WORDS_S)
                for task in tasks:
                    task.cancel()
        finally:
            self._handler.leave(self)
            await self.close()
            self._counted.tell(self.figures())

    async def close(self) -> None:
        """Take the connection down; may be called again."""
        if self._ingest is not None:
            self._ingest.close()
        if self._feed_track is not None:
            self._feed_track.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await close_connection(self._connection)

    def send_masks(self, prompt_id: str, data: bytes) -> None:
        """Masks came; they are sent if the peer has a channel for them."""
        if self._masks.done():
            self._outbox.put(prompt_id, data)

    def send_text(self, text: str) -> None:
        """Say something on the channel for prompts, if there is one."""
        send_text(self._prompt_channel, text)

    def figures(self) -> dict[str, int]:
        """What it sent, received and lost, by name."""
        figures = {
            "masks_sent": self._outbox.sent,
            "masks_overtaken": self._outbox.overtaken,
            "candidates_refused": self._candidates_refused,
            "checks_refused": self._checks.refused,
            "messages_unreadable": self._messages_dropped,
        }
        if self._feed_track is not None:
            figures["pictures_overtaken"] = self._feed_track.overtaken
        if self._camera is not None and self._ingest is not None:
            guard = self._camera[1]
            figures |= {
                "frames": self._ingest.frames,
                "frames_overtaken": guard.frames.overtaken,
                "frames_not_fetched": self._ingest.overtaken,
                "frames_not_decoded": guard.backlog.dropped,
            }
        return figures

    # -- media

    def _choose_media(self) -> None:
        """Take the first video section, in the direction of the role; nothing else is used."""
        is_used = False
        for transceiver in self._connection.getTransceivers():
            if transceiver.kind != "video" or is_used:
                transceiver.direction = "inactive"
                continue
            is_used = True
            if self.role == "publish":
                transceiver.direction = "recvonly"
                self._camera = transceiver.receiver.track, ReceiverGuard(transceiver.receiver)
            else:
                transceiver.direction = "sendonly"
                sender = transceiver.sender
                self._feed_track = self._handler.track(
                    overlay=self._overlay,
                    last_rtp=functools.partial(rtp_timestamp_of_last, sender),
                    on_origin=self._on_origin,
                )
                sender.replaceTrack(self._feed_track)
        if self.role == "watch" and self._feed_track is None and self._connection.sctp is None:
            raise MessageError("the offer cannot be answered: it has neither video nor a data channel; expected one")
        if self.role == "publish" and self._camera is None:
            raise MessageError("the offer cannot be answered: it has no video; expected a camera")

    async def _receive(self, track: MediaStreamTrack, guard: ReceiverGuard) -> None:
        self._ingest = await self._handler.begin_camera(guard.clock, self._limits.edge_px)
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, VideoFrame)  # of a video track, decoded
                exceeded = self._ingest.take(frame, guard.complete_at)
                if exceeded is not None:
                    self._end_for(exceeded)
                    return
        except MediaStreamError:
            self.end("the camera was stopped", "camera")

    def _on_origin(self, origin: int) -> None:
        """RTP times of pictures are now known, so that a page can say which of them it shows."""
        self._rtp_origin = origin
        self.send_text(as_json({"type": "video", "rtp_origin": origin}))

    # -- life

    async def _watch(self) -> None:
        """End what takes too long, sends too much or is silent."""
        while True:
            received = bytes_received(self._connection)
            has_media = bool(self._connection.getTransceivers())
            is_connected = self._connection.connectionState == "connected"
            now_s = self._awake.monotonic_s()
            exceeded = self._watchdog.look(now_s, received, is_connected=is_connected, has_media=has_media)
            if exceeded is not None:
                self._end_for(exceeded)
            self._counted.tell(self.figures())
            await asyncio.sleep(_TICK_S)

    def _end_for(self, exceeded: LimitExceeded) -> None:
        if not self._ended.is_set():
            self._counted.limit(exceeded.limit)
        self.end(exceeded.text, exceeded.limit)

    def _on_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected":
            self.has_connected = True
        if state in ("failed", "closed"):
            self.end("the connection is gone", "connection")

    # -- data channels

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label == "prompts" and self._prompt_channel is None:
            self._prompt_channel = channel
            channel.on("message", self._on_command)
            for text in self._handler.greeting():
                self.send_text(text)
            if self._rtp_origin is not None:
                self._on_origin(self._rtp_origin)
        elif channel.label == "masks" and not self._masks.done():
            self._masks.set_result(channel)
            self._handler.repeat_masks(self)
        else:
            channel.close()

    def _on_unreadable(self) -> None:
        self._messages_dropped += 1

    def _on_command(self, data: str | bytes) -> None:
        refusal = self._prompts.take(data)
        if refusal is not None:
            self.send_text(refusal)

    async def _send_masks(self) -> None:
        await self._outbox.run(await self._masks)


def _ice(server: IceServer) -> RTCIceServer:
    return RTCIceServer(urls=server.urls, username=server.username, credential=server.credential)
