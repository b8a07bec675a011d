"""Web cameras that send something wrong now and then, or one picture for each request."""

import json
import threading
import time
from itertools import count, islice
from pathlib import Path

import pytest

from ssa_stream.errors import ConfigError, SourceError, SourceErrorCode
from ssa_stream.sources import Recovering, RecoveryPolicy, SourceStage, open_source
from tests.support.command_line import run_command, write_tiny_config
from tests.support.http_server import HttpRequest, http_server, recording
from tests.support.multipart_camera import DAMAGES, jpeg, multipart_camera
from tests.support.video_files import read_number, write_video

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.usefixtures("warm_python")]

_QUICK = RecoveryPolicy(connect_s=2, lost_s=2, retry_s=0.05, retry_max_s=0.05, slow_retry_s=0.05, slow_retry_max_s=0.1)


@pytest.mark.parametrize("damage", DAMAGES)
def test_bad_part_of_a_multipart_camera_is_skipped_and_counted(damage: str) -> None:
    """On one connection; at most the part behind the bad one is lost with it."""
    with http_server(multipart_camera(60, damage)) as url, open_source(f"{url}/video") as source:
        assert isinstance(source, Recovering)
        frames = source.frames()
        numbers = [read_number(frame.image) for frame in islice(frames, 40)]
        status = source.status
    assert status.connections == 1
    assert status.losses.corrupt_packets >= 3
    assert numbers == sorted(set(numbers))
    good = [number for number in range(numbers[0], numbers[-1] + 1) if number % 10 not in (5, 6)]
    assert len(good) - len(set(good) & set(numbers)) <= source.buffer.overtaken


def test_multipart_camera_that_sends_nothing_good_is_lost() -> None:
    """Within the limits: data alone is no picture."""
    camera = multipart_camera(1000, "another content", every=1, first=0)

    def answer(request: HttpRequest) -> None:
        multipart_camera(5)(request) if request.path == "/good" else camera(request)

    policy = RecoveryPolicy(connect_s=2, first_frame_s=2, stall_s=0.5, lost_s=1, give_up_after_s=1, patient_start=True)
    with http_server(answer) as url, open_source(f"{url}/bad", recovery=policy) as source:
        began_s = time.monotonic()
        with pytest.raises(SourceError):
            list(source.frames())
        assert time.monotonic() - began_s < 15


def test_run_with_a_multipart_camera_keeps_its_connection(tmp_path: Path) -> None:
    """Through the command line: one epoch, and the damage in the summary."""
    model = ["--random-weights", "--model", str(write_tiny_config(tmp_path)), "--device", "cpu"]
    with http_server(multipart_camera(5000, "bad data")) as url:
        done = run_command(
            "run", f"{url}/video", "-p", "the red circle", "--max-frames", "30", "-o", "m.jsonl", *model, cwd=tmp_path
        )
    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["epoch"] for line in (tmp_path / "m.jsonl").read_text().splitlines()} == {0}
    assert "packets corrupt" in done.stderr
    assert "reconnecting" not in done.stderr


def test_multipart_camera_slower_than_the_limits_is_seen_and_in_the_end_kept() -> None:
    """The picture that a connection begins with is the newest one for long."""
    policy = RecoveryPolicy(connect_s=2, stall_s=0.5, lost_s=1.0, retry_s=0.05, retry_max_s=0.05)
    camera = multipart_camera(1000, interval_s=1.5, size=(240, 480))  # more than FFmpeg looks at to know the format
    with http_server(camera) as url, open_source(f"{url}/video", recovery=policy) as source:
        frames = source.frames()
        while read_number(next(frames).image) < 3:
            pass
        assert isinstance(source, Recovering)
        assert source.status.connections < 8


def test_mpeg_ts_that_ends_within_its_backlog_gives_its_newest_picture(tmp_path: Path) -> None:
    """Without a length nothing tells it from a camera."""
    data = write_video(tmp_path / "a.ts", 20).read_bytes()
    with http_server(recording(data, ranges=False, length=False)) as url, open_source(f"{url}/a.ts") as source:
        assert read_number(next(source.frames()).image) > 15  # but for what the decoder holds


