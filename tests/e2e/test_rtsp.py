"""A real RTSP server, and everything that goes wrong with one."""

import socket
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from ssa_stream.errors import SourceError
from ssa_stream.sources import Freshest, open_source
from tests.support.rtsp_server import HOW_TO_GET, RtspServer, rtsp_server, rtsp_server_available

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

# What FFmpeg may take to notice silence is twice its timeout; the rest is a slow machine.
READ_TIMEOUT_S = 1.0
BOUND_S = 2 * READ_TIMEOUT_S + 6.0


@pytest.fixture(autouse=True)
def _needs_server() -> None:
    from tests.support.components import require

    require("an RTSP server (GStreamer)", rtsp_server_available(), HOW_TO_GET)


@pytest.fixture
def server() -> Iterator[RtspServer]:
    """A server that asks for nothing."""
    with rtsp_server() as running:
        yield running


def test_frames_arrive_in_order_with_times(server: RtspServer) -> None:
    """A second of video: numbers without gaps, times at the server's rate, moving pictures."""
    with open_source(server.url) as source:
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
    with open_source(server.url) as source:
        arrivals = [frame.t_receive_ns for frame, _ in zip(source.frames(), range(45), strict=False)]
    took_s = (arrivals[-1] - arrivals[10]) / 1e9
    assert took_s > 0.6 * 34 / 30


@pytest.mark.parametrize("how", ["plain", "freshest"])
def test_killed_server_is_lost_in_bounded_time(server: RtspServer, how: str) -> None:
    """FFmpeg ends without an error there; the source raises one."""
    source = open_source(server.url, read_timeout_s=READ_TIMEOUT_S)
    with Freshest(source) if how == "freshest" else source as reader:
        frames = reader.frames()
        next(frames)
        server.kill()
        killed_at_s = time.monotonic()
        with pytest.raises(SourceError, match=r"was lost after \d+ frames"):
            for _ in frames:
                pass
    assert time.monotonic() - killed_at_s < BOUND_S


def test_stalled_server_is_lost_in_bounded_time(server: RtspServer) -> None:
    """Its connections stay open and silent."""
    with open_source(server.url, read_timeout_s=READ_TIMEOUT_S) as source:
        frames = source.frames()
        next(frames)
        server.stall()
        stalled_at_s = time.monotonic()
        with pytest.raises(SourceError, match=r"was lost .*stalled, no data for 1 s"):
            for _ in frames:
                pass
    assert time.monotonic() - stalled_at_s < BOUND_S


def test_close_during_a_blocked_read_ends_it_in_bounded_time(server: RtspServer) -> None:
    """From another thread, while the server is silent; not an error for the reader."""
    source = open_source(server.url, read_timeout_s=READ_TIMEOUT_S)
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
    assert time.monotonic() - began_s < 0.5
    reader.join(BOUND_S)
    assert not reader.is_alive()
    assert outcome == ["ended"]


@pytest.mark.parametrize("digest", [False, True], ids=["basic", "digest"])
def test_right_credentials_are_accepted_and_wrong_ones_not_repeated(
    digest: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """The password is neither in the error, nor behind it, nor printed by the library underneath."""
    with rtsp_server(credentials="cam:s3cret", digest=digest) as server:
        with open_source(server.url_with("cam", "s3cret")) as source:
            assert next(source.frames()).seq == 0
            assert "s3cret" not in source.info.name
        for url in (server.url_with("cam", "wr0ng"), server.url):
            with pytest.raises(SourceError, match="refused the user name or password") as caught:
                open_source(url)
            assert "wr0ng" not in repr(caught.value)
            assert caught.value.__cause__ is None
            assert caught.value.__context__ is None
    printed = capfd.readouterr()
    assert "wr0ng" not in printed.out + printed.err
    assert "s3cret" not in printed.out + printed.err


def test_wrong_path_and_no_server_are_told_apart(server: RtspServer) -> None:
    """Each says what to check."""
    with pytest.raises(SourceError, match="no such stream on that server"):
        open_source(server.url.replace("/cam", "/nothing"))
    server.kill()
    with pytest.raises(SourceError, match="nothing listens there"):
        open_source(server.url)


def test_server_that_accepts_and_never_answers_is_given_up() -> None:
    """Opening is bounded as well."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began_s = time.monotonic()
        with pytest.raises(SourceError, match="cannot open rtsp"):
            open_source(
                f"rtsp://127.0.0.1:{silent.getsockname()[1]}/cam", open_timeout_s=1.0, read_timeout_s=READ_TIMEOUT_S
            )
    assert time.monotonic() - began_s < BOUND_S
