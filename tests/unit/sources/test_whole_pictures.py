"""Pictures out of pieces, wherever some of them are missing."""

import contextlib
import io
import tracemalloc
from collections.abc import Iterator, Mapping
from functools import cache
from typing import cast

import av
import numpy as np
import pytest
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ssa_stream.sources.access_units import GAP_SIGN, MARKER_SIGN, AccessUnit, AccessUnits
from ssa_stream.sources.nal_units import NAL_CODECS, START_CODE, NalCodec
from ssa_stream.sources.whole_pictures import WholePictures
from tests.support.scripted_camera import Picture, encode_pictures

SECRET = b"0123456789abcdef"
H264, H265 = NAL_CODECS["H264"], NAL_CODECS["H265"]
PIECE = 400
Piece = tuple[bytes, int]
OPTIONS = {
    "slices": {"tune": "zerolatency", "slices": "3"},
    "B-frames": {"bf": "2", "slices": "2", "x264-params": "b-adapt=0:rc-lookahead=4"},
    "open groups": {"bf": "3", "slices": "2", "x264-params": "open-gop=1:b-adapt=0:b-pyramid=normal:rc-lookahead=4"},
    "refresh": {"tune": "zerolatency", "slices": "2", "x264-params": "intra-refresh=1:keyint=15"},
    "hevc": {"tune": "zerolatency", "x265-params": "log-level=none:bframes=0:keyint=8:slices=2"},
}


def codec_of(name: str) -> NalCodec:
    """Of pictures with these options."""
    return H265 if name == "hevc" else H264


def sign(of: bytes, time: int, codec: NalCodec = H264) -> Piece:
    """What the relay puts in."""
    return START_CODE + codec.mark_head + SECRET + of, time


def pieces(name: str) -> list[Piece]:
    """As FFmpeg hands them out: a start code before each unit, long ones in several, each slice of H.264 marked."""
    found, codec = [], codec_of(name)
    for picture in encoded(name):
        for unit in picture.units:
            found += [(START_CODE + unit[:PIECE], picture.time)]
            found += [(unit[at : at + PIECE], picture.time) for at in range(PIECE, len(unit), PIECE)]
            if codec is H264 and codec.type_of(unit[0]) in codec.pictures:
                found.append(sign(MARKER_SIGN, picture.time))
    return found


def shown(sent: list[Piece], name: str, *, counts_blocks: bool = True) -> list[tuple[int, NDArray[np.uint8]]]:
    """Times and pixels of what comes out, up to the end of the connection."""
    codec, raw = codec_of(name), b"".join(START_CODE + unit for unit in encoded(name)[0].units)
    with av.open(io.BytesIO(raw), format=codec.ffmpeg_name) as container:
        stream = container.streams.video[0]

        def decode(packet: "Packet[VideoStream]") -> list[av.VideoFrame]:
            try:
                return packet.decode()
            except av.FFmpegError:
                return []

        whole, out = WholePictures(stream, codec, SECRET, counts_blocks=counts_blocks), []
        for data, time in [*sent, (b"", 0)]:
            packet = cast("Packet[VideoStream]", Packet(data))
            packet.stream = stream
            if data:
                packet.pts = packet.dts = time
            out += [
                (one.pts or 0, cast("NDArray[np.uint8]", one.to_ndarray(format="rgb24")))
                for one in whole.take(packet, decode)
            ]
    return out


@cache
def encoded(name: str) -> list[Picture]:
    """Three groups of pictures or more; a refresh takes longer."""
    options: Mapping[str, str] = {"g": "8", **OPTIONS[name]}
    encoder = "libx265" if name == "hevc" else "libx264"
    return encode_pictures(48 if name == "refresh" else 28, encoder, options)


@contextlib.contextmanager
def access_units() -> Iterator[AccessUnits]:
    """Of a stream of H.264."""
    with av.open(io.BytesIO(START_CODE + START_CODE.join(encoded("slices")[0].units)), format="h264") as container:
        yield AccessUnits(container.streams.video[0], H264, SECRET)


def test_mark_before_a_picture_completes_nothing() -> None:
    """Cameras that mark parameter sets: these go to the picture behind them."""
    with access_units() as units:
        marked = [START_CODE + b"\x67a", START_CODE + b"\x68b", START_CODE + b"\x65\x88c"]
        packets = [packet for data in marked for packet in (Packet(data), Packet(sign(MARKER_SIGN, 0)[0]))]
        out = [one for packet in packets for one in units.take(cast("Packet[VideoStream]", packet))]
    assert [bytes(one.packet) for one in out if isinstance(one, AccessUnit)] == [b"".join(marked)]


def test_small_units_take_no_more_memory_than_they_hold() -> None:
    """A camera that sends messages of a byte, and never a picture."""
    packet = cast("Packet[VideoStream]", Packet(START_CODE + b"\x06"))
    with access_units() as units:
        tracemalloc.start()
        try:
            for _ in range(10_000):
                assert units.take(packet) == []
            assert tracemalloc.get_traced_memory()[0] < 2 * 10_000 * packet.size
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("name", OPTIONS)
def test_no_hole_anywhere_tears_a_picture(name: str) -> None:
    """Whatever piece is missing, alone or with those behind it: what is shown is as it was encoded, once, in order."""
    sent = pieces(name)
    whole = dict(shown(sent, name))
    assert len(whole) >= 27
    for at in range(0, len(sent) - 1, 3):
        after = at + 1 + at % 7
        hole = [sign(GAP_SIGN, 0, codec_of(name))] if after < len(sent) else []
        left = shown(sent[:at] + hole + sent[after:], name)
        times = [time for time, _ in left]
        assert times == sorted(set(times))
        assert after > len(sent) // 3 or times[-1] == max(whole)
        for time, picture in left:
            assert np.array_equal(picture, whole[time]), f"picture {time} behind a hole at piece {at}"


@pytest.mark.parametrize("name", ["slices", "B-frames", "open groups"])
def test_decoder_that_does_not_count_blocks_gets_whole_pictures(name: str) -> None:
    """As one on a device: each slice is marked, which proves nothing then; behind a hole all goes on as usual."""
    sent = pieces(name)
    whole = dict(shown(sent, name))
    assert len(shown(sent, name, counts_blocks=False)) >= len(whole) - 1
    for at in range(5, len(sent) - 30, 11):
        left = shown([*sent[:at], sign(GAP_SIGN, 0), *sent[at + 2 :]], name, counts_blocks=False)
        assert len(left) >= len(whole) - 16
        for time, picture in left:
            assert np.array_equal(picture, whole[time]), f"picture {time} behind a hole at piece {at}"


@pytest.mark.parametrize("name", OPTIONS)
def test_connection_that_begins_or_ends_anywhere_shows_whole_pictures(name: str) -> None:
    """It may begin within a picture, and end there."""
    sent = pieces(name)
    whole = dict(shown(sent, name))
    for at in range(1, len(sent) // 2, 3):
        for time, picture in shown(sent[at : len(sent) - at], name):
            assert np.array_equal(picture, whole[time]), f"picture {time}, without {at} pieces at both ends"


def test_picture_too_large_to_be_one_is_passed_over() -> None:
    """With those that are built on it; the memory it takes is bounded."""
    sent = pieces("slices")
    whole = dict(shown(sent, "slices"))
    long = [(START_CODE + b"\x41\x9a", 1), *(33 * [((1 << 20) * b"\1", 1)])]
    left = shown([*sent[:60], *long, *sent[60:]], "slices")
    assert 8 <= len(left) < len(whole)
    for time, picture in left:
        assert np.array_equal(picture, whole[time])
