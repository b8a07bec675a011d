"""The way of one RTSP connection through this process, where the marker bits of its packets can be seen.

FFmpeg does not tell them. It hands out what each packet holds, and takes a picture for complete when the next one
begins, one frame interval too late. So it connects to a relay on this machine instead of to the camera. What the camera
sends goes through `InterleavedStream`, which puts signs in; `AccessUnits` finds them among the packets that FFmpeg
hands out. What FFmpeg asks goes through `ClientRequests`.
"""

import contextlib
import secrets
import select
import selectors
import socket
import threading
import time
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlsplit, urlunsplit

import av

from ssa_stream.sources.interleaved import InterleavedStream
from ssa_stream.sources.rtsp_requests import ClientRequests

__all__ = ["RtspRelay"]

_PORT = 554
_READ_BYTES = 1 << 18
_LAST_WORDS_S = 0.1  # for what the client said before it closed
_JOIN_S = 0.5
_MOST_WAITING = 16
"""Connections to the relay that have not shown yet whose they are."""
_LONGEST_REQUEST = 1 << 13
_USER_AGENT = "Lavf" + ".".join(str(number) for number in av.library_versions["libavformat"])  # as FFmpeg says it


class RtspRelay:
    """Forward one connection to an RTSP server.

    Attributes:
        url: Where to connect instead; user and password are in it as they were.
        options: FFmpeg's options for that, made of those that are given: its first request is to show whose it is, as
            every program of this machine may connect. Others are turned away; the camera sees nothing of it.
        secret: What the NAL units that are put in hold, before their sign; nobody else can know it.
    """

    def __init__(
        self, url: str, *, timeout_s: float, options: Mapping[str, str] | None = None, trusts_markers: bool = False
    ) -> None:
        """Connect to the server and wait for the one who connects to `url`.

        Args:
            url: Of the server, `rtsp://`.
            timeout_s: Longest wait for the connection.
            options: FFmpeg's, of whoever opens the stream.
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
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=_MOST_WAITING)
        except OSError:
            self._server.close()
            raise
        user, at, _ = parts.netloc.rpartition("@")
        port = self._listener.getsockname()[1]
        proof = f" {secrets.token_hex(16)}"
        self.options = {**(options or {}), "user_agent": (options or {}).get("user_agent", _USER_AGENT) + proof}
        self._proof = proof.encode()
        self._requests = ClientRequests(url, f"{parts.scheme}://127.0.0.1:{port}", self._proof)
        self.url = urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{port}"))
        self._client: socket.socket | None = None
        self._timeout_s = timeout_s
        self._thread = threading.Thread(target=self._run, name="rtsp-relay", daemon=True)
        self._thread.start()

    @property
    def redirect(self) -> str | None:
        """Where the server says that the stream is instead, if that ended the connection: FFmpeg would go anywhere."""
        return self._answers.redirect

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
                client, asked = _accepted(self._listener, self._proof, self._timeout_s)
            self._client = client
            with client:
                for end in (client, self._server):
                    end.settimeout(None)
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._server.sendall(self._requests.passed(asked))
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
                data = passes.passed(data)
                if not (self._may_follow() or self._requests.has_played):
                    return
                target.sendall(data)

    def _may_follow(self) -> bool:
        """Whether FFmpeg is led nowhere by what came: until the stream plays it follows any redirect."""
        return self._answers.is_understood and self._answers.redirect is None


def _accepted(listener: socket.socket, proof: bytes, timeout_s: float) -> tuple[socket.socket, bytes]:
    """The connection whose first bytes hold the proof, with these bytes; all others are closed.

    Raises:
        OSError: There is none in time, or the listener was shut down.
    """
    until_s, asked = time.monotonic() + timeout_s, dict[socket.socket, bytes]()
    with selectors.DefaultSelector() as waiting:

        def drop(client: socket.socket) -> None:
            waiting.unregister(client)
            del asked[client]
            client.close()

        waiting.register(listener, selectors.EVENT_READ)
        try:
            while ready := waiting.select(until_s - time.monotonic()):
                for client in [cast(socket.socket, key.fileobj) for key, _ in ready]:
                    if client is listener:
                        client, _ = listener.accept()
                        asked[client] = b""
                        waiting.register(client, selectors.EVENT_READ)
                        continue
                    data = _received(client)
                    asked[client] += data
                    if proof in asked[client]:
                        return client, asked.pop(client)
                    if not data or len(asked[client]) > _LONGEST_REQUEST:
                        drop(client)
                while len(asked) > _MOST_WAITING:
                    drop(next(iter(asked)))
        finally:
            for client in list(asked):
                drop(client)
    raise TimeoutError


def _received(client: socket.socket) -> bytes:
    """What came; nothing if the connection has ended."""
    try:
        return client.recv(_LONGEST_REQUEST)
    except OSError:
        return b""
