"""Open a container through PyAV with a bound on every wait, and decode its video in steps that can be stopped."""

import errno
import functools
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from io import BytesIO
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import av
from av import VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.picture_limits import USUAL_LIMITS, PictureLimits
from ssa_stream.sources.capture_time import ProducerTimes
from ssa_stream.sources.hardware import HardwareDecoder, decoder_of
from ssa_stream.sources.hosts import NO_OTHER_HOSTS, Hosts, is_http
from ssa_stream.sources.nal_units import NAL_CODECS
from ssa_stream.sources.nested import PLAYLIST_OPTIONS, NestedOpener
from ssa_stream.sources.picture import StoredAspect
from ssa_stream.sources.pipe import PipeReader
from ssa_stream.sources.presentation import PresentationTimes, nominal_rate, writes_presentation_times
from ssa_stream.sources.size_guard import SizeGuard, decoder_options
from ssa_stream.sources.stream_choice import choose_video_stream
from ssa_stream.sources.web import ALONE, open_web
from ssa_stream.sources.whole_pictures import WholePictures

__all__ = ["NOT_VIDEO", "ContainerReader", "Problem", "diagnose", "open_container"]


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
# Above this it is the unit of the stream's times, which FFmpeg falls back to.
_HIGHEST_RATE_HZ = 1000
_CHUNK_HEAD = 8
NOT_VIDEO = "what it sends is not video that FFmpeg can read"
_PLAIN_STREAMS = ("tcp:", "udp:", "srt:", "rtmp:", "rtmps:", "tls:")
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
    target: str | PipeReader | BytesIO,
    *,
    name: str,
    timeouts_s: tuple[float, float],
    options: Mapping[str, str],
    format_name: str | None = None,
    unreadable: str = NOT_VIDEO,
    limits: PictureLimits = USUAL_LIMITS,
    hosts: Hosts = NO_OTHER_HOSTS,
    opener: NestedOpener | None = None,
) -> InputContainer:
    """Open `target` for reading.

    Args:
        target: Path or address as FFmpeg takes it, credentials included; or what it shall read from.
        name: What to call it in messages.
        timeouts_s: Longest wait for opening and for one read, in seconds.
        options: FFmpeg options of format and protocol.
        format_name: Force a demuxer, None to let FFmpeg find out.
        unreadable: What to say when the data makes no sense.
        limits: How large its pictures may be, so that none that is larger is decoded to find out about the stream.
        hosts: To which other hosts it may lead.
        opener: Opens what a playlist on this machine names; None: it may name files of this machine only.
    Raises:
        SourceError: If it cannot be opened. The text never holds credentials, nor does a chained error.
    """
    began_s = time.monotonic()
    limited = {**options, **decoder_options(limits)}
    try:
        if isinstance(target, str) and is_http(target):
            return open_web(
                target, name=name, format_name=format_name, options=limited, timeouts_s=timeouts_s, hosts=hosts
            )
        own = _options_for(target) if opener is None else PLAYLIST_OPTIONS
        container = av.open(
            target, mode="r", format=format_name, options={**own, **limited}, timeout=timeouts_s, io_open=opener
        )
        if opener is not None:
            opener.opened()
        if opener is None or container.streams.video or not opener.refused:
            return container
        container.close()
        problem = Problem(SourceErrorCode.UNREADABLE, unreadable)
    except (av.error.InvalidDataError, av.error.EOFError):
        # A server that accepts and stays silent ends like this, once a time-out has cut its answer off.
        is_late = time.monotonic() - began_s >= _LATE * min(timeouts_s)
        problem = Problem(*(_SILENT if is_late else (SourceErrorCode.UNREADABLE, unreadable)))
    except av.FFmpegError as error:
        problem = diagnose(error)
    except SourceError:  # of what it reads from
        raise
    except (OSError, ValueError, RuntimeError) as error:
        problem = Problem(SourceErrorCode.OTHER, type(error).__name__)
    if problem.code is SourceErrorCode.OTHER and isinstance(target, str):
        problem = _connection_problem(target) or problem
    if opener is not None and opener.refused:
        text, code = next(iter(opener.refused.items()))
        problem = Problem(code, text)
    # Raised out here: the original error carries the address with its password, even as a mere context.
    raise SourceError(f"cannot open {name}: {problem.text}", problem.code)


