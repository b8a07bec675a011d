"""Pictures of network cameras are complete at their markers, and never torn."""

import contextlib
import itertools
import threading
from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.sources import Frame, NetworkSource, open_source
from ssa_stream.sources.source import Completion
from tests.support.components import require
from tests.support.live_server_files import write_pictures
from tests.support.rtsp_server import HOW_TO_GET, has_element, rtsp_server, rtsp_server_available
from tests.support.scripted_camera import Markers, Packetizer, Picture, encode_pictures, scripted_camera
from tests.support.video_files import HEIGHT, WIDTH, read_number

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

ZERO_LATENCY = {"tune": "zerolatency"}
HEVC = {"x265-params": "log-level=none:bframes=0:keyint=15", "tune": "zerolatency"}
KEY_INTERVAL = 15
# FFmpeg then parses what comes, and takes a picture for complete when the next one begins.
PARSED = {"fflags": "+autobsf"}
TRIAL = 6
"""Pictures after which markers are trusted that nothing proves: the first one, and five whole ones."""


def _watch(
    packets: Sequence[Sequence[bytes]],
    options: dict[str, str] | None = None,
    name: str = "H264",
    *,
    trusts_markers: bool = False,
) -> tuple[list[Frame], NetworkSource]:
    """All frames of a camera that sends these packets and hangs up."""
    with scripted_camera(name) as camera:

        def send() -> None:
            for one in packets:
                camera.send(one)
            camera.hang_up()

        sender = threading.Thread(target=send)
        sender.start()
        source = NetworkSource(camera.url, options=options, trusts_markers=trusts_markers)
        frames: list[Frame] = []
        with pytest.raises(SourceError, match="was lost after"):
            frames.extend(source.frames())
        sender.join()
    return frames, source


@pytest.mark.parametrize(
    ("name", "encoder", "options", "trial"),
    [
        ("H264", "libx264", {**ZERO_LATENCY, "slices": "1"}, 1),
        ("H264", "libx264", {**ZERO_LATENCY, "slices": "4"}, 1),
        ("H265", "libx265", HEVC, TRIAL),
    ],
    ids=["one slice", "slices", "hevc that is trusted"],
)
def test_picture_arrives_before_the_next_one_is_sent(
    name: str, encoder: str, options: dict[str, str], trial: int
) -> None:
    """The camera sends nothing more until a picture has arrived; of H.264 so from the second one on."""
    pictures = encode_pictures(trial + 12, encoder, options)
    packetizer = Packetizer(name)
    with scripted_camera(name) as camera:
        first = [packet for picture in pictures[:trial] for packet in packetizer.packets(picture)]
        opening = threading.Thread(target=camera.send, args=(first,))
        opening.start()
        with open_source(f"{camera.url}{'' if trial == 1 else '#markers=trusted'}", recovery=None) as source:
            opening.join()
            frames = source.frames()
            list(itertools.islice(frames, trial - 1))
            camera.send(packetizer.packets(pictures[trial]))
            next(frames)  # the last one that waited for the next
            arrived = [next(frames)]
            for picture in pictures[trial + 1 :]:
                camera.send(packetizer.packets(picture))
                arrived.append(next(frames))
            assert [round(frame.t * 10) for frame in arrived] == list(range(trial, trial + 12))
            assert {frame.complete_at for frame in arrived} == {"marker"}


SLICES = {**ZERO_LATENCY, "slices": "3"}
B_FRAMES = {"bf": "2", "x264-params": "b-adapt=0:rc-lookahead=4"}
OPEN_GROUPS = {"bf": "3", "slices": "2", "x264-params": "open-gop=1:b-adapt=0:b-pyramid=normal:rc-lookahead=4"}
REFRESH = {**ZERO_LATENCY, "slices": "2", "x264-params": "intra-refresh=1:keyint=15"}


