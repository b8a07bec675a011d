"""An RTSP camera in this process that sends each RTP packet when a test says so."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

__all__ = ["Packetizer", "Picture", "ScriptedCamera", "encode_pictures", "scripted_camera"]

PAYLOAD_TYPE = 96
MARKER = 0x80
_PATIENCE_S = 20.0
_START = b"\0\0\1"
Markers = Literal["last", "none", "every", "parameters", "first slice"]


@dataclass(frozen=True)
class Picture:
    """An encoded picture, in the order of decoding.

    Attributes:
        units: Its NAL units without start codes.
        time: When it is shown, in units of 1/90,000 s from the first one.
    """

    units: tuple[bytes, ...]
    time: int


def encode_pictures(
    count: int, encoder: str = "libx264", options: Mapping[str, str] | None = None, fps: int = 10
) -> list[Picture]:
    """Encode pictures of noise that moves, of 160x96 pixels: every part of a picture differs from that of the last.

    Args:
        count: How many.
        encoder: Of PyAV.
        options: Of the encoder.
        fps: Of their times.
    """
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = 160, 96, "yuv420p"
    context.time_base, context.framerate = Fraction(1, fps), Fraction(fps)
    context.options = {"crf": "30", "g": "15", **(options or {})}
    noise = np.random.default_rng(1).integers(0, 256, (12, 20, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    encoded = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(noise, 4 * number, axis=1)), format="rgb24")
        frame.pts = number
        encoded += context.encode(frame)
    encoded += context.encode(None)
    step = 90_000 // fps
    return [Picture(_units(bytes(packet)), (packet.pts or 0) * step) for packet in encoded]


def _units(data: bytes) -> tuple[bytes, ...]:
    """The NAL units between start codes."""
    return tuple(unit.rstrip(b"\0") for unit in data.split(_START) if unit.strip(b"\0"))


@dataclass
class Packetizer:
    """Cuts pictures into RTP packets; numbers and times wrap around soon.

    Attributes:
        name: Of the codec, as in session descriptions.
        size: Longest payload.
        markers: Which packets have the marker.
    """

    name: str = "H264"
    size: int = 200
    markers: Markers = "last"
    number: int = 65_500
    origin: int = (1 << 32) - 50_000

    def packets(self, picture: Picture) -> list[bytes]:
        """The packets of a picture."""
        units = [self._payloads(unit) for unit in picture.units]
        payloads = [payload for unit in units for payload in unit]
        slices = [unit[-1] for unit, whole in zip(units, picture.units, strict=True) if self._is_slice(whole)]
        packets = []
        for payload in payloads:
            is_last = payload is (slices[0] if self.markers == "first slice" else payloads[-1])
            marker = MARKER if self._is_marked(payload, is_last=is_last) else 0
            time = (self.origin + picture.time) % (1 << 32)
            head = bytes([0x80, marker | PAYLOAD_TYPE]) + self.number.to_bytes(2, "big") + time.to_bytes(4, "big")
            packets.append(head + b"abcd" + payload)
            self.number = (self.number + 1) % (1 << 16)
        return packets

    def _is_marked(self, payload: bytes, *, is_last: bool) -> bool:
        match self.markers:
            case "last" | "first slice":
                return is_last
            case "none":
                return False
            case "every":
                return True
            case "parameters":  # as some cameras do
                return is_last or payload[0] & 0x1F in (7, 8)

    def _is_slice(self, unit: bytes) -> bool:
        return 1 <= unit[0] & 0x1F <= 5 if self.name == "H264" else unit[0] >> 1 & 0x3F < 32

    def _payloads(self, unit: bytes) -> list[bytes]:
        if len(unit) <= self.size:
            return [unit]
        if self.name == "H264":
            head, kind, body = bytes([unit[0] & 0xE0 | 28]), unit[0] & 0x1F, unit[1:]
        else:
            head, kind, body = bytes([unit[0] & 0x81 | 49 << 1, unit[1]]), unit[0] >> 1 & 0x3F, unit[2:]
        size = self.size - 2  # two pieces at least: no piece is the first and the last one
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        ends = {0: 0x80, len(pieces) - 1: 0x40}
        return [head + bytes([ends.get(at, 0) | kind]) + piece for at, piece in enumerate(pieces)]


@dataclass
class ScriptedCamera:
    """The camera.

    Attributes:
        url: Where it is.
        requests: First lines of what it was asked.
        authorizations: What proved with it who asked.
        connections: How many there were.
    """

    url: str
    requests: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    connections: int = 0
    _client: socket.socket | None = None
    _playing: threading.Event = field(default_factory=threading.Event)

    def send(self, packets: Sequence[bytes]) -> None:
        """Send packets to whoever plays the stream; an `OSError` if that one has gone."""
        assert self._playing.wait(_PATIENCE_S), "nobody plays the stream"
        assert self._client is not None
        framed = [b"$\0" + len(packet).to_bytes(2, "big") + packet for packet in packets]
        self._client.sendall(b"".join(framed))

    def hang_up(self) -> None:
        """Close the connection."""
        assert self._client is not None
        self._client.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def scripted_camera(name: str = "H264", status: str = "200 OK", fields: Sequence[str] = ()) -> Iterator[ScriptedCamera]:
    """A camera that one client at a time may play.

    Args:
        name: Of its codec, as in session descriptions.
        status: How it answers.
        fields: Of all its answers.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        camera = ScriptedCamera(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/cam")
        thread = threading.Thread(target=_serve, args=(listener, camera, name, status, fields), name="scripted camera")
        thread.start()
        try:
            yield camera
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            if camera.connections:
                with contextlib.suppress(OSError):
                    camera.hang_up()
            thread.join(_PATIENCE_S)
            assert not thread.is_alive()


def _serve(listener: socket.socket, camera: ScriptedCamera, name: str, status: str, fields: Sequence[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            with client, contextlib.suppress(ConnectionError):
                camera._client = client
                camera.connections += 1
                camera._playing.clear()
                _answer(client, camera, name, status, fields)


def _answer(client: socket.socket, camera: ScriptedCamera, name: str, status: str, always: Sequence[str]) -> None:
    """Answer requests until the client is gone."""
    with client.makefile("rb") as lines:
        while True:
            first = lines.readline()
            while first[:1] == b"$":  # a report of the receiver
                length = int.from_bytes((first + lines.read(max(0, 4 - len(first))))[2:4], "big")
                lines.read(length - max(0, len(first) - 4))
                first = lines.readline()
            if not first:
                return
            fields = dict(line.decode().strip().split(": ", 1) for line in iter(lines.readline, b"\r\n"))
            method, url, _ = first.decode().split()
            camera.requests.append(first.decode().strip())
            camera.authorizations += [value for name, value in fields.items() if name == "Authorization"]
            head, body = [f"CSeq: {fields['CSeq']}", *always], ""
            match method:
                case "OPTIONS":
                    head.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
                case "DESCRIBE":
                    body = _description(name)
                    head += [f"Content-Base: {url}/", "Content-Type: application/sdp", f"Content-Length: {len(body)}"]
                case "SETUP":
                    head += ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1"]
                case _:
                    head.append("Session: 1")
            client.sendall("\r\n".join([f"RTSP/1.0 {status}", *head, "", body]).encode())
            if method == "PLAY":
                camera._playing.set()


def _description(name: str) -> str:
    lines = [
        "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=cam", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*",
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}", f"a=rtpmap:{PAYLOAD_TYPE} {name}/90000", "a=control:track0", "",
    ]  # fmt: skip
    return "\r\n".join(lines)