def _options_for(target: str | PipeReader | BytesIO) -> dict[str, str]:
    """What keeps FFmpeg from opening anything that the data leads to, but files that lie beside one."""
    if not isinstance(target, str):
        return {"protocol_whitelist": "file,crypto,data"}
    return dict(ALONE) if target.lower().startswith(_PLAIN_STREAMS) else {}


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
        sizes: Pictures that were too large, which are passed over.
        on_packet: Sees every packet before it is decoded.
        corrupt_packets: Packets that could not be read or decoded and were skipped.
        discarded_packets: Packets that the container holds but says are not to be shown.
        marked_packets: Packets that the container marks as damaged, because data before or in them is missing.
        is_encrypted: Whether a packet came that can be decoded with a key only.
        end_pts: Where the packets read so far end, in units of the stream's time base; None if they have no time.
        failures: How often an error that FFmpeg does not know came up while decoding, by its type.
        last_read_s: How long the newest read had to wait for its packet.
        producer_times: What the packets say about the camera's own clock.
        whole: Puts pictures together out of pieces; None where packets hold pictures.
    """

    def __init__(
        self,
        container: InputContainer,
        name: str,
        *,
        stream: int | None = None,
        mends_times: bool = False,
        rate_hz: Fraction | None = None,
        limits: PictureLimits = USUAL_LIMITS,
        hwaccel: str = "none",
    ) -> None:
        """Take over an open container.

        Args:
            container: Just opened.
            name: What to call it in messages.
            stream: See `choose_video_stream`.
            mends_times: Whether frames without a presentation time get one, see `PresentationTimes`.
            rate_hz: Frames per second of a container without times; None for what the codec says.
            limits: How large its pictures may be.
            hwaccel: Which kind of device decodes it, see `hardware.decoder_of`.
        Raises:
            SourceError: If it holds no video, no such stream, or one of larger pictures; the container is closed then.
        """
        self.corrupt_packets = 0
        self.discarded_packets = 0
        self.marked_packets = 0
        self.is_encrypted = False
        self.end_pts: int | None = None
        self.failures: Counter[str] = Counter()
        self.last_read_s = 0.0
        self.producer_times = ProducerTimes()
        self.on_packet: Callable[[Packet[VideoStream]], None] = lambda packet: None
        self._container = container
        self._closed = threading.Event()
        self._inside = threading.Lock()
        try:
            self.stream: VideoStream = choose_video_stream(container, name, stream)
            self.sizes = SizeGuard(self.stream, limits)
            self.sizes.require(name, self.stream.width, self.stream.height)
        except SourceError:
            container.close()
            raise
        self.stream.codec_context.options = decoder_options(limits)
        self._aspect = StoredAspect(self.stream)
        self._rate_hz = rate_hz or nominal_rate(container.format.name, self.stream)
        self._presentation = self._presentation_times() if mends_times else None
        self.whole: WholePictures | None = None
        self._hardware, self._hardware_problem = self._hardware_decoder(hwaccel, limits)

    @property
    def device(self) -> str | None:
        """Kind of device that decodes the video; None if it is the processor."""
        return None if self._hardware is None else self._hardware.device

    @property
    def device_problem(self) -> str:
        """Why no device decodes though one was asked for, or does not any more; empty if that is as it should be."""
        return self._hardware_problem if self._hardware is None else self._hardware.warning

    def _hardware_decoder(self, hwaccel: str, limits: PictureLimits) -> tuple[HardwareDecoder | None, str]:
        name = self._container.format.name
        if hwaccel in ("auto", "none") and not writes_presentation_times(name):
            return None, ""
        if not writes_presentation_times(name):
            return None, f"hwaccel={hwaccel} is for containers that say when each picture is shown, and {name} is none"
        return decoder_of(self.stream, hwaccel, decoder_options(limits))

    @property
    def container(self) -> InputContainer:
        """The open container, for its metadata."""
        return self._container

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed.is_set()

    def refuse_damage(self) -> None:
        """Decode no picture with parts missing; to be called before the first is decoded."""
        self.stream.codec_context.options = {**self.stream.codec_context.options, "err_detect": "explode"}

    def join_pieces(self, secret: bytes) -> None:
        """Take packets for pieces of pictures if they can be; to be called before the first is decoded.

        Args:
            secret: See `WholePictures`.
        """
        codec = {one.ffmpeg_name: one for one in NAL_CODECS.values()}.get(self.codec)
        if codec is not None:
            self.whole = WholePictures(self.stream, codec, secret)

    def pause(self, seconds: float) -> bool:
        """Wait, but no longer than until `close`; returns whether that was called."""
        return self._closed.wait(seconds)

    @property
    def fps(self) -> float | None:
        """Nominal frames per second, None when the stream does not say."""
        return float(self._rate_hz) if self._rate_hz and self._rate_hz <= _HIGHEST_RATE_HZ else None

    @property
    def coded_size(self) -> tuple[int, int] | None:
        """Stored picture size `(height, width)`, None when not known yet."""
        height, width = self.stream.height, self.stream.width
        return (height, width) if height and width else None

    @property
    def codec(self) -> str:
        """FFmpeg's name of it, such as `h264`."""
        return str(self.stream.codec_context.name)

    def stored_aspect(self) -> Fraction:
        """Width of a stored pixel divided by its height, of the frames yielded last."""
        return self._aspect.now

    def decode(self, *, read_errors_allowed: int = 0) -> Iterator[list[VideoFrame]]:
        """Yield the frames of one packet after the other, often none, until the end or `close`.

        Where the shape of their pixels changes, those of one packet come in two parts. A read that fails yields no
        frames as well, so that whoever reads can give up. Those in a row count as one corrupt packet: the demuxer looks
        for where it can go on.

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
                yield from self._parts(frames)
        finally:
            packets.close()  # type: ignore[attr-defined]  # a generator, typed as an iterator
            self._release()

    def _parts(self, frames: list[VideoFrame]) -> Iterator[list[VideoFrame]]:
        """The frames, cut where the stored aspect changes: it is that of the part yielded last."""
        part: list[VideoFrame] = []
        for frame in frames:
            if part and self._aspect.changes_with(frame):
                yield part
                part = []
            self._aspect.take(frame)
            part.append(frame)
        yield part

    def _step(self, packets: "Iterator[av.Packet[VideoStream]]") -> list[VideoFrame] | None:
        with self._inside:
            if self.closed:
                return None
            began_s = time.monotonic()
            packet = next(packets, None)
            self.last_read_s = time.monotonic() - began_s
            if packet is None:
                return None
            self._note(packet)
            if self.whole is None:
                return self._mended(self._decoded(self._decoder(packet)))
            return self.whole.take(packet, lambda one: self._decoded(one.decode))

    def _decoder(self, packet: "Packet[VideoStream]") -> Callable[[], list[VideoFrame]]:
        """What decodes a packet."""
        return packet.decode if self._hardware is None else functools.partial(self._hardware.decode, packet)

    def _note(self, packet: "Packet[VideoStream]") -> None:
        self.producer_times.observe(packet)
        self.on_packet(packet)
        self.sizes.sent(packet)
        if self._presentation is not None:
            self._presentation.sent(packet)
        if packet.size:
            self.discarded_packets += packet.is_discard
            self.marked_packets += packet.is_corrupt
            self.is_encrypted = self.is_encrypted or packet.has_sidedata("encryption_info")
            written = packet.pts if packet.pts is not None else packet.dts
            if written is not None:
                end = written + (packet.duration or 0)
                self.end_pts = end if self.end_pts is None else max(self.end_pts, end)

    def _decoded(self, decode: Callable[[], list[VideoFrame]]) -> list[VideoFrame]:
        """Decode; what fails costs no more than its frames."""
        try:
            return self.sizes.within(decode())
        except av.error.EOFError:
            return []
        except av.FFmpegError as error:
            if not self.sizes.refused(error):
                self.corrupt_packets += 1
        except Exception as error:  # of PyAV itself: an unknown value in one frame must not end the stream
            self.failures[type(error).__name__] += 1
        return []

    def _mended(self, frames: list[VideoFrame]) -> list[VideoFrame]:
        if self._presentation is not None:
            for frame in frames:
                self._presentation.mend(frame)
        return frames

    def _presentation_times(self) -> PresentationTimes:
        context, stream = self.stream.codec_context, self.stream
        context.copy_opaque = True
        time_base = stream.time_base or Fraction(1, 90_000)
        name = self._container.format.name
        # FFmpeg's index of an AVI is of the heads of its chunks.
        index = {entry.pos + _CHUNK_HEAD: entry.timestamp for entry in stream.index_entries} if name == "avi" else {}
        return PresentationTimes(name, self._rate_hz, time_base, lambda: context.reorder_depth, index)

    def drain(self) -> Iterator[list[VideoFrame]]:
        """Yield what the decoder still holds after a read that failed, in parts as `decode` does."""
        with self._inside:
            if self.closed:
                return
            flush = cast("Packet[VideoStream]", Packet())
            flush.stream = self.stream
            if self.stream.time_base is not None:  # so that frames have the times that belong to them
                flush.time_base = self.stream.time_base
            frames = self._mended(self._decoded(self._decoder(flush)))
        yield from self._parts(frames)

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
