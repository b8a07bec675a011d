"""Open a container through PyAV with a bound on every wait, and decode its video in steps that can be stopped."""

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import av
from av import VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.sources.capture_time import ProducerTimes

__all__ = ["ContainerReader", "Problem", "diagnose", "open_container"]


class Problem(NamedTuple):
    """What went wrong, for programs and for people; never holds an address."""

    code: SourceErrorCode
    text: str


# How long to wait before asking a non-blocking device again.
_POLL_S = 0.002
_TOO_LATE = "it did not answer in time"
_SILENT = (SourceErrorCode.TIMEOUT, _TOO_LATE)
# Share of a time-out after which data that makes no sense is data that was cut off.
_LATE = 0.9
_SECURE = ("rtsps:", "https:", "rtmps:", "tls:")
_INSECURE = Problem(
    SourceErrorCode.TLS, "no secure connection could be made: it speaks no TLS, or its certificate is not trusted"
)
_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})


def diagnose(error: av.FFmpegError) -> Problem:
    """Say what FFmpeg reported, without the address that its own text contains."""
    match error:
        case av.error.HTTPUnauthorizedError():
            return Problem(SourceErrorCode.AUTH_FAILED, "it refused the user name or password (401)")
        case av.error.HTTPForbiddenError():
            return Problem(SourceErrorCode.AUTH_FAILED, "this user may not read it (403)")
        case av.error.HTTPNotFoundError():
            return Problem(SourceErrorCode.NOT_FOUND, "there is no such stream on that server (404): check the path")
        case av.error.HTTPServerError():
            return Problem(SourceErrorCode.SERVER_ERROR, "the server failed to start the stream (5xx)")
        case av.error.ConnectionRefusedError():
            return Problem(SourceErrorCode.REFUSED, "nothing listens there: check host and port")
        case av.error.TimeoutError() | av.error.ExitError():
            return Problem(SourceErrorCode.TIMEOUT, _TOO_LATE)
        case av.error.DecoderNotFoundError():
            return Problem(SourceErrorCode.UNSUPPORTED_CODEC, "its video cannot be decoded by this build of FFmpeg")
        case av.error.ConnectionResetError() | av.error.BrokenPipeError():
            return Problem(SourceErrorCode.LOST, "it closed the connection")
    if error.errno in _UNREACHABLE:
        return Problem(SourceErrorCode.UNREACHABLE, "no way leads to that host: check address, network and VPN")
    return Problem(SourceErrorCode.OTHER, f"{error.strerror or 'unknown error'} ({type(error).__name__})")


def open_container(
    target: str,
    *,
    name: str,
    timeouts_s: tuple[float, float],
    options: Mapping[str, str],
    format_name: str | None = None,
    unreadable: str = "what it sends is not video that FFmpeg can read",
) -> InputContainer:
    """Open `target` for reading.

    Args:
        target: Path or address as FFmpeg takes it, credentials included.
        name: What to call it in messages.
        timeouts_s: Longest wait for opening and for one read, in seconds.
        options: FFmpeg options of format and protocol.
        format_name: Force a demuxer, None to let FFmpeg find out.
        unreadable: What to say when the data makes no sense.
    Raises:
        SourceError: If it cannot be opened. The text never holds credentials, nor does a chained error.
    """
    began_s = time.monotonic()
    try:
        return av.open(target, mode="r", format=format_name, options=dict(options), timeout=timeouts_s)
    except (av.error.InvalidDataError, av.error.EOFError):
        # A server that accepts and stays silent ends like this, once a time-out has cut its answer off.
        is_late = time.monotonic() - began_s >= _LATE * min(timeouts_s)
        problem = Problem(*(_SILENT if is_late else (SourceErrorCode.UNREADABLE, unreadable)))
    except av.FFmpegError as error:
        problem = diagnose(error)
    except (OSError, ValueError, RuntimeError) as error:
        problem = Problem(SourceErrorCode.OTHER, type(error).__name__)
    if problem.code is SourceErrorCode.OTHER:
        problem = _connection_problem(target) or problem
    # Raised out here: the original error carries the address with its password, even as a mere context.
    raise SourceError(f"cannot open {name}: {problem.text}", problem.code)


def _connection_problem(target: str) -> Problem | None:
    """What FFmpeg calls an input/output error and no more, where more can be known."""
    try:
        host = urlsplit(target).hostname
        if host is not None:
            socket.getaddrinfo(host, None)
    except (OSError, ValueError):
        return Problem(SourceErrorCode.UNREACHABLE, "its host name is not known here: check the address and the DNS")
    return _INSECURE if target.lower().startswith(_SECURE) else None


