"""When the jitter buffer gives a frame out, and that it never gives out a part of one."""

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket

from ssa_stream.nodes.gateway.webrtc.marker_buffer import MarkerBuffer, WholeFrame

TRIAL = 6
"""Frames after which markers are trusted: the first one, and five whole ones."""


@dataclass(frozen=True)
class Sent:
    """A frame as it is sent: its data in pieces, and which of them have the marker."""

    number: int
    pieces: int = 3
    markers: str = "last"

    @property
    def data(self) -> list[bytes]:
        """What is in each packet."""
        return [f"{self.number}.{piece} ".encode() for piece in range(self.pieces)]


def packets(frames: Iterable[Sent], first: int = 65_530, origin: int = (1 << 32) - 9000) -> list[RtpPacket]:
    """The packets of frames, numbered from near the end of the numbers; times wrap around as well."""
    made: list[RtpPacket] = []
    for frame in frames:
        for at, data in enumerate(frame.data):
            marks = {"last": at == frame.pieces - 1, "none": False, "every": True}
            packet = RtpPacket(
                sequence_number=(first + len(made)) % 65_536,
                timestamp=(origin + 3000 * frame.number) % (1 << 32),
                marker=int(marks[frame.markers]),
                payload=data,
            )
            packet._data = data  # type: ignore[attr-defined]  # as aiortc's receiver does
            made.append(packet)
    return made


def padding(after: RtpPacket) -> RtpPacket:
    """A packet of padding, with the time of the frame before it."""
    packet = RtpPacket(sequence_number=(after.sequence_number + 1) % 65_536, timestamp=after.timestamp)
    packet._data = b""  # type: ignore[attr-defined]  # as aiortc's receiver does
    return packet


def fed(buffer: MarkerBuffer, arriving: Sequence[RtpPacket]) -> list[tuple[int, WholeFrame]]:
    """Each frame that comes out, and after how many packets."""
    out = []
    for count, packet in enumerate(arriving, start=1):
        _, frame = buffer.add(packet)
        while frame is not None:
            assert isinstance(frame, WholeFrame)
            out.append((count, frame))
            frame = buffer.rest()
    return out


def texts(frames: Iterable[Sent]) -> list[bytes]:
    """What whole frames hold."""
    return [b"".join(frame.data) for frame in frames]


def test_frame_is_out_with_its_last_packet_once_markers_are_trusted() -> None:
    """Before that with the first one of the next frame."""
    sent = [Sent(number) for number in range(12)]
    out = fed(MarkerBuffer(512), packets(sent))
    assert [frame.data for _, frame in out] == texts(sent)
    assert [count for count, _ in out] == [3 * n + 4 for n in range(TRIAL)] + [3 * n + 3 for n in range(TRIAL, 12)]
    assert [frame.is_after_loss for _, frame in out] == [True] + 11 * [False]


@pytest.mark.parametrize("markers", ["none", "every"])
def test_markers_that_are_missing_or_everywhere_do_not_count(markers: str) -> None:
    """Frames come whole, with the first packet of the next one."""
    sent = [Sent(number, markers=markers) for number in range(12)]
    out = fed(MarkerBuffer(512), packets(sent))
    assert [frame.data for _, frame in out] == texts(sent[:-1])
    assert [count for count, _ in out] == [3 * n + 4 for n in range(11)]


def test_marker_that_lies_for_once_ends_the_trust() -> None:
    """What goes on behind it is thrown away, and the decoder is told to wait for a key frame."""
    sent = [*(Sent(number) for number in range(10)), Sent(10, markers="every"), *(Sent(n) for n in range(11, 14))]
    out = [frame for _, frame in fed(MarkerBuffer(512), packets(sent))]
    assert [frame.data for frame in out] == [*texts(sent[:10]), b"10.0 ", *texts(sent[11:13])]
    assert [frame.is_after_loss for frame in out[1:]] == 10 * [False] + [True, False]


