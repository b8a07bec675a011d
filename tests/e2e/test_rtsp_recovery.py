"""A real RTSP server that is killed, frozen, locked and changed, and a source that stays up through all of it."""

import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from ssa_stream.sources import (
    Frame,
    Freshest,
    Recovering,
    RecoveryPolicy,
    SourceErrorCode,
    SourceStage,
    SourceStatus,
    open_source,
)
from tests.support.components import require
from tests.support.live_server_files import write_pictures
from tests.support.rtsp_server import HOW_TO_GET, rtsp_server, rtsp_server_available
from tests.support.video_files import HEIGHT, WIDTH, read_number

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

LOOP = 60
DEADLINE_S = 30.0
SIZE = f"{WIDTH}x{HEIGHT}"
# Limits as short as a busy machine bears, so that what happens after them is seen soon; a server that is slow to make
# its first picture is given another attempt.
POLICY = RecoveryPolicy(
    patient_start=True,
    connect_s=2, first_frame_s=8, stall_s=0.8, lost_s=2.5, retry_s=0.2, retry_max_s=0.4, slow_retry_s=0.2,
    slow_retry_max_s=0.4,
)  # fmt: skip


# Where a silence of the machine itself must not be taken for one of the server.
PATIENT = dataclasses.replace(POLICY, connect_s=20.0, lost_s=60.0)


@pytest.fixture(autouse=True)
def _needs_server() -> None:
    require("an RTSP server (GStreamer)", rtsp_server_available(), HOW_TO_GET)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A loop of two seconds, each picture with its number."""
    return write_pictures(tmp_path_factory.mktemp("loop"), LOOP)


class Viewer:
    """Reads a source in a thread, as a pipeline does, and remembers what came and which states it went through."""

    def __init__(self) -> None:
        self.states: list[SourceStatus] = []
        self.seen: list[Frame] = []
        self.ended = False
        self._changed = threading.Condition()

    def on_state(self, status: SourceStatus) -> None:
        """Remember a state."""
        with self._changed:
            self.states.append(status)
            self._changed.notify_all()

    def read(self, source: Freshest) -> None:
        """Read to the end."""
        for frame in source.frames():
            with self._changed:
                self.seen.append(frame)
                self._changed.notify_all()
        self.ended = True

    def wait_for(self, happened: Callable[[], bool], what: str) -> None:
        """Wait until something is so."""
        with self._changed:
            assert self._changed.wait_for(happened, DEADLINE_S), f"no {what}; states: {self.states[-5:]}"

    def wait_for_frames(self, count: int = 20) -> None:
        """Wait for that many more frames."""
        enough = len(self.seen) + count
        self.wait_for(lambda: len(self.seen) >= enough, f"{count} frames")

    def wait_for_state(self, stage: SourceStage, code: SourceErrorCode | None = None) -> None:
        """Wait until it is, or was since the last call of `forget`, in that state."""
        self.wait_for(
            lambda: any(s.stage is stage and (code is None or s.code is code) for s in self.states), f"{stage} {code}"
        )

    def forget(self) -> None:
        """Wait only for states that come from now on."""
        with self._changed:
            self.states.clear()


@contextmanager
def _viewer(url: str, policy: RecoveryPolicy = POLICY, **options: str) -> Iterator[Viewer]:
    viewer = Viewer()
    with Freshest(open_source(url, recovery=policy, options=options, on_state=viewer.on_state)) as source:
        assert isinstance(source.source, Recovering)
        thread = threading.Thread(target=viewer.read, args=(source,))
        thread.start()
        try:
            yield viewer
        finally:
            began_s = time.monotonic()
            source.close()
            thread.join(DEADLINE_S)
        assert viewer.ended
        # Whatever the server was doing: half a second for the connection, the rest is a slow machine.
        assert time.monotonic() - began_s < 5.0
    assert viewer.states[-1].stage is SourceStage.ENDED


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends the servers that a test started."""
    with ExitStack() as servers:
        yield servers


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_killed_server_that_comes_back_is_read_on(stack: ExitStack, pictures: Path) -> None:
    """Three times: each time an epoch, an outage that is told, and nothing that piles up."""
    server = stack.enter_context(rtsp_server(pictures=pictures, size=SIZE))
    with _viewer(server.url, PATIENT) as viewer:
        viewer.wait_for_frames()
        files = _open_files()
        for _ in range(3):
            viewer.forget()
            server.kill()
            viewer.wait_for_state(SourceStage.RECONNECTING, SourceErrorCode.LOST)
            viewer.wait_for_state(SourceStage.RECONNECTING, SourceErrorCode.REFUSED)
            server = stack.enter_context(rtsp_server(port=server.port, pictures=pictures, size=SIZE))
            viewer.wait_for_state(SourceStage.LIVE)
            viewer.wait_for_frames()
        status = viewer.states[-1]
        assert [thread.name for thread in threading.enumerate()].count(f"connection of {server.url}") == 1
        assert _open_files() <= files + 2
    assert (status.epoch, status.connections) == (3, 4)
    assert status.outage_s is not None
    assert 0 < status.outage_s < DEADLINE_S
    assert {frame.epoch for frame in viewer.seen} == {0, 1, 2, 3}
    assert all(later.t > earlier.t for earlier, later in pairwise(viewer.seen))
    for earlier, later in pairwise(viewer.seen):
        if later.epoch != earlier.epoch:
            passed_s = (later.t_receive_ns - earlier.t_receive_ns) / 1e9
            assert later.t - earlier.t == pytest.approx(passed_s, abs=0.5)
            assert later.continues(earlier)
    assert {read_number(frame.image) for frame in viewer.seen} <= set(range(LOOP))


