"""The way of one RTSP connection through this process, where the marker bits of its packets can be seen.

FFmpeg does not tell them. It hands out what each packet holds, and takes a picture for complete when the next one
begins, one frame interval too late. So it connects to a relay on this machine instead of to the camera. The relay
passes everything on as it is, and puts a packet of its own behind the last packet of each picture: a NAL unit of a type
that codecs do not use. `AccessUnits` finds it among the packets that FFmpeg hands out.
"""

import contextlib
import re
import secrets
import select
import socket
import threading
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from ssa_stream.sources.nal_units import NAL_CODECS, NalCodec
from ssa_stream.sources.rtp_markers import MarkerRule

__all__ = ["InterleavedStream", "RtspRelay"]

_PORT = 554
_READ_BYTES = 1 << 18
_LONGEST_LINE = 1 << 12
_LONGEST_HEAD = 1 << 16
_LONGEST_BODY = 1 << 20
_FRAME_HEAD = 4
_RTP_HEAD = 12
_WRAP = 1 << 16
_LAST_WORDS_S = 0.1  # for what the client said before it closed
_JOIN_S = 0.5
_LENGTH = re.compile(rb"(?im)^content-length[ \t]*:[ \t]*([0-9]{1,18})[ \t]*\r?$")
_RTPMAP = re.compile(rb"(?im)^a=rtpmap:([0-9]{1,3})[ \t]+([A-Za-z0-9.-]+)/")


class RtspRelay:
    """Forward one connection to an RTSP server.

    Attributes:
        url: Where to connect instead; user and password are in it as they were.
        mark: What the NAL unit behind a complete picture holds, after its head; nobody else can know it.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        """Connect to the server and wait for the one who connects to `url`.

        Args:
            url: Of the server, `rtsp://`.
            timeout_s: Longest wait for the connection.
        Raises:
            OSError: It cannot be made.
            ValueError: The address makes no sense.
        """
        parts = urlsplit(url)
        if not parts.hostname:
            raise ValueError("the address names no host")
        self.mark = secrets.token_bytes(16)
        self._stream = InterleavedStream(self.mark)
        self._server = socket.create_connection((parts.hostname, parts.port or _PORT), timeout_s)
        try:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        except OSError:
            self._server.close()
            raise
        user, at, _ = parts.netloc.rpartition("@")
        port = self._listener.getsockname()[1]
        self.url = urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{port}"))
        self._client: socket.socket | None = None
        self._timeout_s = timeout_s
        self._thread = threading.Thread(target=self._run, name="rtsp-relay", daemon=True)
        self._thread.start()

    @property
    def tells_ends(self) -> bool:
        """Whether the ends of pictures are told, as far as is known."""
        return self._stream.tells_ends

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
                target.sendall(data if source is client else self._stream.passed(data))


class _Video(NamedTuple):
    """The only video that a session description names."""

    payload_type: int
    codec: NalCodec


class InterleavedStream:
    """What a server sends: answers in text and, between them, packets with a head of four bytes.

    Args:
        mark: See `RtspRelay`.
    """

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._data = bytearray()
        self._is_understood = True
        self._video: _Video | None = None
        self._rule = MarkerRule()
        self._channel: int | None = None
        self._inserted = 0
        self._next: int | None = None

    @property
    def tells_ends(self) -> bool:
        """Whether the ends of pictures are told, as far as is known."""
        return self._is_understood and self._rule.is_trusted

    def passed(self, data: bytes) -> bytes:
        """What is to be passed on of what came; what is not understood is passed on as it is."""
        self._data += data
        out = bytearray()
        while self._is_understood and self._data:
            size = self._unit()
            if size is None:
                return bytes(out)
            unit = bytes(self._data[:size])
            del self._data[:size]
            out += self._with_mark(unit) if unit[:1] == b"$" else unit
        out += self._data
        self._data.clear()
        return bytes(out)

    def _unit(self) -> int | None:
        """Size of the packet or the answer that the data begins with; None if not all of it is there."""
        data = self._data
        if data[:1] == b"$":
            size = _FRAME_HEAD + int.from_bytes(data[2:4], "big")
            return size if _FRAME_HEAD <= len(data) >= size else None
        first = data.find(b"\n", 0, _LONGEST_LINE)
        is_line = b"RTSP/" in data[:first] if first >= 0 else len(data) < _LONGEST_LINE
        if not (is_line and data[:1].isalpha()):
            self._is_understood = False
            return len(data)
        end = data.find(b"\r\n\r\n", 0, _LONGEST_HEAD)
        if end < 0:
            self._is_understood = len(data) < _LONGEST_HEAD
            return None if self._is_understood else len(data)
        head = end + 4
        found = _LENGTH.search(data, 0, head)
        body = int(found[1]) if found else 0
        if body > _LONGEST_BODY:
            self._is_understood = False
            return len(data)
        if len(data) < head + body:
            return None
        if b"m=video" in data[head : head + body]:
            self._video = _only_video(bytes(data[head : head + body]))
        return head + body

    def _with_mark(self, unit: bytes) -> bytes:
        """A packet with the number that it has among those that were inserted, and maybe one more behind it."""
        video, packet = self._video, memoryview(unit)[_FRAME_HEAD:]
        if video is None or len(packet) < _RTP_HEAD or packet[0] >> 6 != 2 or packet[1] & 0x7F != video.payload_type:
            return unit
        if self._channel is None:
            self._channel = unit[1]
        if unit[1] != self._channel:
            return unit
        number = int.from_bytes(packet[2:4], "big")
        if self._next is not None and number != self._next:
            self._rule.gap()
        self._next = (number + 1) % _WRAP
        numbered = unit[:6] + self._numbered(number) + unit[8:]
        payload = _payload(packet)
        if not video.codec.holds_picture(payload):
            return numbered
        timestamp = int.from_bytes(packet[4:8], "big")
        is_marked = bool(packet[1] & 0x80)
        if is_marked and not video.codec.ends_unit(payload):
            self._rule.refute()
        if not self._rule.take(timestamp, is_marked=is_marked):
            return numbered
        self._inserted += 1
        mark = video.codec.mark_head + self._mark
        head = bytes([0x80, video.payload_type]) + self._numbered(number) + bytes(packet[4:12])
        return numbered + b"$" + unit[1:2] + (len(head) + len(mark)).to_bytes(2, "big") + head + mark

    def _numbered(self, number: int) -> bytes:
        return ((number + self._inserted) % _WRAP).to_bytes(2, "big")


def _payload(packet: memoryview) -> bytes:
    """What an RTP packet holds; empty if its head makes no sense."""
    begin = _RTP_HEAD + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        begin += 4 + 4 * int.from_bytes(packet[begin + 2 : begin + 4], "big")
    end = len(packet) - (packet[-1] if packet[0] & 0x20 else 0)
    return bytes(packet[begin:end])


def _only_video(description: bytes) -> _Video | None:
    """The video of a session description, None if there are several, or of a codec that is not known here."""
    sections = [one for one in re.split(rb"(?m)^m=", description)[1:] if one.startswith(b"video")]
    if len(sections) != 1:
        return None
    for payload_type, name in _RTPMAP.findall(sections[0]):
        codec = NAL_CODECS.get(name.decode("ascii").upper())
        if codec is not None:
            return _Video(int(payload_type), codec)
    return None
