"""The way of one RTSP connection through this process, where the marker bits of its packets can be seen.

FFmpeg does not tell them. It hands out what each packet holds, and takes a picture for complete when the next one
begins, one frame interval too late. So it connects to a relay on this machine instead of to the camera. What the camera
sends goes through `InterleavedStream`, which puts signs in; `AccessUnits` finds them among the packets that FFmpeg
hands out. What FFmpeg asks goes through `ClientRequests`.
"""

import contextlib
import secrets
import select
import socket
import threading
from urllib.parse import urlsplit, urlunsplit

from ssa_stream.sources.interleaved import InterleavedStream
from ssa_stream.sources.rtsp_requests import ClientRequests

__all__ = ["RtspRelay"]

_PORT = 554
_READ_BYTES = 1 << 18
_LAST_WORDS_S = 0.1  # for what the client said before it closed
_JOIN_S = 0.5


class RtspRelay:
    """Forward one connection to an RTSP server.

    Attributes:
        url: Where to connect instead; user and password are in it as they were.
        secret: What the NAL units that are put in hold, before their sign; nobody else can know it.
    """

    def __init__(self, url: str, *, timeout_s: float, trusts_markers: bool = False) -> None:
        """Connect to the server and wait for the one who connects to `url`.

        Args:
            url: Of the server, `rtsp://`.
            timeout_s: Longest wait for the connection.
            trusts_markers: See `InterleavedStream`.
        Raises:
            OSError: It cannot be made.
            ValueError: The address makes no sense.
        """
        parts = urlsplit(url)
        if not parts.hostname:
            raise ValueError("the address names no host")
        self.secret = secrets.token_bytes(16)
        self._answers = InterleavedStream(self.secret, trusts_markers=trusts_markers)
        self._server = socket.create_connection((parts.hostname, parts.port or _PORT), timeout_s)
        try:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        except OSError:
            self._server.close()
            raise
        user, at, _ = parts.netloc.rpartition("@")
        port = self._listener.getsockname()[1]
        self._requests = ClientRequests(url, f"{parts.scheme}://127.0.0.1:{port}")
        self.url = urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{port}"))
        self._client: socket.socket | None = None
        self._timeout_s = timeout_s
        self._thread = threading.Thread(target=self._run, name="rtsp-relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End both connections; may be called again, and from any thread."""
        if threading.current_thread() is not self._thread:
            self._thread.join(_LAST_WORDS_S)
        for end in (self._server, self._client):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._thread:
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        with contextlib.suppress(OSError), self._server:  # an end that is gone ends both
            with self._listener:
                self._listener.settimeout(self._timeout_s)
                client, _ = self._listener.accept()
            self._client = client
            with client:
                for end in (client, self._server):
                    end.settimeout(None)
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._forward(client, self._server)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        waiting = select.poll()
        for end in (client, server):
            waiting.register(end, select.POLLIN)
        while True:
            for ready, _ in waiting.poll():
                source, target = (client, server) if ready == client.fileno() else (server, client)
                data = source.recv(_READ_BYTES)
                if not data:
                    return
                passes = self._requests if source is client else self._answers
                target.sendall(passes.passed(data))