def test_server_that_freezes_for_a_moment_goes_on_in_the_same_epoch(stack: ExitStack) -> None:
    """Stalled is not lost: nothing is connected anew."""
    server = stack.enter_context(rtsp_server())
    with _viewer(server.url, PATIENT) as viewer:
        viewer.wait_for_frames()
        server.stall()
        viewer.wait_for_state(SourceStage.STALLED, SourceErrorCode.STALLED)
        viewer.forget()
        server.resume()
        viewer.wait_for_state(SourceStage.LIVE)
        viewer.wait_for_frames()
        assert viewer.states[-1].connections == 1
        assert viewer.states[-1].outage_s is not None
    assert {frame.epoch for frame in viewer.seen} == {0}


def test_server_that_stays_frozen_is_left_and_read_again_when_it_thaws(stack: ExitStack) -> None:
    """It accepts connections all the while, and never answers one."""
    server = stack.enter_context(rtsp_server())
    with _viewer(server.url) as viewer:
        viewer.wait_for_frames()
        server.stall()
        viewer.wait_for_state(SourceStage.STALLED)
        viewer.wait_for_state(SourceStage.RECONNECTING, SourceErrorCode.STALLED)
        viewer.wait_for_state(SourceStage.RECONNECTING, SourceErrorCode.TIMEOUT)
        viewer.forget()
        server.resume()
        viewer.wait_for_state(SourceStage.LIVE)
        viewer.wait_for_frames()
    assert viewer.seen[-1].epoch > 0


def test_close_while_the_server_is_frozen_does_not_wait_for_it(stack: ExitStack) -> None:
    """The viewer's end is bounded; see `_viewer`."""
    server = stack.enter_context(rtsp_server())
    with _viewer(server.url, PATIENT) as viewer:
        viewer.wait_for_frames()
        server.stall()
        viewer.wait_for_state(SourceStage.STALLED)


def test_password_that_is_refused_and_taken_back_is_a_state_and_no_secret(
    stack: ExitStack, capfd: pytest.CaptureFixture[str]
) -> None:
    """A camera that is provisioned anew; its stream is not there for a moment, too."""
    server = stack.enter_context(rtsp_server(credentials="cam:s3cret"))
    with _viewer(server.url_with("cam", "s3cret")) as viewer:
        viewer.wait_for_frames()
        server.kill()
        server = stack.enter_context(rtsp_server(port=server.port, credentials="cam:ch4nged"))
        viewer.wait_for_state(SourceStage.RECONNECTING, SourceErrorCode.AUTH_FAILED)
        viewer.forget()
        server.kill()
        server = stack.enter_context(rtsp_server(port=server.port, credentials="cam:s3cret", digest=True))
        viewer.wait_for_state(SourceStage.LIVE)
        viewer.wait_for_frames()
        told = repr(viewer.states) + " ".join(thread.name for thread in threading.enumerate())
    printed = capfd.readouterr()
    assert "s3cret" not in told + printed.out + printed.err
    assert "127.0.0.1" in told


def test_change_of_size_in_mid_stream_is_an_epoch_of_the_same_connection(stack: ExitStack) -> None:
    """No picture of the new size is taken for one of the old."""
    server = stack.enter_context(rtsp_server(size="320x240"))
    with _viewer(server.url, PATIENT) as viewer:
        viewer.wait_for_frames()
        server.change_size()
        viewer.wait_for(lambda: viewer.seen[-1].size == (120, 160), "picture of the new size")
        viewer.wait_for_frames()
        assert viewer.states[-1].connections == 1
    assert [size for size, _ in _runs(viewer.seen)] == [(240, 320), (120, 160)]
    assert [epoch for _, epoch in _runs(viewer.seen)] == [0, 1]
    assert all(later.t > earlier.t for earlier, later in pairwise(viewer.seen))


def _runs(frames: list[Frame]) -> list[tuple[tuple[int, int], int]]:
    """Size and epoch, each time one of them changed."""
    both = [(frame.size, frame.epoch) for frame in frames]
    return [both[0], *(later for earlier, later in pairwise(both) if later != earlier)]


def test_lost_datagrams_are_told_and_the_stream_survives_a_restart(stack: ExitStack, pictures: Path) -> None:
    """By UDP the end of a server is silence, not an end: the limit of silence finds it."""
    server = stack.enter_context(rtsp_server(pictures=pictures, size=SIZE, loss=0.1))
    with _viewer(server.url, rtsp_transport="udp") as viewer:
        viewer.wait_for_frames(90)
        server.kill()
        viewer.wait_for_state(SourceStage.RECONNECTING)
        assert viewer.states[-1].losses.missing_frames > 0
        viewer.forget()
        server = stack.enter_context(rtsp_server(port=server.port, pictures=pictures, size=SIZE))
        viewer.wait_for_state(SourceStage.LIVE)
        viewer.wait_for_frames()


def test_camera_that_boots_after_the_reader_is_waited_for_if_wanted(stack: ExitStack) -> None:
    """Its server first does not know the stream."""
    server = stack.enter_context(rtsp_server())
    server.kill()
    with _viewer(server.url) as viewer:
        viewer.wait_for_state(SourceStage.CONNECTING, SourceErrorCode.REFUSED)
        stack.enter_context(rtsp_server(port=server.port))
        viewer.wait_for_state(SourceStage.LIVE)
        viewer.wait_for_frames()
