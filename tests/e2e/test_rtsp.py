"""One connection to a real RTSP server: what it delivers, and how it is lost."""

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Literal

import pytest

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.sources import Frame, Freshest, NetworkSource, RecoveryPolicy, Source, open_source
from tests.support.components import require
from tests.support.live_server_files import write_certificate, write_pictures
from tests.support.rtsp_server import HOW_TO_GET, RtspServer, rtsp_server, rtsp_server_available
from tests.support.video_files import HEIGHT, WIDTH, read_number

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

# What FFmpeg may take to notice silence is twice its timeout; the rest is a slow machine.
READ_TIMEOUT_S = 1.0
BOUND_S = 2 * READ_TIMEOUT_S + 6.0
LOOP = 60


@pytest.fixture(autouse=True)
def _needs_server() -> None:
    require("an RTSP server (GStreamer)", rtsp_server_available(), HOW_TO_GET)


@pytest.fixture
def server() -> Iterator[RtspServer]:
    """A server that asks for nothing."""
    with rtsp_server() as running:
        yield running


def test_frames_arrive_in_order_with_times(server: RtspServer) -> None:
    """A second of video: numbers without gaps, times at the server's rate, moving pictures."""
    with open_source(server.url, recovery=None) as source:
        assert source.info.live
        frames = [frame for frame, _ in zip(source.frames(), range(30), strict=False)]
    assert [frame.seq for frame in frames] == list(range(30))
    assert {frame.size for frame in frames} == {(240, 320)}
    assert all(later.t > earlier.t for earlier, later in pairwise(frames))
    assert frames[-1].t - frames[0].t == pytest.approx(29 / 30, abs=0.15)
    assert (frames[0].image != frames[-1].image).any()
    assert frames[0].image.max() > 200


def test_frames_arrive_live_without_a_backlog(server: RtspServer) -> None:
    """After the first ones, frames come at the pace at which they are made."""
    with open_source(server.url, recovery=None) as source:
        arrivals = [frame.t_receive_ns for frame, _ in zip(source.frames(), range(45), strict=False)]
    took_s = (arrivals[-1] - arrivals[10]) / 1e9
    assert took_s > 0.6 * 34 / 30


@pytest.mark.parametrize("how", ["plain", "freshest"])
def test_killed_server_is_lost_in_bounded_time(server: RtspServer, how: str) -> None:
    """FFmpeg ends without an error there; the source raises one."""
    source = open_source(server.url, read_timeout_s=READ_TIMEOUT_S, recovery=None)
    with Freshest(source) if how == "freshest" else source as reader:
        frames = reader.frames()
        next(frames)
        server.kill()
        killed_at_s = time.monotonic()
        with pytest.raises(SourceError, match=r"was lost after \d+ frames") as caught:
            for _ in frames:
                pass
    assert caught.value.code is SourceErrorCode.LOST
    assert time.monotonic() - killed_at_s < BOUND_S


def test_stalled_server_is_lost_in_bounded_time(server: RtspServer) -> None:
    """Its connections stay open and silent."""
    with open_source(server.url, read_timeout_s=READ_TIMEOUT_S, recovery=None) as source:
        frames = source.frames()
        next(frames)
        server.stall()
        stalled_at_s = time.monotonic()
        with pytest.raises(SourceError, match=r"was lost .*stalled, no data for 1 s") as caught:
            for _ in frames:
                pass
    assert caught.value.code is SourceErrorCode.STALLED
    assert time.monotonic() - stalled_at_s < BOUND_S


def test_close_during_a_blocked_read_ends_it_in_bounded_time(server: RtspServer) -> None:
    """From another thread, while the server is silent; not an error for the reader."""
    source = open_source(server.url, read_timeout_s=READ_TIMEOUT_S, recovery=None)
    outcome: list[object] = []
    first = threading.Event()

    def read() -> None:
        try:
            for _ in source.frames():
                first.set()
            outcome.append("ended")
        except SourceError as error:
            outcome.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert first.wait(20)
    server.stall()
    began_s = time.monotonic()
    source.close()
    assert time.monotonic() - began_s < READ_TIMEOUT_S  # which a close that waited would have taken at least
    reader.join(BOUND_S)
    assert not reader.is_alive()
    assert outcome == ["ended"]


