"""A camera that gives one picture for each request: it is asked again and again."""

import errno
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from fractions import Fraction

import av
from av import VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.picture_limits import USUAL_LIMITS, PictureLimits
from ssa_stream.sources.container import ContainerReader, Problem, diagnose, open_container
from ssa_stream.sources.conversion import FrameConverter
from ssa_stream.sources.hosts import NO_OTHER_HOSTS, Hosts
from ssa_stream.sources.png_text import require_small_text_of
from ssa_stream.sources.size_guard import too_large
from ssa_stream.sources.source import Frame, Source, SourceInfo
from ssa_stream.sources.status import SourceLosses
from ssa_stream.sources.unexpected import describe

__all__ = ["SnapshotSource"]

_RETRY_S = 1.0


class SnapshotSource(Source):
    """Ask an address for a picture at an interval, such as `http://camera/snapshot.jpg`.

    A picture that is the same as the last one, byte for byte, is no new frame, and no loss either. A request that
    fails is made again; the source is lost once that goes on for the read time-out.
    """

    def __init__(
        self,
        url: str,
        container: InputContainer,
        *,
        name: str,
        interval_s: float,
        timeouts_s: tuple[float, float],
        options: Mapping[str, str],
        format_name: str | None = None,
        limits: PictureLimits = USUAL_LIMITS,
        hosts: Hosts = NO_OTHER_HOSTS,
    ) -> None:
        """Take over the answer to the first request.

        Args:
            url: The address, credentials included.
            container: That answer, open.
            name: What to call it in messages, free of credentials.
            interval_s: From one request to the next.
            timeouts_s: Longest wait for opening, and for a picture while requests fail or answers are cut off.
            options: FFmpeg options of format and protocol.
            format_name: What reads an answer as one picture; None to let FFmpeg find out.
            limits: How large a picture may be; a larger one is a request that failed.
            hosts: To which other hosts the address may lead.
        """
        self._url, self._name = url, name
        self._interval_s, self._timeouts_s, self._options = interval_s, timeouts_s, options
        self._format_name, self._limits, self._hosts = format_name, limits, hosts
        self._first: InputContainer | None = container
        self._closed = threading.Event()
        self._stored_aspect = Fraction(1)
        self._converter = FrameConverter(
            None, stored_aspect=lambda: self._stored_aspect, arrival_times=True, stand_alone=True
        )
        self._digest: tuple[int, int] | None = None
        self._corrupt = self._failed = 0
        # An unchanged picture is silence of any length, which is no loss.
        self._info = SourceInfo(self._name, live=True, fps=1 / interval_s, usual_silence_s=float("inf"))

    @property
    def info(self) -> SourceInfo:
        """What is known before the first picture."""
        return self._info

    @property
    def losses(self) -> SourceLosses:
        """What was lost so far."""
        return SourceLosses(
            corrupt_packets=self._corrupt, damaged_frames=self._converter.corrupt_frames, failed_frames=self._failed
        )

    def frames(self) -> Iterator[Frame]:
        """Deliver each picture that differs from the one before.

        Raises:
            SourceError: When no request succeeds for the read time-out, or the first picture is too large.
        """
        due_s, failing_since_s = time.monotonic(), None
        try:
            while not self._closed.wait(max(0.0, due_s - time.monotonic())):
                began_s = time.monotonic()
                outcome = self._request()
                now_s = time.monotonic()
                if isinstance(outcome, Problem):
                    failing_since_s = began_s if failing_since_s is None else failing_since_s
                    # What was never small enough is not asked for again.
                    is_never = outcome.code is SourceErrorCode.TOO_LARGE and self._converter.frames == 0
                    if is_never or now_s - failing_since_s >= self._timeouts_s[1]:
                        self._raise_lost(outcome)
                    due_s = now_s + min(self._interval_s, _RETRY_S)
                    continue
                failing_since_s = None
                due_s = max(due_s + self._interval_s, now_s)
                if outcome is not None and not self._closed.is_set():
                    yield outcome
        finally:
            self.close()

    def close(self) -> None:
        """Ask no more; a request that is under way ends within its time-outs."""
        self._closed.set()
        container, self._first = self._first, None
        if container is not None:
            container.close()

    def _raise_lost(self, problem: Problem) -> None:
        count = self._converter.frames
        raise SourceError(f"{self._name} was lost after {count} pictures: {problem.text}", problem.code)

    def _request(self) -> Frame | Problem | None:
        """Make one request; None if the picture is the one that came before."""
        try:
            picture = self._fetch()
        except SourceError as error:
            return Problem(error.code, str(error))
        except av.FFmpegError as error:
            return diagnose(error)
        except Exception as error:  # of a decoder or its bindings: it ends this picture only
            return Problem(SourceErrorCode.OTHER, describe(error))
        if not isinstance(picture, VideoFrame):
            return picture
        try:
            return self._converter.convert(picture)
        except Exception as error:  # whatever a picture does to its conversion, it ends that picture only
            self._failed += 1
            return Problem(SourceErrorCode.OTHER, f"the picture cannot be used: {describe(error)}")

    def _fetch(self) -> VideoFrame | Problem | None:
        container, self._first = self._first, None
        if container is None:
            container = open_container(
                self._url,
                name=self._name,
                timeouts_s=self._timeouts_s,
                options=self._options,
                format_name=self._format_name,
                limits=self._limits,
                hosts=self._hosts,
            )
        reader = ContainerReader(container, self._name, limits=self._limits)
        digests: list[tuple[int, int]] = []

        def note(packet: "Packet[VideoStream]") -> None:
            if packet.size:
                digests.append((packet.size, zlib.crc32(memoryview(packet))))
                require_small_text_of(bytes(packet), self._name)

        reader.on_packet = note
        if reader.stream.codec_context.name == "mjpeg":
            reader.refuse_damage()
        try:
            picture = self._first_of(reader, digests)
            self._stored_aspect = reader.stored_aspect()
        finally:
            reader.close()
            self._corrupt += reader.corrupt_packets
        if reader.sizes.problem is not None:
            return Problem(SourceErrorCode.TOO_LARGE, str(too_large(self._name, reader.sizes.problem)))
        if picture is None:
            return Problem(SourceErrorCode.UNREADABLE, "the picture is damaged")
        digest = digests[0] if digests else None
        before, self._digest = self._digest, digest
        return None if digest is not None and digest == before else picture

    @staticmethod
    def _first_of(reader: ContainerReader, digests: list[tuple[int, int]]) -> VideoFrame | None:
        try:
            return next((decoded[-1] for decoded in reader.decode() if decoded), None)
        except av.FFmpegError as error:
            # So ends an answer that is shorter than the most that is read of one.
            if error.errno != errno.EIO or not digests:
                raise
            return None
