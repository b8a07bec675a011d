"""What a sender of media can make aiortc's receiver do: numbers that jump, new sources, requests for key frames.

Without these limits a packet costs up to 80 ms of the gateway's only loop, and memory for as long as the connection is
there.
"""

import time
from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpReceiver
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RTP_HISTORY_SIZE, RtpPacket
from aiortc.utils import uint16_add

__all__ = ["NearbyNacks", "limit_receiver"]

_MOST_SOURCES = 8
_BETWEEN_REQUESTS_S = 0.25
_HALF = 1 << 15


class NearbyNacks(NackGenerator):
    """Asks for packets that are missing, but not where numbers jump further than a sender remembers.

    aiortc counts up to the new number, one by one.
    """

    def add(self, packet: RtpPacket) -> bool:
        """Take a packet; returns whether packets are missing before it that may be asked for."""
        if self.max_seq is not None:
            jump = uint16_add(packet.sequence_number, -self.max_seq)
            if RTP_HISTORY_SIZE < jump < _HALF:
                self.max_seq = packet.sequence_number
                self.missing.clear()
                return False
        return super().add(packet)


def limit_receiver(receiver: RTCRtpReceiver, clock: Callable[[], float] = time.monotonic) -> None:
    """Limit what a receiver does for its sender. Call it before the connection is made.

    Packets of more than eight sources (SSRC) are dropped; a camera has one, and another one for what it sends again.
    Key frames are asked for four times a second at most; who needs one asks again.

    Args:
        receiver: Of video.
        clock: Seconds.
    """
    inner: Any = receiver
    inner._RTCRtpReceiver__nack_generator = NearbyNacks()
    handle, ask = inner._handle_rtp_packet, inner._send_rtcp_pli
    sources: set[int] = set()
    asked_s: float | None = None

    async def limited(packet: RtpPacket, arrival_time_ms: int) -> None:
        if packet.ssrc not in sources and len(sources) == _MOST_SOURCES:
            inner.transport._rtp_router.ssrc_table.pop(packet.ssrc, None)  # who looked for the receiver noted it there
            return
        sources.add(packet.ssrc)
        await handle(packet, arrival_time_ms)

    async def ask_seldom(media_ssrc: int) -> None:
        nonlocal asked_s
        now_s = clock()
        if asked_s is None or now_s - asked_s >= _BETWEEN_REQUESTS_S:
            asked_s = now_s
            await ask(media_ssrc)

    inner._handle_rtp_packet, inner._send_rtcp_pli = limited, ask_seldom