def test_packet_that_comes_late_lets_out_all_that_waited_for_it() -> None:
    """Sent again at the wish of the receiver: with it three frames are complete at once."""
    sent = [Sent(number) for number in range(12)]
    arriving = packets(sent)
    late = arriving.pop(3 * 8 + 2)  # the last one of a frame
    arriving.insert(3 * 11 - 1, late)
    out = fed(MarkerBuffer(512), arriving)
    assert [frame.data for _, frame in out] == texts(sent)
    assert [count for count, _ in out][-4:] == [33, 33, 33, 36]


def test_padding_between_frames_is_no_frame() -> None:
    """It has the time of the frame before it, which is out already."""
    sent = [Sent(number) for number in range(12)]
    arriving: list[RtpPacket] = []
    for packet in packets(sent):
        shifted = len([one for one in arriving if not one._data])  # type: ignore[attr-defined]
        packet.sequence_number = (packet.sequence_number + shifted) % 65_536
        arriving.append(packet)
        if packet.marker:
            arriving.append(padding(packet))
    out = fed(MarkerBuffer(512), arriving)
    assert [frame.data for _, frame in out] == texts(sent)
    assert [count for count, _ in out][-2:] == [4 * 11 - 1, 4 * 12 - 1]


@pytest.mark.parametrize("markers", ["last", "none"])
@pytest.mark.parametrize("seed", range(8))
def test_frames_are_whole_and_in_order_whatever_the_way_does(seed: int, markers: str) -> None:
    """Packets are late, come twice, or never: what comes out was sent so, or says that something is missing."""
    rng = random.Random(seed)
    sent = [Sent(number, rng.randint(1, 6), markers) for number in range(300)]
    timed = []
    for at, packet in enumerate(packets(sent)):
        fate = rng.random()
        if fate > 0.002:
            timed.append((at + (rng.randint(1, 40) if fate < 0.1 else 0), at, packet))
        if fate > 0.95:
            timed.append((at + rng.randint(0, 40), at, packet))
    arriving = [packet for _, _, packet in sorted(timed, key=lambda one: one[:2])]
    out = [frame for _, frame in fed(MarkerBuffer(64), arriving)]
    whole = texts(sent)
    numbers = [whole.index(frame.data) for frame in out if not frame.is_after_loss]
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 100
    for earlier, later in itertools.pairwise(out):
        if not (earlier.is_after_loss or later.is_after_loss):
            assert whole.index(later.data) == whole.index(earlier.data) + 1


def test_first_frame_after_numbers_leapt_is_not_complete_at_its_marker() -> None:
    """Its first packets may be missing, as here; it says so."""
    before, after = [Sent(number) for number in range(9)], [Sent(number) for number in range(20, 22)]
    arriving = packets(before) + packets(after, first=65_000)[1:]
    out = fed(MarkerBuffer(512), arriving)
    assert [frame.data for _, frame in out[:-2]] == texts(before)
    assert [(count, frame.data, frame.is_after_loss) for count, frame in out[-2:]] == [
        (27 + 2 + 1, b"20.1 20.2 ", True),
        (27 + 2 + 3, b"21.0 21.1 21.2 ", False),
    ]


async def test_installed_aiortc_uses_what_is_overridden() -> None:
    """Private names of its buffer and of its receiver: a version that lacks one fails here, and not at a camera."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        connection.addTransceiver("video", direction="recvonly")
        buffer = vars(connection.getTransceivers()[0].receiver)["_RTCRtpReceiver__jitter_buffer"]
        assert type(buffer) is JitterBuffer
        assert set(vars(buffer)) == {"_capacity", "_origin", "_packets", "_prefetch", "_is_video"}
        assert (buffer.capacity, buffer._is_video, buffer._prefetch) == (512, True, 0)
        assert callable(JitterBuffer._remove_frame)
        ordinary, ours = JitterBuffer(16, is_video=True), MarkerBuffer(16)
        for packet in packets([Sent(0), Sent(1)])[:4]:
            frames = [one.add(packet)[1] for one in (ordinary, ours)]
        assert [frame is not None and (frame.data, frame.timestamp) for frame in frames] == 2 * [
            (b"0.0 0.1 0.2 ", (1 << 32) - 9000)
        ]
    finally:
        await connection.close()
