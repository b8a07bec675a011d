"""What a relay passes on of what an RTSP server sends, and the signs that it puts in."""

import itertools
import random

import pytest

from ssa_stream.sources.access_units import GAP_SIGN, MARKER_SIGN
from ssa_stream.sources.interleaved import InterleavedStream
from tests.support.scripted_camera import Packetizer, Picture

SECRET = b"0123456789abcdef"
MARK, GAP = SECRET + MARKER_SIGN, SECRET + GAP_SIGN
TRIAL = 6
"""Pictures before a marker counts that nothing proves."""
# A key frame of one slice in two fragments, with parameter sets; then pictures of one slice.
PICTURES = [Picture((b"\x67aaaa", b"\x68bb", b"\x65" + 300 * b"c"), 0)]
PICTURES += [Picture((b"\x41\x9a" + bytes([n]),), 9000 * n) for n in range(1, 10)]
HEVC = [Picture((b"\x26\x01\x80" + bytes([n]), b"\x26\x01\x00" + bytes([n])), 9000 * n) for n in range(10)]


def answer(video: str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n") -> bytes:
    """The description of a stream."""
    body = f"v=0\r\nm=audio 0 RTP/AVP 8\r\n{video}"
    return f"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-length: {len(body)}\r\n\r\n{body}".encode()


def framed(packet: bytes, channel: int = 2) -> bytes:
    """A packet between the answers."""
    return b"$" + bytes([channel]) + len(packet).to_bytes(2, "big") + packet


def sent(packetizer: Packetizer | None = None) -> list[bytes]:
    """All packets of the pictures."""
    packetizer = packetizer or Packetizer()
    return [framed(packet) for picture in PICTURES for packet in packetizer.packets(picture)]


def passed(data: bytes, seed: int = 0) -> bytes:
    """What comes out, however the data is cut in pieces."""
    stream, rng, out = InterleavedStream(SECRET), random.Random(seed), b""
    while data:
        size = rng.randint(1, 90)
        out, data = out + stream.passed(data[:size]), data[size:]
    return out


def split(data: bytes) -> list[bytes]:
    """The packets among what came out, behind the answer."""
    packets, data = [], data[len(answer()) :]
    while data:
        size = 4 + int.from_bytes(data[2:4], "big")
        packets.append(data[4:size])
        data = data[size:]
    return packets


@pytest.mark.parametrize("seed", range(5))
def test_mark_follows_each_picture(seed: int) -> None:
    """All else is passed on in order; numbers go on without a gap, and a mark has the time of its picture."""
    out = split(passed(answer() + b"".join(sent()), seed))
    marks = [at for at, packet in enumerate(out) if packet.endswith(MARK)]
    assert [packet[12:] for packet in out if not packet.endswith(MARK)] == [packet[4 + 12 :] for packet in sent()]
    assert len(marks) == len(PICTURES)
    assert all(out[at][4:8] == out[at - 1][4:8] and out[at - 1][1] & 0x80 for at in marks)
    assert numbers(out) == [(numbers(out)[0] + n) % 65_536 for n in range(len(out))]


def numbers(packets: list[bytes]) -> list[int]:
    """RTP numbers of packets."""
    return [int.from_bytes(packet[2:4], "big") for packet in packets]


def test_marked_fragments_end_nothing() -> None:
    """Of a sender that marks all: only where a unit ends, which the decoder then judges."""
    out = split(passed(answer() + b"".join(sent(Packetizer(markers="every")))))
    before = [packet for packet, following in itertools.pairwise(out) if following.endswith(MARK)]
    assert len(before) == len(PICTURES) + 2, "and at parameters"
    assert all(packet[12] & 0x1F != 28 or packet[13] & 0x40 for packet in before)


@pytest.mark.parametrize(
    "data",
    [
        answer() + b"".join(sent(Packetizer(markers="none"))),
        answer("") + b"".join(sent()),
        answer("m=video 0 RTP/AVP 96\r\na=rtpmap:96 MP4V-ES/90000\r\n") + b"".join(sent()),
        answer("m=video 0 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n") + b"".join(sent()),
        answer() + b"\0\1\2" + b"".join(sent()),
        answer().replace(b"length: ", b"length: 99999999") + b"".join(sent()),
        b"R" * 70_000 + b"".join(sent()),
        answer() + framed(b"") + framed(b"\x80\x60") + framed(b"\xbf\xe0" + 20 * b"\xff") + answer(""),
        random.Random(1).randbytes(5000),
    ],
    ids=["no marker", "no video", "other codec", "other payload type", "rubbish between",
         "long answer", "long line", "odd packets", "rubbish"],
)  # fmt: skip
def test_what_is_not_to_be_marked_is_passed_on_as_it_is(data: bytes) -> None:
    """To the last byte, but what still waits for its end."""
    assert data.startswith(passed(data))
    assert len(data) - len(passed(data)) < 200


def test_mark_follows_what_goes_behind_a_picture() -> None:
    """Some cameras have the marker at filler, or at the end of a sequence, which is one byte."""
    packetizer, pictures = Packetizer(), [Picture((*one.units, b"\x0c\xff\x80", b"\x0a"), one.time) for one in PICTURES]
    out = split(passed(answer() + b"".join(framed(packet) for one in pictures for packet in packetizer.packets(one))))
    before = [packet[12:] for packet, following in itertools.pairwise(out) if following.endswith(MARK)]
    assert before == len(PICTURES) * [b"\x0a"]


def test_two_videos_are_marked_each() -> None:
    """They have numbers of their own."""
    video = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    first, second = sent(), [framed(packet[4:], channel=4) for packet in sent(Packetizer(number=7))]
    both = [packet for pair in zip(first, second, strict=True) for packet in pair]
    out = passed(answer(2 * video) + b"".join(both))
    assert out.count(MARK) == 2 * len(PICTURES)
    assert GAP not in out


def test_gap_is_told_before_the_packet_that_follows_it() -> None:
    """Numbers go on without a gap all the same, so that FFmpeg does not drop the first packet behind a long one."""
    packets = sent()
    del packets[-3:-1]
    out = split(passed(answer() + b"".join(packets)))
    gaps = [at for at, packet in enumerate(out) if packet.endswith(GAP)]
    assert gaps == [len(out) - 3]
    assert numbers(out) == [(numbers(out)[0] + n) % 65_536 for n in range(len(out))]


@pytest.mark.parametrize(("trusts", "marks"), [(False, 0), (True, len(HEVC) - TRIAL)], ids=["careful", "trusting"])
def test_hevc_is_marked_if_its_markers_are_trusted(trusts: bool, marks: int) -> None:
    """When they were right for a while; a wrong one then is told as a gap, and ends that."""
    video = answer("m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n")
    stream, packetizer = InterleavedStream(SECRET, trusts_markers=trusts), Packetizer("H265")
    good = stream.passed(video + b"".join(framed(packet) for one in HEVC for packet in packetizer.packets(one)))
    assert (good.count(MARK), good.count(GAP)) == (marks, 0)
    packetizer.markers = "every"
    bad = stream.passed(b"".join(framed(packet) for one in HEVC for packet in packetizer.packets(one)))
    assert (bad.count(MARK), bad.count(GAP)) == ((1, 1) if trusts else (0, 0))


@pytest.mark.parametrize("head", ["RTSP/1.0 302 Moved", "RTSP/1.0 301", "RTSP/1.0 399 x\r\nX: y"])
def test_redirect_is_told_and_not_passed_on(head: str) -> None:
    """Nor what comes behind it; a place that is told with the pictures leads nowhere."""
    moved = f"{head}\r\nLOCATION: rtsp://other/x \r\n\r\n".encode()
    harmless = b"RTSP/1.0 200 OK\r\nX: 302\r\nLocation: rtsp://other/x\r\n\r\n"
    stream = InterleavedStream(SECRET)
    assert stream.passed(harmless + moved + answer()) == harmless
    assert stream.redirect == "rtsp://other/x"


def test_reports_and_other_channels_keep_their_bytes() -> None:
    """Only the packets of the video are numbered anew."""
    report = framed(b"\x80\xc8" + 26 * b"\0", channel=3)
    other = framed(b"\x80\x08" + 30 * b"s", channel=0)
    out = passed(answer() + b"".join(packet + report + other for packet in sent()))
    assert out.count(report + other) == len(sent())