@pytest.mark.parametrize(
    ("options", "markers", "complete_at"),
    [
        (SLICES, "last", "marker"),
        (SLICES, "parameters", "marker"),
        (SLICES, "none", "next_picture"),
        (SLICES, "every", "marker"),
        ({**SLICES, "x264-params": "interlaced=1:tff=1"}, "every", "marker"),
        (B_FRAMES, "last", "marker"),
        ({**B_FRAMES, "slices": "2"}, "every", "marker"),
        (OPEN_GROUPS, "last", "marker"),
        (REFRESH, "last", "marker"),
    ],
    ids=[
        "slices", "marked parameters", "no marker", "every packet marked", "interlaced", "B-frames",
        "B-frames, every packet marked", "open groups", "refresh",
    ],
)  # fmt: skip
def test_pictures_are_those_that_ffmpeg_parses(
    options: dict[str, str], markers: Markers, complete_at: Completion
) -> None:
    """Whatever the camera's markers are like: the same pictures, with the same times, but for the last one.

    Nothing proves that one, where the camera hangs up and there is no marker, or its order is another.
    """
    packets = _packets(encode_pictures(30, options=options), markers)
    parsed, _ = _watch(packets, PARSED)
    frames, _ = _watch(packets)
    expected = {frame.pts: frame.image for frame in parsed[1:]}  # the first one may have no time
    assert len(parsed) >= 25
    assert len(frames) >= len(parsed) - 1
    for frame in frames[1:]:
        np.testing.assert_array_equal(frame.image, expected[frame.pts])
    np.testing.assert_array_equal(frames[0].image, parsed[0].image)
    assert {frame.complete_at for frame in frames} == {complete_at}
    assert {frame.complete_at for frame in parsed} == {"next_picture"}


def test_marker_that_is_none_tears_no_picture() -> None:
    """A camera that marks the last packets of eight pictures, and then one of a slice that is not the last."""
    packetizer = Packetizer()
    pictures = encode_pictures(20, options=SLICES)
    packets = [packetizer.packets(picture) for picture in pictures[:8]]
    packetizer.markers = "first slice"
    packets += [packetizer.packets(picture) for picture in pictures[8:]]
    whole = {frame.pts: frame.image for frame in _watch(_packets(pictures, "last"))[0]}
    frames, _ = _watch(packets)
    assert _intact(frames, whole) == {picture.time for picture in pictures[:-1]}
    assert [frame.complete_at for frame in frames] == 8 * ["marker"] + 11 * ["next_picture"]


def test_hevc_marker_that_is_none_is_believed_once() -> None:
    """If they are trusted: one picture is torn, those built on it are withheld, and no marker counts any more."""
    packetizer = Packetizer("H265")
    pictures = encode_pictures(40, "libx265", {**HEVC, "x265-params": f"{HEVC['x265-params']}:slices=2"})
    packets = [packetizer.packets(picture) for picture in pictures[:20]]
    packetizer.markers = "first slice"
    packets += [packetizer.packets(picture) for picture in pictures[20:]]
    whole = {frame.pts: frame.image for frame in _watch(packets, PARSED, "H265")[0]}
    careful, trusting = _watch(packets, name="H265")[0], _watch(packets, name="H265", trusts_markers=True)[0]
    assert len(_intact(careful, whole)) == len(careful) - 1 == 38, "FFmpeg tells no time of the first one"
    shown = [round(frame.t * 10) for frame in trusting]
    assert shown == [*range(21), *range(30, 39)]
    assert len(_intact(trusting, whole)) == len(trusting) - 2, "the first one and the torn one"
    assert trusting[-1].complete_at == "next_picture"


@pytest.mark.parametrize(
    ("name", "encoder", "options"),
    [
        ("H264", "libx264", SLICES),
        ("H264", "libx264", {**B_FRAMES, "slices": "2"}),
        ("H264", "libx264", OPEN_GROUPS),
        ("H264", "libx264", REFRESH),
        ("H265", "libx265", HEVC),
    ],
    ids=["slices", "B-frames", "open groups", "refresh", "hevc"],
)
def test_lost_packets_tear_no_picture(name: str, encoder: str, options: dict[str, str]) -> None:
    """What is built on them is withheld, up to the second key picture at most; FFmpeg's parser shows some of it."""
    pictures = encode_pictures(50, encoder, options)
    whole = {frame.pts: frame.image for frame in _watch(_packets(pictures, "last", name=name), name=name)[0]}
    torn = 0
    for first, count in ((20, 1), (47, 3), (60, 9), (75, 30)):
        packets = _packets(pictures, "last", range(first, first + count), name)
        parsed, frames = _watch(packets, PARSED, name)[0][1:], _watch(packets, name=name)[0]
        shown = {frame.pts for frame in frames}
        assert _intact(frames, whole) == shown
        assert len(shown) == len(frames) > len(whole) - 2 * KEY_INTERVAL
        torn += len(parsed) - len(_intact(parsed, whole))
    assert torn > 0