@pytest.mark.parametrize("digest", [False, True], ids=["basic", "digest"])
def test_right_credentials_are_accepted_and_wrong_ones_not_repeated(
    digest: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """The password is neither in the error, nor behind it, nor printed by the library underneath."""
    with rtsp_server(credentials="cam:s3cret", digest=digest) as server:
        with open_source(server.url_with("cam", "s3cret"), recovery=None) as source:
            assert next(source.frames()).seq == 0
            assert "s3cret" not in source.info.name
        for url in (server.url_with("cam", "wr0ng"), server.url):
            with pytest.raises(SourceError, match="refused the user name or password") as caught:
                open_source(url)
            assert "wr0ng" not in repr(caught.value)
            assert caught.value.code is SourceErrorCode.AUTH_FAILED
            assert caught.value.__cause__ is None
            assert caught.value.__context__ is None
    printed = capfd.readouterr()
    assert "wr0ng" not in printed.out + printed.err
    assert "s3cret" not in printed.out + printed.err


def test_wrong_path_and_no_server_are_told_apart(server: RtspServer) -> None:
    """Each says what to check."""
    with pytest.raises(SourceError, match="no such stream on that server") as caught:
        open_source(server.url.replace("/cam", "/nothing"))
    assert caught.value.code is SourceErrorCode.NOT_FOUND
    server.kill()
    with pytest.raises(SourceError, match="nothing listens there") as caught:
        open_source(server.url)
    assert caught.value.code is SourceErrorCode.REFUSED


def test_server_that_accepts_and_never_answers_is_given_up() -> None:
    """Opening is bounded as well, with and without recovery."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for recovery in (None, RecoveryPolicy()):
            began_s = time.monotonic()
            with pytest.raises(SourceError, match=r"cannot open rtsp.*in time|no answer within 1 s") as caught:
                open_source(
                    f"rtsp://127.0.0.1:{silent.getsockname()[1]}/cam",
                    open_timeout_s=1.0,
                    read_timeout_s=READ_TIMEOUT_S,
                    recovery=recovery,
                )
            assert caught.value.code is SourceErrorCode.TIMEOUT
            assert time.monotonic() - began_s < BOUND_S


@pytest.mark.parametrize("codec", ["unknown", "sound"])
def test_stream_without_video_that_can_be_decoded_is_told(codec: Literal["unknown", "sound"]) -> None:
    """Nobody waits for its first picture."""
    with rtsp_server(codec=codec) as server, pytest.raises(SourceError, match="holds no video stream") as caught:
        open_source(server.url)
    assert caught.value.code is SourceErrorCode.UNSUPPORTED_CODEC


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A loop of two seconds, each picture with its number."""
    return write_pictures(tmp_path_factory.mktemp("loop"), LOOP)


def test_first_key_frame_is_not_lost_to_probing(pictures: Path) -> None:
    """The server sends one when it is asked for the stream; who misses it waits for the next, here ten seconds."""
    with (
        rtsp_server(pictures=pictures, size=f"{WIDTH}x{HEIGHT}", key_interval=300) as server,
        open_source(server.url, recovery=None) as source,
    ):
        assert read_number(next(source.frames()).image) == 0


def test_looping_stream_is_read_without_a_hole(pictures: Path) -> None:
    """Over the seam of the loop too: its times go on."""
    with (
        rtsp_server(pictures=pictures, size=f"{WIDTH}x{HEIGHT}") as server,
        open_source(server.url, recovery=None) as source,
    ):
        frames = list(islice(source.frames(), LOOP + 20))
    numbers = [read_number(frame.image) for frame in frames]
    assert numbers == [(numbers[0] + n) % LOOP for n in range(LOOP + 20)]
    assert all(later.t > earlier.t for earlier, later in pairwise(frames))


def test_client_that_joins_between_key_frames_begins_with_a_whole_picture(pictures: Path) -> None:
    """Its first picture is the next key frame, not the rubbish before it."""
    with rtsp_server(pictures=pictures, size=f"{WIDTH}x{HEIGHT}", key_interval=LOOP) as server:
        with open_source(server.url, recovery=None) as first, open_source(server.url, recovery=None) as second:
            numbers = iter(read_number(frame.image) for frame in first.frames())
            while next(numbers) != LOOP // 3:
                pass
            joined = [read_number(frame.image) for frame in islice(second.frames(), 5)]
    assert joined == [(joined[0] + n) % LOOP for n in range(5)]


def test_b_frames_come_in_the_order_of_their_times_with_times_of_capture() -> None:
    """Their packets come in another one, and with the camera's times of that."""
    with rtsp_server(b_frames=2) as server, open_source(server.url, recovery=None) as source:
        frames = _until_camera_time(source, 40)
    assert all(later.t > earlier.t for earlier, later in pairwise(frames))
    for earlier, later in pairwise(frames):
        assert earlier.t_camera_ns is not None
        assert later.t_camera_ns is not None
        assert (later.t_camera_ns - earlier.t_camera_ns) / 1e9 == pytest.approx(later.t - earlier.t, abs=0.02)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_cameras_clock_gives_times_of_capture_from_its_first_report_on(server: RtspServer, transport: str) -> None:
    """It is this machine's clock here: pictures are received after they were taken, and not long after."""
    with open_source(server.url, recovery=None, options={"rtsp_transport": transport}) as source:
        frames = _until_camera_time(source, 30)
    for frame in frames:
        assert frame.capture_clock == "monotonic"
        assert frame.t_capture_ns is not None
        assert 0 <= frame.t_receive_ns - frame.t_capture_ns < 2_000_000_000


def test_losses_of_datagrams_are_counted_and_the_stream_goes_on(pictures: Path) -> None:
    """One picture is one packet here, so what the server drops are whole pictures."""
    with (
        rtsp_server(pictures=pictures, size=f"{WIDTH}x{HEIGHT}", loss=0.1) as server,
        open_source(server.url, recovery=None, options={"rtsp_transport": "udp"}) as source,
    ):
        assert isinstance(source, NetworkSource)
        frames = list(islice(source.frames(), 150))
        losses = source.losses
    came_of = round((frames[-1].t - frames[0].t) * 30) + 1
    assert losses.missing_frames > 0
    assert losses.missing_frames == pytest.approx(came_of - len(frames), abs=3)


def _until_camera_time(source: Source, count: int) -> list[Frame]:
    """The first frames that know when they were taken; servers report their clock every few seconds."""
    timed = (frame for frame in islice(source.frames(), 450) if frame.t_camera_ns is not None)
    frames = list(islice(timed, count))
    assert len(frames) == count, "no report of the camera's clock came"
    return frames


def test_rtsps_is_read_and_its_certificate_checked_if_wanted(tmp_path: Path) -> None:
    """Cameras sign their own, so by default it is not."""
    require("openssl", shutil.which("openssl") is not None, "apt-get install openssl")
    both, certificate = write_certificate(tmp_path)
    with rtsp_server(certificate=both) as server:
        for options in ({}, {"tls_verify": "1", "cafile": str(certificate)}):
            with open_source(server.url, recovery=None, options=options) as source:
                assert next(source.frames()).seq == 0
        with pytest.raises(SourceError, match="certificate is not trusted") as caught:
            open_source(server.url, options={"tls_verify": "1"})
        assert caught.value.code is SourceErrorCode.TLS


def test_rtsps_at_a_server_without_it_is_told(server: RtspServer) -> None:
    """Not as a riddle."""
    with pytest.raises(SourceError, match="speaks no TLS") as caught:
        open_source(server.url.replace("rtsp:", "rtsps:"))
    assert caught.value.code is SourceErrorCode.TLS
