"""Live addresses other than RTSP: an HTTP camera, a recording on a web server, MPEG-TS over UDP."""

import socket
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import cv2
import pytest

from ssa_stream.errors import SourceError
from ssa_stream.sources import Recovering, RecoveryPolicy, SourceStage, open_source
from tests.support.http_server import HttpRequest, http_server
from tests.support.video_files import HEIGHT, WIDTH, numbered_image, read_number, write_video

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

INTERVAL_S = 0.02


def _camera(count: int) -> Callable[[HttpRequest], None]:
    """Send `count` JPEG pictures, one after the other, as web cameras do, at a pace of 50 a second."""

    def answer(request: HttpRequest) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        for number in range(count):
            picture = cv2.imencode(".jpg", numbered_image(number))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            request.wfile.write(head.encode() + picture + b"\r\n")
            time.sleep(INTERVAL_S)

    return answer


def test_http_camera_delivers_every_picture_at_its_time_of_arrival() -> None:
    """The format carries no times, so those of arrival count; the end of the answer is a loss."""
    with http_server(_camera(40)) as url, open_source(f"{url}/video?user=me&password=hidden", recovery=None) as source:
        frames = source.frames()
        received = list(islice(frames, 35))
        with pytest.raises(SourceError, match="was lost after") as caught:
            list(frames)
    assert "hidden" not in str(caught.value)
    assert "hidden" not in source.info.name
    numbers = [read_number(frame.image) for frame in received]
    assert numbers == list(range(numbers[0], numbers[0] + 35))
    for first, second in pairwise(received[5:]):
        assert second.t - first.t == pytest.approx((second.t_receive_ns - first.t_receive_ns) / 1e9, abs=2e-3)


def test_recording_on_a_web_server_is_read_whole_when_not_live(tmp_path: Path) -> None:
    """`live=False` reads every frame, and its end is not a loss."""
    data = write_video(tmp_path / "a.mp4", 25, muxer={"movflags": "faststart"}).read_bytes()

    def answer(request: HttpRequest) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    with http_server(answer) as url, open_source(f"{url}/a.mp4", live=False) as source:
        assert [read_number(frame.image) for frame in source.frames()] == list(range(25))
        assert not source.info.live


def test_recording_on_a_web_server_ends_also_where_it_is_taken_for_live(tmp_path: Path) -> None:
    """It says how long it is: its end is no loss, and it is not played again."""
    data = write_video(tmp_path / "a.mp4", 25, muxer={"movflags": "faststart"}).read_bytes()
    requests: list[str] = []

    def answer(request: HttpRequest) -> None:
        requests.append(request.path)
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    with http_server(answer) as url, open_source(f"{url}/a.mp4") as source:
        assert isinstance(source, Recovering)
        assert [read_number(frame.image) for frame in source.frames()][-1] == 24
        assert source.status.stage is SourceStage.ENDED
        assert source.status.connections == 1


def test_http_camera_that_is_lost_is_read_again() -> None:
    """Every kind of address recovers in the same way."""
    policy = RecoveryPolicy(retry_s=0.05, retry_max_s=0.05)
    with (
        http_server(_camera(30)) as url,
        open_source(f"{url}/video?password=hidden", recovery=policy) as source,
    ):
        epochs = set()
        for frame in source.frames():
            epochs.add(frame.epoch)
            if frame.epoch == 2:
                break
        assert epochs == {0, 1, 2}


def test_http_errors_are_told_apart() -> None:
    """As for RTSP."""
    for status, says in ((401, "refused the user name or password"), (404, "404"), (500, "failed to start")):
        with (
            http_server(lambda request, status=status: request.send_error(status)) as url,  # type: ignore[misc]
            pytest.raises(SourceError, match=says),
        ):
            open_source(url)


def test_udp_stream_arrives_and_its_silence_is_a_loss() -> None:
    """MPEG-TS, as many encoders send it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stop = threading.Event()
    sender = threading.Thread(target=_send_mpegts, args=(f"udp://127.0.0.1:{port}?pkt_size=1316", stop))
    sender.start()
    try:
        with open_source(f"udp://127.0.0.1:{port}", open_timeout_s=20.0, read_timeout_s=1.0, recovery=None) as source:
            frames = source.frames()
            numbers = [read_number(frame.image) for frame in islice(frames, 20)]
            stop.set()
            began_s = time.monotonic()
            with pytest.raises(SourceError, match="was lost"):
                list(frames)
            assert time.monotonic() - began_s < 10
    finally:
        stop.set()
        sender.join()
    assert numbers == list(range(numbers[0], numbers[0] + 20))


def _send_mpegts(url: str, stop: threading.Event) -> None:
    with av.open(url, "w", format="mpegts") as container:
        options = {"tune": "zerolatency", "g": "10", "crf": "10"}
        stream = container.add_stream("libx264", rate=50, options=options)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        number = 0
        while not stop.wait(INTERVAL_S):
            frame = av.VideoFrame.from_ndarray(numbered_image(number % 4096), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 50)
            container.mux(stream.encode(frame))
            number += 1