def test_missing_key_picture_ends_the_connection_and_is_told() -> None:
    """A camera that goes on and on after a loss without a picture that decoding can begin with."""
    packets = _packets(encode_pictures(60, options={**SLICES, "g": "1000"}), "last", dropped=range(30, 32))
    with scripted_camera() as camera:

        def send() -> None:
            with contextlib.suppress(OSError):  # it was hung up
                for one in packets:
                    camera.send(one)
                    hung_up.wait(0.02)

        hung_up = threading.Event()
        sender = threading.Thread(target=send)
        sender.start()
        with (
            NetworkSource(camera.url, no_frame_limit_s=0.25) as source,
            pytest.raises(SourceError, match=r"no key frame for .* after packets were lost") as told,
        ):
            list(source.frames())
        hung_up.set()
        sender.join()
    assert told.value.code is SourceErrorCode.NO_FRAME


def _intact(frames: Sequence[Frame], whole: dict[int | None, NDArray[np.uint8]]) -> set[int]:
    """Times of the pictures that are as they were taken."""
    timed = [(frame.pts, frame.image) for frame in frames if frame.pts is not None]
    return {pts for pts, image in timed if pts in whole and np.array_equal(image, whole[pts])}


def _packets(
    pictures: Sequence[Picture], markers: Markers, dropped: Container[int] = (), name: str = "H264"
) -> list[list[bytes]]:
    """Packets of each picture, without those with some numbers from the first one on."""
    packetizer = Packetizer(name, markers=markers)
    numbered = itertools.count()
    return [[packet for packet in packetizer.packets(picture) if next(numbered) not in dropped] for picture in pictures]


def test_camera_is_asked_for_its_own_address_once() -> None:
    """As FFmpeg asks it without anything between, and also if it refuses."""
    packets = _packets(encode_pictures(10, options=SLICES), "last")
    asked = []
    for options in (PARSED, None):
        with scripted_camera() as camera:
            sender = threading.Thread(target=lambda to=camera: (to.send(packets[0]), to.hang_up()))
            sender.start()
            with NetworkSource(camera.url, options=options):
                sender.join()
            asked.append(
                [request.replace(camera.url, "URL") for request in camera.requests if "TEARDOWN" not in request]
            )
    assert asked[0] == asked[1]
    assert all("URL" in request for request in asked[1])
    with scripted_camera(status="404 Not Found") as camera:
        with pytest.raises(SourceError, match="404"):
            NetworkSource(camera.url)
        assert camera.connections == 1


@pytest.mark.parametrize(
    ("encoder", "complete_at"),
    [
        ("x264enc tune=zerolatency sliced-threads=true threads=2 ! rtph264pay pt=96 config-interval=-1", "marker"),
        ("openh264enc slice-mode=n-slices num-slices=2 ! h264parse ! rtph264pay pt=96 mtu=300", "marker"),
        ("x265enc tune=zerolatency speed-preset=ultrafast ! rtph265pay pt=96 config-interval=-1", "next_picture"),
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
        rtsp_server(pictures=pictures, fps=60, size=f"{WIDTH}x{HEIGHT}", encoder=encoder) as server,
        NetworkSource(server.url) as source,
    ):
        frames = list(itertools.islice(source.frames(), 30))
    upper, lower = HEIGHT // 3, HEIGHT - HEIGHT // 3
    numbers = [(read_number(frame.image[:upper]), read_number(frame.image[lower:])) for frame in frames]
    first = numbers[0][0]
    assert numbers == [((first + n) % 60, (first + n) % 60) for n in range(30)]
    assert {frame.complete_at for frame in frames[10:]} == {complete_at}
