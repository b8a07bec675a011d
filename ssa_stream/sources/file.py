"""A recording: every frame, in order, as fast as it is asked for."""

from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

import av
from av import VideoFrame
from av.container import InputContainer

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.sources.addresses import redact
from ssa_stream.sources.container import ContainerReader, diagnose, open_container
from ssa_stream.sources.conversion import FrameConverter
from ssa_stream.sources.source import Frame, Source, SourceInfo
from ssa_stream.sources.unexpected import describe

__all__ = ["FileSource"]

_UNREADABLE = "it is not a video, or a recording that was cut off before its index was written"
# A damaged stretch longer than this many reads in a row ends the file.
_READ_ERRORS_ALLOWED = 64
# Containers round their durations and frame counts; less than this is not called cut off.
_MISSING_TOLERANCE_S = 0.5
_MISSING_TOLERANCE_FRAMES = 2


class FileSource(Source):
    """Read a video file, an image, an image sequence (`frame%03d.png`) or an address that ends.

    Damage never costs what can still be decoded: broken packets are skipped and counted, a file that was cut off
    yields what is there, and `warnings` says so afterwards.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        timeouts_s: tuple[float, float] = (10.0, 10.0),
        options: Mapping[str, str] | None = None,
        container: InputContainer | None = None,
    ) -> None:
        """Open the file and decode its first frame.

        Args:
            path: File name, sequence pattern or address.
            timeouts_s: Longest wait for opening and for one read; matters for addresses.
            options: FFmpeg options of format and protocol.
            container: What is there, opened already; None to open it here.
        Raises:
            SourceError: If it is missing, is not a video or holds no frame that can be decoded.
        """
        target = str(path)
        name = redact(target)
        _check_path(target, name)
        # Told to be a file, a name such as cam:one.mkv is not taken for a protocol.
        url = target if "://" in target else f"file:{target}"
        if container is None:
            container = open_container(
                url, name=name, timeouts_s=timeouts_s, options=options or {}, unreadable=_UNREADABLE
            )
        self._reader = ContainerReader(container, name)
        self._reader.stream.thread_type = "AUTO"
        self._converter = FrameConverter(self._reader.fps)
        self._warnings: list[str] = []
        self._declared_frames = self._reader.stream.frames or None
        self._declared_s = _duration_s(self._reader)
        self._failed, self._failure = 0, ""
        self._last_t = 0.0
        self._decoded = self._decode()
        self._first: deque[Frame] = deque()
        try:
            self._first.append(next(self._decoded))
        except StopIteration:
            self.close()
            problems = "; ".join(self.warnings) or "it is empty"
            raise SourceError(
                f"{name} holds no frame that can be decoded: {problems}", SourceErrorCode.UNREADABLE
            ) from None
        self._info = SourceInfo(
            name=name,
            live=False,
            fps=self._reader.fps,
            size=self._first[0].size,
            frame_count=self._declared_frames,
            ends=True,
        )

    @property
    def info(self) -> SourceInfo:
        """What the container says about itself; `size` is that of the upright first frame."""
        return self._info

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was wrong with the file, as far as it has been read."""
        counted = []
        if self.corrupt_packets:
            counted.append(f"{self.corrupt_packets} packets were damaged and skipped")
        if self._converter.corrupt_frames:
            counted.append(f"{self._converter.corrupt_frames} frames were decoded with damage")
        if self._converter.repaired_times:
            counted.append(f"{self._converter.repaired_times} frame times were missing or went back, and were repaired")
        if self._failed:
            counted.append(f"{self._failed} frames could not be converted ({self._failure})")
        return (*counted, *self._warnings)

    @property
    def corrupt_packets(self) -> int:
        """Packets skipped because they could not be read or decoded."""
        return self._reader.corrupt_packets

    def frames(self) -> Iterator[Frame]:
        """Deliver every frame that can be decoded, in order."""
        try:
            while self._first and not self._reader.closed:
                yield self._first.popleft()
            yield from self._decoded
        finally:
            self.close()

    def close(self) -> None:
        """Release the file; the iteration ends."""
        self._reader.close()

    def _decode(self) -> Iterator[Frame]:
        try:
            for decoded in self._reader.decode(read_errors_allowed=_READ_ERRORS_ALLOWED):
                yield from self._convert(decoded)
        except av.FFmpegError as error:
            if not self._reader.is_end(error):
                self._warnings.append(f"reading stopped after {self._converter.frames} frames: {diagnose(error).text}")
            yield from self._convert(self._reader.drain())
        if not self._reader.closed:
            self._compare_with_declared()

    def _convert(self, decoded: list[VideoFrame]) -> Iterator[Frame]:
        for picture in decoded:
            if self._reader.closed:
                return
            try:
                frame = self._converter.convert(picture)
            except Exception as error:  # whatever a picture does to its conversion, it ends that picture only
                self._failed, self._failure = self._failed + 1, describe(error)
                continue
            self._last_t = frame.t
            yield frame

    def _compare_with_declared(self) -> None:
        count = self._converter.frames
        if self._declared_frames is not None and self._declared_frames - count > _MISSING_TOLERANCE_FRAMES:
            self._warnings.append(f"cut off or damaged: {count} of {self._declared_frames} frames could be decoded")
        elif self._declared_s is not None and self._declared_s - self._last_t > _MISSING_TOLERANCE_S + self._interval_s:
            self._warnings.append(
                f"cut off or damaged: decoded up to {self._last_t:.2f} s of {self._declared_s:.2f} s ({count} frames)"
            )

    @property
    def _interval_s(self) -> float:
        return 1.0 / (self._reader.fps or 1.0)


def _check_path(target: str, name: str) -> None:
    if "://" in target or "%" in target:
        return
    path = Path(target)
    if path.is_dir():
        raise SourceError(f"{name} is a directory: give a video file or a sequence such as {name}/%03d.png")
    if not path.exists():
        raise SourceError(f"{name} does not exist", SourceErrorCode.NOT_FOUND)
    if path.is_file() and path.stat().st_size == 0:
        raise SourceError(f"{name} is empty (0 bytes): nothing was recorded, or the copy failed")


def _duration_s(reader: ContainerReader) -> float | None:
    stream = reader.stream
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    # The container's own length may be that of a longer sound track.
    if len(reader.container.streams) == 1 and reader.container.duration is not None:
        return reader.container.duration / av.time_base
    return None
