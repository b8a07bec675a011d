"""What replaces queues inside aiortc; limits in answers; that the installed aiortc has what is replaced."""

from dataclasses import dataclass

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from ssa_stream.nodes.gateway.webrtc.aiortc_changes import (
    EncodedBacklog,
    NewestFrame,
    ReceiverGuard,
    SenderClock,
    bytes_received,
    is_key_frame,
    rtp_timestamp_of_last,
    with_bitrate,
)

KEY, DELTA = b"\x10\x00\x00\x9d\x01\x2a", b"\x11\x00"


@dataclass
class Codec:
    """As aiortc describes one."""

    mimeType: str = "video/VP8"


@dataclass
class Encoded:
    """As the jitter buffer hands frames over."""

    data: bytes
    is_after_loss: bool = False


def frame(data: bytes) -> tuple[Codec, Encoded]:
    """An item of the decoder's queue."""
    return Codec(), Encoded(data)


async def test_newest_frame_replaces_and_counts() -> None:
    """Never more than one waits."""
    queue = NewestFrame()
    for number in range(5):
        await queue.put(number)
    assert (queue.qsize(), queue.overtaken) == (1, 4)
    assert await queue.get() == 4


async def test_newest_frame_end_does_not_replace() -> None:
    """The last frame comes out before the end does."""
    queue = NewestFrame()
    await queue.put("last")
    await queue.put(None)
    assert [await queue.get(), await queue.get()] == ["last", None]


class Backlog:
    """A backlog with a clock that is set by hand."""

    def __init__(self, capacity: int = 3) -> None:
        self.now_s, self.asked = 0.0, 0
        self.queue = EncodedBacklog(self._ask, capacity, lambda: self.now_s)

    def _ask(self) -> None:
        self.asked += 1

    def left(self) -> list[bytes]:
        """What the decoder gets."""
        return [self.queue.get_nowait()[1].data for _ in range(self.queue.qsize())]


def test_backlog_with_room_keeps_all() -> None:
    """A decoder that keeps up loses nothing."""
    backlog = Backlog()
    for data in (KEY, DELTA, DELTA):
        backlog.queue.put(frame(data))
    assert (backlog.left(), backlog.queue.dropped, backlog.asked) == ([KEY, DELTA, DELTA], 0, 0)


def test_backlog_full_drops_until_key_frame() -> None:
    """What comes between would be decoded to rubbish."""
    backlog = Backlog()
    for _ in range(6):
        backlog.queue.put(frame(DELTA))
    assert (backlog.left(), backlog.queue.dropped, backlog.asked) == ([], 6, 1)
    backlog.queue.put(frame(KEY))
    backlog.queue.put(frame(DELTA))
    assert backlog.left() == [KEY, DELTA]


def test_backlog_key_frame_does_not_come_is_asked_for_again() -> None:
    """Once a second, not with every frame."""
    backlog = Backlog()
    for step in range(40):
        backlog.now_s = step * 0.1
        backlog.queue.put(frame(DELTA))
    assert 3 <= backlog.asked <= 5


def test_backlog_after_loss_waits_for_key_frame() -> None:
    """What is built on a frame that is missing would be decoded to rubbish; a key frame is built on nothing."""
    backlog = Backlog()
    for item in (Encoded(KEY, is_after_loss=True), Encoded(DELTA), Encoded(DELTA, is_after_loss=True), Encoded(DELTA)):
        backlog.queue.put((Codec(), item))
    assert (backlog.left(), backlog.queue.dropped, backlog.asked) == ([KEY, DELTA], 2, 1)
    backlog.queue.put(frame(KEY))
    assert backlog.left() == [KEY]


def test_backlog_takes_what_is_complete_with_a_frame() -> None:
    """A packet that comes late completes several; each is looked at as any other."""
    more = [Encoded(DELTA), Encoded(DELTA, is_after_loss=True)]
    queue = EncodedBacklog(lambda: None, more=lambda: more.pop(0) if more else None)  # type: ignore[arg-type, return-value]  # as in aiortc
    queue.put(frame(KEY))
    assert [queue.get_nowait()[1].data for _ in range(queue.qsize())] == [KEY, DELTA]
    assert queue.dropped == 1