class ContainerReader:
    """The decoded frames of one container.

    Only one thread at a time is inside FFmpeg: `close` from another thread never pulls the container away under a
    read, it marks the reader closed and whoever leaves last releases it. A read ends within about twice its timeout.

    Attributes:
        stream: The video stream that is read.
        on_packet: Sees every packet before it is decoded.
        corrupt_packets: Packets that could not be read or decoded and were skipped.
        last_read_s: How long the newest read had to wait for its packet.
        producer_times: What the packets say about the camera's own clock.
    """

    def __init__(self, container: InputContainer, name: str) -> None:
        """Take over an open container.

        Raises:
            SourceError: If it holds no video; the container is closed then.
        """
        self.corrupt_packets = 0
        self.last_read_s = 0.0
        self.producer_times = ProducerTimes()
        self.on_packet: Callable[[Packet[VideoStream]], None] = lambda packet: None
        self._container = container
        self._closed = threading.Event()
        self._inside = threading.Lock()
        videos = [video for video in container.streams.video if Disposition.attached_pic not in video.disposition]
        if not videos:
            found = ", ".join(sorted({stream.type for stream in container.streams}))
            container.close()
            raise SourceError(
                f"{name} holds no video stream, only: {found or 'nothing'}", SourceErrorCode.UNSUPPORTED_CODEC
            )
        self.stream: VideoStream = videos[0]

    @property
    def container(self) -> InputContainer:
        """The open container, for its metadata."""
        return self._container

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed.is_set()

    def pause(self, seconds: float) -> bool:
        """Wait, but no longer than until `close`; returns whether that was called."""
        return self._closed.wait(seconds)

    @property
    def fps(self) -> float | None:
        """Nominal frames per second, None when the stream does not say."""
        rate = self.stream.average_rate or self.stream.guessed_rate
        return float(rate) if rate else None

    @property
    def coded_size(self) -> tuple[int, int] | None:
        """Stored picture size `(height, width)`, None when not known yet."""
        height, width = self.stream.height, self.stream.width
        return (height, width) if height and width else None

    def decode(self, *, read_errors_allowed: int = 0) -> Iterator[list[VideoFrame]]:
        """Yield the frames of one packet after the other, often none, until the end or `close`.

        A read that fails yields no frames as well, so that whoever reads can give up. Those in a row count as one
        corrupt packet: the demuxer looks for where it can go on.

        Args:
            read_errors_allowed: How many damaged reads in a row are skipped before giving up.
        Raises:
            av.FFmpegError: If reading fails for good.
        """
        packets = self._container.demux(self.stream)
        errors_in_a_row = 0
        try:
            while not self.closed:
                try:
                    frames = self._step(packets)
                except av.error.BlockingIOError:
                    self._closed.wait(_POLL_S)
                    packets = self._container.demux(self.stream)
                    yield []
                    continue
                except av.error.InvalidDataError:
                    self.corrupt_packets += errors_in_a_row == 0
                    errors_in_a_row += 1
                    if errors_in_a_row > read_errors_allowed:
                        raise
                    packets = self._container.demux(self.stream)
                    yield []
                    continue
                if frames is None:
                    return
                errors_in_a_row = 0
                yield frames
        finally:
            packets.close()  # type: ignore[attr-defined]  # a generator, typed as an iterator
            self._release()

    def _step(self, packets: "Iterator[av.Packet[VideoStream]]") -> list[VideoFrame] | None:
        with self._inside:
            if self.closed:
                return None
            began_s = time.monotonic()
            packet = next(packets, None)
            self.last_read_s = time.monotonic() - began_s
            if packet is None:
                return None
            self.producer_times.observe(packet)
            self.on_packet(packet)
            try:
                return packet.decode()
            except av.error.EOFError:
                return []
            except Exception:  # whatever a decoder or its bindings raise ends one packet, not the stream
                self.corrupt_packets += 1
                return []

    def drain(self) -> list[VideoFrame]:
        """Return what the decoder still holds after a read that failed."""
        with self._inside:
            if self.closed:
                return []
            flush = cast("Packet[VideoStream]", Packet())
            flush.stream = self.stream
            if self.stream.time_base is not None:  # so that frames have the times that belong to them
                flush.time_base = self.stream.time_base
            try:
                return flush.decode()
            except av.FFmpegError:
                return []

    def is_end(self, error: av.FFmpegError) -> bool:
        """Whether a read failed only because an answer has ended whose server had not said its length."""
        return error.errno == errno.EIO and self._container.size < 0

    def close(self) -> None:
        """Stop reading; release the container now, or as soon as the read that is under way has ended."""
        self._closed.set()
        if self._inside.acquire(blocking=False):
            try:
                self._container.close()
            finally:
                self._inside.release()

    def _release(self) -> None:
        if self.closed:
            with self._inside:
                self._container.close()
