"""Who may connect to the relay between FFmpeg and a camera."""

import contextlib
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from ssa_stream.sources.rtsp_relay import RtspRelay

PATIENCE_S = 10.0
REQUEST = b"OPTIONS rtsp://cam/ RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: %s\r\n\r\n"


@pytest.fixture
def camera() -> Iterator[socket.socket]:
    """Listens and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        yield listener


def relay_to(camera: socket.socket, timeout_s: float = PATIENCE_S) -> contextlib.closing[RtspRelay]:
    """A relay that somebody is to connect to."""
    url = f"rtsp://me:pw@127.0.0.1:{camera.getsockname()[1]}/live"
    return contextlib.closing(RtspRelay(url, timeout_s=timeout_s, options={"user_agent": "FFmpeg"}))


def connected(relay: RtspRelay) -> socket.socket:
    """A connection to it."""
    return socket.create_connection(("127.0.0.1", urlsplit(relay.url).port or 0), PATIENCE_S)


def is_hung_up(client: socket.socket) -> bool:
    """Whether the relay hangs up, and says nothing before."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_other_programs_get_nothing_and_disturb_nobody(camera: socket.socket) -> None:
    """Those that ask, are silent, have gone, or come by the dozen; then the one that shows the proof is let through."""
    with relay_to(camera) as relay, contextlib.ExitStack() as stack:
        server, _ = camera.accept()
        stack.enter_context(server)
        asking, silent, gone, long = (stack.enter_context(connected(relay)) for _ in range(4))
        asking.sendall(REQUEST % b"FFmpeg")
        gone.close()
        with contextlib.suppress(ConnectionError):
            long.sendall(20_000 * b"x")
        assert is_hung_up(long)
        crowd = [stack.enter_context(connected(relay)) for _ in range(17)]
        assert is_hung_up(asking)
        own = stack.enter_context(connected(relay))
        own.sendall(REQUEST % relay.options["user_agent"].encode())
        server.settimeout(PATIENCE_S)
        assert server.recv(1000) == REQUEST % b"FFmpeg"
        server.sendall(b"RTSP/1.0 200 OK\r\n\r\n")
        assert own.recv(1000) == b"RTSP/1.0 200 OK\r\n\r\n"
        assert all(is_hung_up(other) for other in (silent, *crowd))


@pytest.mark.parametrize("is_closed", [False, True], ids=["in time", "before it is closed"])
def test_nobody_connects_and_the_camera_is_let_go(camera: socket.socket, is_closed: bool) -> None:
    """Others that wait are hung up as well."""
    with relay_to(camera, PATIENCE_S if is_closed else 0.2) as relay:
        server, _ = camera.accept()
        with server, connected(relay) as other:
            if is_closed:
                relay.close()
            server.settimeout(PATIENCE_S)
            assert server.recv(1000) == b""
            assert is_hung_up(other)