class _Snapshots:
    """Gives the next picture for each request, or what it is told to."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.times_s: list[float] = []
        self.is_frozen = False
        self.status = 200
        self._number = 0

    def answer(self, request: HttpRequest) -> None:
        """Answer a request."""
        self.paths.append(request.path)
        self.times_s.append(time.monotonic())
        self._number += not self.is_frozen
        if self.status != 200:
            request.send_error(self.status)
            return
        request.send(200, jpeg(self._number), "image/jpeg")


def test_picture_address_is_asked_again_and_again() -> None:
    """At the interval that the address gives, which is not sent to the server."""
    camera = _Snapshots()
    with http_server(camera.answer) as url, open_source(f"{url}/snap.jpg?channel=1#interval=0.2") as source:
        frames = list(islice(source.frames(), 6))
    numbers = [read_number(frame.image) for frame in frames]
    assert numbers == list(range(numbers[0], numbers[0] + 6))
    assert set(camera.paths) == {"/snap.jpg?channel=1"}
    assert frames[-1].t - frames[0].t == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("has_length", [True, False], ids=["length", "no-length"])
def test_large_picture_at_an_address_that_looks_like_a_file_is_asked_again(has_length: bool) -> None:
    """FFmpeg goes by the name then, and gives the picture an end."""
    numbers, sizes = count(), []

    def answer(request: HttpRequest) -> None:
        body = jpeg(next(numbers), (720, 1280))
        sizes.append(len(body))
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        if has_length:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    with http_server(answer) as url, open_source(f"{url}/snap.jpg#interval=0.1") as source:
        assert source.info.live
        seen = [read_number(frame.image) for frame in islice(source.frames(), 4)]
    assert min(sizes) > 10_000
    assert seen == list(range(seen[0], seen[0] + 4))


def test_picture_that_does_not_change_is_no_frame_and_no_loss() -> None:
    """The state stays live, however long it is."""
    camera = _Snapshots()
    policy = RecoveryPolicy(connect_s=2, stall_s=0.3, lost_s=0.6)
    with (
        http_server(camera.answer) as url,
        open_source(f"{url}/snap.jpg#interval=0.1", recovery=policy) as source,
    ):
        assert isinstance(source, Recovering)
        frames = source.frames()
        first = next(frames)
        camera.is_frozen = True
        threading.Timer(1.5, setattr, (camera, "is_frozen", False)).start()
        later = list(islice(frames, 4))
        assert source.status.stage is SourceStage.LIVE
        assert source.status.connections == 1
    assert max(b.t - a.t for a, b in zip([first, *later], later, strict=False)) > 1
    assert {frame.epoch for frame in later} == {0}


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, SourceErrorCode.AUTH_FAILED), (404, SourceErrorCode.NOT_FOUND), (503, SourceErrorCode.SERVER_ERROR)],
)
def test_picture_address_that_fails_for_long_is_lost_and_comes_back(status: int, code: SourceErrorCode) -> None:
    """A short failure is nothing; a long one is told with its reason."""
    camera, codes = _Snapshots(), []
    with (
        http_server(camera.answer) as url,
        open_source(f"{url}/snap.jpg#interval=0.1", recovery=_QUICK, on_state=lambda s: codes.append(s.code)) as source,
    ):
        assert isinstance(source, Recovering)
        frames = source.frames()
        next(frames)
        camera.status = status
        threading.Timer(3.0, setattr, (camera, "status", 200)).start()
        while next(frames).epoch == 0:
            pass
        assert source.status.connections == 2
    assert code in codes


def test_picture_address_that_is_no_live_source_is_one_frame() -> None:
    """`live: false` reads what is there now."""
    with (
        http_server(_Snapshots().answer) as url,
        open_source(f"{url}/snap.jpg#interval=0.1", live=False) as source,
    ):
        assert len(list(source.frames())) == 1


def test_picture_address_with_a_log_in_and_a_redirect_is_polled() -> None:
    """As FFmpeg does it for streams; the password is in no text."""
    camera = _Snapshots()

    def answer(request: HttpRequest) -> None:
        if request.headers.get("Authorization") != "Basic Y2FtOnMzY3JldA==":
            request.send(401, b"", "text/plain", WWW_Authenticate='Basic realm="camera"')
        elif request.path == "/snap.jpg":
            request.send(302, b"", "text/plain", Location="/now.jpg")
        else:
            camera.answer(request)

    with http_server(answer) as url:
        address = url.replace("://", "://cam:s3cret@") + "/snap.jpg#interval=0.1"
        with open_source(address, recovery=None) as source:
            assert len(list(islice(source.frames(), 3))) == 3
            assert "s3cret" not in source.info.name
    assert set(camera.paths) == {"/now.jpg"}


@pytest.mark.parametrize("interval", ["0", "x", "-1", "inf"])
def test_interval_that_is_none_is_refused(interval: str) -> None:
    """Before anything is opened."""
    with pytest.raises(ConfigError, match=r"give seconds above 0, such as #interval=0\.5"):
        open_source(f"http://127.0.0.1:9/snap.jpg#interval={interval}")


def test_dash_is_refused_with_what_to_do() -> None:
    """This build of FFmpeg has no demuxer for it."""
    with (
        http_server(lambda request: request.send(200, b"<?xml version='1.0'?><MPD/>", "application/dash+xml")) as url,
        pytest.raises(SourceError, match="reads no DASH manifest: give the HLS or RTSP address"),
    ):
        open_source(f"{url}/a.mpd")
