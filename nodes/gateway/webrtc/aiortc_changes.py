"""What the gateway changes in aiortc: two unbounded queues, when a frame is complete, and the sender's clock.

Everything that touches private names of aiortc is here, in `marker_buffer` for frames, in `receiver_limits` for what a
hostile sender costs, and in `ice_checks` for connectivity; tests hold them to the installed version.
"""

import asyncio
import queue
import re
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender
from aiortc.rtp import RtcpSrPacket

from ssa_stream.nodes.gateway.webrtc.marker_buffer import MarkerBuffer, WholeFrame
from ssa_stream.nodes.gateway.webrtc.receiver_limits import limit_receiver
from ssa_stream.sources.source import Completion

__all__ = [
    "EncodedBacklog",
    "NewestFrame",
    "ReceiverGuard",
    "SenderClock",
    "bytes_received",
    "close_connection",
    "drop_unreadable_messages",
    "rtp_timestamp_of_last",
    "with_bitrate",
]

_START_KBPS = 1200
_VP8 = re.compile(r"a=rtpmap:([0-9]+) VP8/90000\r\n")


def with_bitrate(answer: str, kbps: int) -> str:
    """Limit what the peer sends in each video section, and let Chromium begin with more than a quarter of a megabit.

    Without the latter it begins with a quarter or less of the camera's pixels, and each step up is a new size.

    Args:
        answer: Session description.
        kbps: The limit.
    """
    head, *sections = re.split(r"(?m)^(?=m=)", answer)
    return head + "".join(_limited(one, kbps) if one.startswith("m=video") else one for one in sections)


def _limited(section: str, kbps: int) -> str:
    first, _, rest = section.partition("\r\n")
    lines = rest.split("\r\n", 1)
    if lines[0].startswith("c="):
        first, rest = f"{first}\r\n{lines[0]}", lines[1]
    rest = _VP8.sub(
        lambda match: f"{match[0]}a=fmtp:{match[1]} x-google-start-bitrate={min(_START_KBPS, kbps)}\r\n", rest
    )
    return f"{first}\r\nb=AS:{kbps}\r\nb=TIAS:{kbps * 1000}\r\n{rest}"


CLOCK_RATE = 90_000
_NTP_TO_UNIX_S = 2_208_988_800
_MAX_ENCODED = 30
"""Encoded frames that wait for the decoder; about a second."""
_ASK_AGAIN_S = 1.0
_WRAP = 1 << 32
_VP8_KEY = b"\x9d\x01\x2a"


class NewestFrame(asyncio.Queue[Any]):
    """In place of a track's queue: one decoded frame, the newest one.

    Attributes:
        overtaken: Frames that were replaced before anybody took them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.overtaken = 0

    async def put(self, item: Any) -> None:
        """Put a frame in, in place of what waits; None, the end, waits behind it."""
        while item is not None and not self.empty():
            self.get_nowait()
            self.overtaken += 1
        self.put_nowait(item)


class EncodedBacklog(queue.Queue[Any]):
    """In place of the decoder's queue: bounded. When it is full all is dropped until the next key frame.

    So it is after a loss: what is built on frames that are missing would be decoded to rubbish.

    Args:
        ask_for_key_frame: Called when one is needed.
        capacity: Frames that may wait.
        clock: Seconds.
        more: Gives frames that are complete with the one that was put in, one by one; None when there is none.

    Attributes:
        dropped: Frames that were not decoded.
    """

    def __init__(
        self,
        ask_for_key_frame: Callable[[], None],
        capacity: int = _MAX_ENCODED,
        clock: Callable[[], float] = time.monotonic,
        more: Callable[[], WholeFrame | None] = lambda: None,
    ) -> None:
        super().__init__()
        self.dropped = 0
        self._ask, self._capacity, self._clock, self._more = ask_for_key_frame, capacity, clock, more
        self._asked_s: float | None = None

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put an encoded frame in, with its codec; None, the end, always has room."""
        if item is None:
            super().put(None, block, timeout)
            return
        codec, frame = item
        while frame is not None:
            if self._is_wanted(codec.mimeType, frame):
                super().put((codec, frame), block, timeout)
            frame = self._more()

    def _is_wanted(self, mime_type: str, frame: WholeFrame) -> bool:
        is_full = self.qsize() >= self._capacity
        is_key = is_key_frame(mime_type, frame.data)
        if self._asked_s is None and (is_full or (frame.is_after_loss and not is_key)):
            if is_full:
                self._drop_all()
            self._ask_again()
        if self._asked_s is not None and not is_key:
            self.dropped += 1
            if self._clock() - self._asked_s > _ASK_AGAIN_S:
                self._ask_again()
            return False
        self._asked_s = None
        return True

    def _ask_again(self) -> None:
        self._asked_s = self._clock()
        self._ask()

    def _drop_all(self) -> None:
        while True:
            try:
                self.get_nowait()
            except queue.Empty:
                return
            self.dropped += 1


def is_key_frame(mime_type: str, data: bytes) -> bool:
    """Whether decoding can begin with an encoded frame; so it seems for codecs that are not known here.

    A frame whose beginning is missing is none.
    """
    match mime_type.lower():
        case "video/vp8":
            return data[3:6] == _VP8_KEY and not data[0] & 1
        case "video/h264":
            return any(
                data[at + 3] & 0x1F == 7 or (data[at + 3] & 0x1F == 5 and bool(data[at + 4] & 0x80))
                for at in _starts(data)
                if at + 4 < len(data)
            )
        case _:
            return True