def test_backlog_end_always_has_room() -> None:
    """The decoder's thread ends by it."""
    backlog = Backlog(capacity=1)
    for _ in range(3):
        backlog.queue.put(frame(DELTA))
    backlog.queue.put(None)
    assert backlog.queue.get_nowait() is None


@pytest.mark.parametrize(
    ("mime_type", "data", "expected"),
    [
        ("video/VP8", KEY, True),
        ("video/VP8", DELTA, False),
        ("video/VP8", b"", False),
        ("video/VP8", b"\x10 no key frame, but the middle of one", False),
        ("video/H264", b"\0\0\0\1\x65\x88abc", True),
        ("video/H264", b"\0\0\0\1\x65\x18abc", False),
        ("video/H264", b"\0\0\0\1\x67abc\0\0\0\1\x65abc", True),
        ("video/H264", b"\0\0\0\1\x41abc", False),
        ("video/H264", b"\0\0\1", False),
        ("video/other", b"x", True),
    ],
)
def test_is_key_frame_tells(mime_type: str, data: bytes, expected: bool) -> None:
    """By the first bytes that the codec writes."""
    assert is_key_frame(mime_type, data) is expected


NTP_2020 = 3_786_825_600 << 32  # 2020-01-01 as NTP writes it
UNIX_2020_NS = 1_577_836_800 * 10**9


def test_sender_clock_report_gives_time_of_capture() -> None:
    """A frame half a second before the report, by RTP time, was taken half a second before."""
    clock = SenderClock()
    assert clock.map(1_000_000) == 0
    assert clock.utc_ns(0) is None
    clock.report(NTP_2020, 1_000_000 + 45_000)
    assert clock.utc_ns(0) == UNIX_2020_NS - 500_000_000
    assert clock.utc_ns(90_000) == UNIX_2020_NS + 500_000_000


def test_sender_clock_rtp_time_wraps_goes_on() -> None:
    """RTP times have 32 bits: 13 hours."""
    clock = SenderClock()
    first = 2**32 - 90_000
    assert clock.map(first) == 0
    assert clock.map(45_000) == 135_000
    clock.report(NTP_2020, 45_000)
    assert clock.utc_ns(135_000) == UNIX_2020_NS
    assert clock.utc_ns(0) == UNIX_2020_NS - 1_500_000_000


def test_sender_clock_sender_without_clock_knows_nothing() -> None:
    """It sends 0 for its time."""
    clock = SenderClock()
    clock.map(1)
    clock.report(0, 1)
    assert clock.utc_ns(0) is None


async def test_guard_installed_aiortc_has_what_it_replaces() -> None:
    """Private names, so a new version may lack them: then this fails, and not a camera."""
    offering, answering = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    try:
        offering.addTransceiver("video", direction="sendonly")
        await answering.setRemoteDescription(await offering.createOffer())
        receiver = answering.getTransceivers()[0].receiver
        before = set(vars(receiver))
        guard = ReceiverGuard(receiver)
        added = set(vars(receiver)) - before
        methods = {"_handle_rtcp_packet", "_handle_rtp_packet", "_send_rtcp_pli"}
        assert added == methods, "everything else was there and was replaced"
        await guard.frames.put("frame")
        assert str(await receiver.track.recv()) == "frame"
        assert bytes_received(answering) == 0
        assert rtp_timestamp_of_last(offering.getTransceivers()[0].sender) == 0
    finally:
        await offering.close()
        await answering.close()


ANSWER = (
    "v=0\r\na=group:BUNDLE 0 1\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 VP8/90000\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"
)


def test_with_bitrate_only_video_is_limited() -> None:
    """Behind the connection line, where SDP wants it."""
    limited = with_bitrate(ANSWER, 900)
    assert "c=IN IP4 0.0.0.0\r\nb=AS:900\r\nb=TIAS:900000\r\na=rtpmap:96 VP8/90000\r\n" in limited
    assert "a=fmtp:96 x-google-start-bitrate=900\r\n" in limited
    assert limited.count("b=AS") == 1
    assert limited.endswith("webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n")
