"""Pictures of network cameras are complete at their markers, and never torn."""

import itertools
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.errors import SourceError
from ssa_stream.sources import Frame, NetworkSource
from tests.support.components import require
from tests.support.live_server_files import write_pictures
from tests.support.rtsp_server import HOW_TO_GET, has_element, rtsp_server, rtsp_server_available
from tests.support.scripted_camera import Markers, Packetizer, Picture, encode_pictures, scripted_camera
from tests.support.video_files import HEIGHT, WIDTH, read_number

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

ZERO_LATENCY = {"tune": "zerolatency"}
HEVC = {"x265-params": "log-level=none:bframes=0:keyint=15", "tune": "zerolatency"}
# FFmpeg then parses what comes, and takes a picture for complete when the next one begins.
PARSED = {"fflags": "+autobsf"}
TRIAL = 6
"""Pictures after which markers are trusted: the first one, and five whole ones."""


def _watch(
    packets: Sequence[Sequence[bytes]], options: dict[str, str] | None = None, name: str = "H264"
) -> tuple[list[Frame], NetworkSource]:
    """All frames of a camera that sends these packets and hangs up."""
    with scripted_camera(name) as camera:

        def send() -> None:
            for one in packets:
                camera.send(one)
            camera.hang_up()

        sender = threading.Thread(target=send)
        sender.start()
        source = NetworkSource(camera.url, options=options)
        frames: list[Frame] = []
        with pytest.raises(SourceError, match="was lost after"):
            frames.extend(source.frames())
        sender.join()
    return frames, source


@pytest.mark.parametrize(
    ("name", "encoder", "options"),
    [
        ("H264", "libx264", {**ZERO_LATENCY, "slices": "1"}),
        ("H264", "libx264", {**ZERO_LATENCY, "slices": "4"}),
        ("H265", "libx265", HEVC),
    ],
    ids=["one slice", "slices", "hevc"],
)
def test_picture_arrives_before_the_next_one_is_sent(name: str, encoder: str, options: dict[str, str]) -> None:
    """The camera sends nothing more until a picture has arrived."""
    pictures = encode_pictures(TRIAL + 12, encoder, options)
    packetizer = Packetizer(name)
    with scripted_camera(name) as camera:
        first = [packet for picture in pictures[:TRIAL] for packet in packetizer.packets(picture)]
        opening = threading.Thread(target=camera.send, args=(first,))
        opening.start()
        with NetworkSource(camera.url) as source:
            opening.join()
            frames = source.frames()
            list(itertools.islice(frames, TRIAL - 1))
            camera.send(packetizer.packets(pictures[TRIAL]))
            next(frames)  # the last one that waited for the next
            arrived = [next(frames)]
            for picture in pictures[TRIAL + 1 :]:
                camera.send(packetizer.packets(picture))
                arrived.append(next(frames))
            assert [round(frame.t * 10) for frame in arrived] == list(range(TRIAL, TRIAL + 12))
            assert {frame.complete_at for frame in arrived} == {"marker"}


SLICES = {**ZERO_LATENCY, "slices": "3"}
B_FRAMES = {"bf": "2", "x264-params": "b-adapt=0:rc-lookahead=4"}


@pytest.mark.parametrize(
    ("options", "markers", "is_trusted"),
    [
        (SLICES, "last", True),
        (SLICES, "parameters", True),
        (SLICES, "none", False),
        (SLICES, "every", False),
        (B_FRAMES, "last", True),
        ({**B_FRAMES, "slices": "2"}, "every", False),
    ],
    ids=["slices", "marked parameters", "no marker", "markers everywhere", "B-frames", "B-frames, markers everywhere"],
)
def test_pictures_are_those_that_ffmpeg_parses(options: dict[str, str], markers: Markers, is_trusted: bool) -> None:
    """Whatever the camera's markers are like: the same pictures, with the same times."""
    packets = _packets(encode_pictures(30, options=options), markers)
    parsed, _ = _watch(packets, PARSED)
    frames, source = _watch(packets)
    assert len(parsed) >= 25
    assert [frame.pts for frame in frames[1:]] == [frame.pts for frame in parsed[1:]]
    for one, other in zip(frames, parsed, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    assert source.complete_at == ("marker" if is_trusted else "next_picture")
    assert {frame.complete_at for frame in parsed} == {"next_picture"}


@pytest.mark.parametrize("dropped", [(40, 41, 90), (52, 53, 54), tuple(range(40, 60))], ids=["few", "seam", "many"])
def test_loss_costs_the_pictures_that_it_costs_ffmpeg(dropped: tuple[int, ...]) -> None:
    """What is lost over the seam of two pictures damages these and those built on them, and no other one."""
    pictures = encode_pictures(30, options=SLICES)
    whole = {frame.pts: frame.image for frame in _watch(_packets(pictures, "last"))[0]}
    packets = _packets(pictures, "last", dropped)
    parsed, frames = _watch(packets, PARSED)[0], _watch(packets)[0]
    assert _intact(parsed, whole) <= _intact(frames, whole)
    assert 10 <= len(_intact(frames, whole)) < 30


def _intact(frames: Sequence[Frame], whole: dict[int | None, NDArray[np.uint8]]) -> set[int]:
    """Times of the pictures that are as they were taken."""
    timed = [(frame.pts, frame.image) for frame in frames if frame.pts is not None]
    return {pts for pts, image in timed if pts in whole and np.array_equal(image, whole[pts])}


def _packets(pictures: Sequence[Picture], markers: Markers, dropped: tuple[int, ...] = ()) -> list[list[bytes]]:
    """Packets of each picture, without those with some numbers from the first one on."""
    packetizer = Packetizer(markers=markers)
    numbered = itertools.count()
    return [[packet for packet in packetizer.packets(picture) if next(numbered) not in dropped] for picture in pictures]


@pytest.mark.parametrize(
    ("encoder", "complete_at"),
    [
        ("x264enc tune=zerolatency sliced-threads=true threads=2 ! rtph264pay pt=96 config-interval=-1", "marker"),
        ("openh264enc slice-mode=n-slices num-slices=2 ! h264parse ! rtph264pay pt=96 mtu=300", "marker"),
        ("x265enc tune=zerolatency speed-preset=ultrafast ! rtph265pay pt=96 config-interval=-1", "marker"),
        ("vp8enc deadline=1 ! rtpvp8pay pt=96", None),
    ],
    ids=["x264 sliced", "openh264", "x265", "vp8"],
)
def test_pictures_of_real_encoders_are_whole(tmp_path: Path, encoder: str, complete_at: str | None) -> None:
    """GStreamer's server and encoders: upper and lower half of a picture show the same number, one after the other."""
    require("an RTSP server (GStreamer)", rtsp_server_available(), HOW_TO_GET)
    element = encoder.partition(" ")[0]
    require(f"GStreamer's {element}", has_element(element), HOW_TO_GET)
    pictures = write_pictures(tmp_path, 60)
    with (
        rtsp_server(pictures=pictures, size=f"{WIDTH}x{HEIGHT}", encoder=encoder) as server,
        NetworkSource(server.url) as source,
    ):
        frames = list(itertools.islice(source.frames(), 30))
    upper, lower = HEIGHT // 3, HEIGHT - HEIGHT // 3
    numbers = [(read_number(frame.image[:upper]), read_number(frame.image[lower:])) for frame in frames]
    first = numbers[0][0]
    assert numbers == [((first + n) % 60, (first + n) % 60) for n in range(30)]
    assert {frame.complete_at for frame in frames[10:]} == {complete_at}