def _starts(data: bytes) -> list[int]:
    found, at = [], data.find(b"\0\0\1")
    while at >= 0:
        found.append(at)
        at = data.find(b"\0\0\1", at + 3)
    return found


class SenderClock:
    """When a picture was taken, by the clock of who sends it: from its sender reports.

    In place of aiortc's mapper of RTP times, whose job it does as well: times count from the first one on.
    """

    def __init__(self) -> None:
        self._origin: int | None = None
        self._last = 0
        self._report: tuple[int, int] | None = None  # unix time in ns, RTP time

    def map(self, timestamp: int) -> int:
        """Time of a frame since the first one, in units of 1/90,000 s."""
        if self._origin is None:
            self._origin = timestamp
        elif timestamp < self._last and self._last - timestamp > _WRAP // 2:
            self._origin -= _WRAP
        self._last = timestamp
        return timestamp - self._origin

    def report(self, ntp_timestamp: int, rtp_timestamp: int) -> None:
        """Take a sender report: both say the same moment. A sender without a clock sends 0."""
        if ntp_timestamp:
            seconds, fraction = divmod(ntp_timestamp, _WRAP)
            self._report = (seconds - _NTP_TO_UNIX_S) * 10**9 + (fraction * 10**9 >> 32), rtp_timestamp

    def utc_ns(self, pts: int) -> int | None:
        """When the frame of that time was taken, in nanoseconds since 1970; None before the first report."""
        if self._report is None or self._origin is None:
            return None
        unix_ns, rtp = self._report
        ticks = (pts + self._origin - rtp + _WRAP // 2) % _WRAP - _WRAP // 2
        return unix_ns + ticks * 10**9 // CLOCK_RATE


class ReceiverGuard:
    """Bounds the queues and the work of a receiver, and listens to its sender's clock. Make it before it is connected.

    Attributes:
        clock: The sender's.
        frames: Decoded frames.
        backlog: Encoded frames.
    """

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        limit_receiver(receiver)
        inner: Any = receiver
        error: threading.Event = inner._RTCRtpReceiver__decoder_error
        self.clock = SenderClock()
        self.frames = NewestFrame()
        self._buffer = MarkerBuffer(inner._RTCRtpReceiver__jitter_buffer.capacity)
        # With the next packet the receiver asks for a key frame.
        self.backlog = EncodedBacklog(error.set, more=self._more)
        inner._RTCRtpReceiver__jitter_buffer = self._buffer
        inner._RTCRtpReceiver__decoder_queue = self.backlog
        inner._RTCRtpReceiver__timestamp_mapper = self.clock
        inner._track._queue = self.frames
        handle = inner._handle_rtcp_packet

        async def listen(packet: Any) -> None:
            if isinstance(packet, RtcpSrPacket):
                self.clock.report(packet.sender_info.ntp_timestamp, packet.sender_info.rtp_timestamp)
            await handle(packet)

        inner._handle_rtcp_packet = listen

    @property
    def complete_at(self) -> Completion:
        """How the ends of frames are found at present."""
        return "marker" if self._buffer.tells_ends else "next_picture"

    def _more(self) -> WholeFrame | None:
        frame = self._buffer.rest()
        if frame is not None:
            frame.timestamp = self.clock.map(frame.timestamp)
        return frame


def rtp_timestamp_of_last(sender: RTCRtpSender) -> int:
    """RTP time of the packet that was sent last; 0 before the first one."""
    inner: Any = sender
    return int(inner._RTCRtpSender__rtp_timestamp)


def bytes_received(connection: RTCPeerConnection) -> int:
    """Everything that came so far, media, reports and data channels."""
    transports = {one.receiver.transport for one in connection.getTransceivers()}
    if connection.sctp is not None:
        transports.add(connection.sctp.transport)
    reports = [transport._get_stats() for transport in transports]
    return sum(stats.bytesReceived for report in reports for stats in report.values() if stats.type == "transport")


def drop_unreadable_messages(connection: RTCPeerConnection, on_dropped: Callable[[], None]) -> None:
    """Go on when a message of a data channel cannot be read, such as a text that is no UTF-8.

    aiortc lets the error end the whole connection, with a traceback in the log.

    Args:
        connection: Its offer was taken.
        on_dropped: Called for each such message.
    """
    inner: Any = connection.sctp
    if inner is None:
        return
    receive = inner._data_channel_receive

    async def guarded(stream_id: int, pp_id: int, data: bytes) -> None:
        try:
            await receive(stream_id, pp_id, data)
        except (ValueError, AssertionError, LookupError, struct.error):
            on_dropped()

    inner._data_channel_receive = guarded


async def close_connection(connection: RTCPeerConnection) -> None:
    """Close a connection; its sockets are closed whatever an odd offer has made of it."""
    try:
        await connection.close()
    except Exception:  # of aiortc, in a state that it did not expect: what it leaves open is closed here
        inner: Any = connection
        for transport in list(inner._RTCPeerConnection__iceTransports):
            await transport.stop()
        closed: asyncio.Future[bool] | None = inner._RTCPeerConnection__isClosed
        if closed is not None and not closed.done():
            closed.set_result(True)
