"""A recording: every frame, in order, as fast as it is asked for."""

import difflib
import errno
import os
import stat
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from av.container import InputContainer

from ssa_stream.addresses import descriptor_of, redact
from ssa_stream.errors import SourceError, SourceErrorCode, misnamed
from ssa_stream.picture_limits import USUAL_LIMITS, PictureLimits
from ssa_stream.picture_names import is_pattern
from ssa_stream.sources.conversion import FrameConverter, Joints
from ssa_stream.sources.hosts import NO_OTHER_HOSTS, Hosts
from ssa_stream.sources.pictures import Animation, is_animated_webp
from ssa_stream.sources.pipe import PipeReader, open_descriptor, open_fifo
from ssa_stream.sources.png_text import require_small_text
from ssa_stream.sources.recording import Decoded, Delivered, Recording
from ssa_stream.sources.sequence import PictureSequence
from ssa_stream.sources.source import Frame, Source, SourceInfo
from ssa_stream.sources.status import SourceLosses

__all__ = ["FileSource", "check_file"]

_CAMERA_WORDS = frozenset({"cam", "camera", "webcam"})
_ODD_FILES = (
    (stat.S_ISSOCK, "a socket: expected a video file; a FIFO or standard input (-) can be piped into"),
    (stat.S_ISBLK, "a block device: expected a video file on it, such as one of a mounted disk"),
    (stat.S_ISCHR, "a character device and no camera: expected a video file; cameras are /dev/video0 and so on"),
)


class _Pictures(Protocol):
    """What decoded pictures come from: a container, numbered pictures or an animation."""

    warnings: list[str]

    @property
    def fps(self) -> float | None: ...
    @property
    def frame_count(self) -> int | None: ...
    @property
    def joints(self) -> Joints: ...
    @property
    def closed(self) -> bool: ...
    @property
    def corrupt_packets(self) -> int: ...
    @property
    def damage(self) -> list[str]: ...
    @property
    def stored_aspect(self) -> Fraction: ...
    def decode(self) -> Iterator[Decoded]: ...
    def compare(self, delivered: Delivered) -> None: ...
    def close(self) -> None: ...


class FileSource(Source):
    """Read a video file, a picture, a sequence of pictures (`frame%03d.png`, `*.png`), a pipe or an address that ends.

    Damage never costs what can still be decoded: broken packets are skipped and counted, a file that was cut off
    yields what is there, and `warnings` says so afterwards.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        name: str | None = None,
        stream: int | None = None,
        rate_hz: Fraction | None = None,
        timeouts_s: tuple[float, float] = (10.0, 10.0),
        options: Mapping[str, str] | None = None,
        container: InputContainer | None = None,
        limits: PictureLimits = USUAL_LIMITS,
        hosts: Hosts = NO_OTHER_HOSTS,
        hwaccel: str = "none",
    ) -> None:
        """Open the file and decode its first frame.

        Args:
            path: File name, pattern of a sequence, address, or `-` for standard input. A `Path`, and a name that
                exists, is always the file of that name.
            name: What to call it in messages; None takes the path without credentials.
            stream: Which of its video streams, from 0; None for the best one.
            rate_hz: Frames per second of what holds no times: pictures, elementary streams.
            timeouts_s: Longest wait for opening and for one read; matters for addresses and pipes.
            options: FFmpeg options of format and protocol.
            container: What is there, opened already; None to open it here.
            limits: How large its pictures may be.
            hosts: To which other hosts it may lead.
            hwaccel: Which kind of device decodes it, see `hardware.decoder_of`.
        Raises:
            SourceError: If it is missing, is not a video, holds no frame that can be decoded, or a larger picture.
        """
        target = str(path)
        self._name = name or redact(target)
        self._failures: Counter[str] = Counter()
        self._limits = limits
        self._pictures: _Pictures = (
            _open(
                target,
                self._name,
                stream=stream,
                rate_hz=rate_hz,
                timeouts_s=timeouts_s,
                options=options or {},
                limits=limits,
                hosts=hosts,
                hwaccel=hwaccel,
            )
            if container is None
            else Recording(
                target,
                self._name,
                timeouts_s=timeouts_s,
                options={},
                stream=stream,
                container=container,
                limits=limits,
                hwaccel=hwaccel,
            )
        )
        self._begin()
        try:
            first = next(self._decoded, None)
            if first is None and self._falls_back(target):
                first = next(self._decoded, None)
        except SourceError:
            self.close()
            raise
        if first is None:
            self.close()
            problems = "; ".join(self.warnings) or "it is empty"
            raise SourceError(
                f"{self._name} holds no frame that can be decoded: {problems}", SourceErrorCode.UNREADABLE
            )
        self._first = deque([first])
        self._info = SourceInfo(
            name=self._name,
            live=False,
            fps=self._pictures.fps,
            size=self._first[0].size,
            frame_count=self._pictures.frame_count,
            ends=True,
            codec=self._pictures.codec if isinstance(self._pictures, Recording) else None,
            decoded_by=self._pictures.device if isinstance(self._pictures, Recording) else None,
        )

    @property
    def info(self) -> SourceInfo:
        """What the container says about itself; `size` is that of the upright first frame."""
        return self._info

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was wrong with the file, as far as it has been read."""
        counted = list(self._pictures.damage)
        counted += [
            f"{count} frames were skipped because of an unexpected {kind}" for kind, count in self._failures.items()
        ]
        if self._converter.corrupt_frames:
            counted.append(f"{self._converter.corrupt_frames} frames were decoded with damage")
        if self._converter.repaired_times:
            counted.append(f"{self._converter.repaired_times} frame times were missing or went back, and were repaired")
        if isinstance(self._pictures, Recording) and self._pictures.device_problem:
            counted.append(self._pictures.device_problem)
        return (*counted, *self._converter.warnings, *self._pictures.warnings)

    @property
    def losses(self) -> SourceLosses:
        """What could not be read, decoded or converted, or only with damage."""
        return SourceLosses(
            corrupt_packets=self.corrupt_packets,
            damaged_frames=self._converter.corrupt_frames,
            failed_frames=self._failures.total(),
        )

    @property
    def corrupt_packets(self) -> int:
        """Packets, or pictures of a sequence, skipped because they could not be read or decoded."""
        return self._pictures.corrupt_packets

    def frames(self) -> Iterator[Frame]:
        """Deliver every frame that can be decoded, in order.

        Raises:
            SourceError: A pipe fell silent, or reading failed in a way that FFmpeg does not know.
        """
        try:
            while self._first and not self._pictures.closed:
                yield self._first.popleft()
            yield from self._decoded
        finally:
            self.close()

    def close(self) -> None:
        """Release the file; the iteration ends."""
        self._pictures.close()

    def _begin(self) -> None:
        self._converter = FrameConverter(
            self._pictures.fps,
            stored_aspect=lambda: self._pictures.stored_aspect,
            joints=self._pictures.joints,
            stand_alone=isinstance(self._pictures, PictureSequence),
        )
        self._last_t = self._longest_s = 0.0
        self._decoded = self._decode()

    def _falls_back(self, path: str) -> bool:
        """Take Pillow for a picture whose container FFmpeg knows, but not what is in it."""
        picture = _by_pillow(path, self._name, self._limits)
        if picture is None or not picture.is_readable:
            return False
        self._pictures.close()
        self._pictures = picture
        self._begin()
        return True

    def _decode(self) -> Iterator[Frame]:
        try:
            for decoded in self._pictures.decode():
                if self._pictures.closed:
                    return
                frame = self._converted(decoded)
                if frame is not None:
                    self._longest_s = max(self._longest_s, frame.t - self._last_t)
                    self._last_t = frame.t
                    yield frame
        except SourceError:
            raise
        except Exception as error:  # whatever a library raises ends this file, not the program
            raise SourceError(
                f"{self._name} could not be read after {self._converter.frames} frames: unexpected "
                f"{type(error).__name__}"
            ) from error
        if not self._pictures.closed:
            frames, damaged = self._converter.frames, self._converter.corrupt_frames
            self._pictures.compare(Delivered(frames, damaged, self._last_t, self._longest_s))

    def _converted(self, decoded: Decoded) -> Frame | None:
        self._converter.skip(decoded.skipped)
        try:
            return self._converter.convert(decoded.picture)
        except Exception as error:  # of a library, for one frame: the others are not to blame
            self._failures[type(error).__name__] += 1
            return None


def check_file(target: str, name: str) -> bool:
    """Refuse what can be told of a file without opening it.

    Args:
        target: File name, pattern of a sequence, or what `descriptor_of` takes.
        name: What to call it in messages.
    Returns:
        Whether it is an ordinary file.
    Raises:
        SourceError: It is missing, empty, may not be read, or is nothing that can be read as a video.
    """
    if descriptor_of(target) is not None and (not os.path.lexists(target) or target == "/dev/stdin"):
        return False
    if not os.path.lexists(target) and is_pattern(target):
        PictureSequence(target, name, options={}).close()
        return False
    mode = _mode(target, name)
    if not os.access(target, os.R_OK):
        raise SourceError(f"cannot open {name}: {os.strerror(errno.EACCES)}; change its rights")
    return stat.S_ISREG(mode)


def _open(
    target: str,
    name: str,
    *,
    stream: int | None,
    rate_hz: Fraction | None,
    timeouts_s: tuple[float, float],
    options: Mapping[str, str],
    limits: PictureLimits,
    hosts: Hosts,
    hwaccel: str,
) -> _Pictures:
    descriptor = None if os.path.lexists(target) and target != "/dev/stdin" else descriptor_of(target)
    source = target if descriptor is None else open_descriptor(descriptor, name, timeouts_s)
    if isinstance(source, str) and ("://" not in source or os.path.lexists(source)):
        if not os.path.lexists(source) and is_pattern(source):
            return PictureSequence(source, name, options=options, rate_hz=rate_hz, limits=limits)
        mode = _mode(source, name)
        if stat.S_ISFIFO(mode):
            source = open_fifo(source, name, timeouts_s)
        elif is_animated_webp(Path(source)):
            return Animation(Path(source), name, limits)
        else:
            require_small_text(Path(source))
    try:
        return Recording(
            source,
            name,
            timeouts_s=timeouts_s,
            options=options,
            stream=stream,
            rate_hz=rate_hz,
            limits=limits,
            hosts=hosts,
            hwaccel=hwaccel,
        )
    except SourceError as error:
        if isinstance(source, PipeReader):
            source.close()
            if source.is_empty and source.problem is None:
                raise SourceError(
                    f"nothing came through {name}: the program that writes to it ended without output",
                    SourceErrorCode.UNREADABLE,
                ) from None
        elif error.code is SourceErrorCode.UNREADABLE:
            picture = _by_pillow(source, name, limits)
            if picture is not None:
                return picture
        raise


def _by_pillow(path: str, name: str, limits: PictureLimits) -> Animation | None:
    """The same file read by Pillow, None if that cannot.

    Raises:
        SourceError: Its pictures are too large.
    """
    try:
        return Animation(Path(path), name, limits) if os.path.isfile(path) else None
    except SourceError as error:
        if error.code is SourceErrorCode.TOO_LARGE:
            raise
        return None


def _perhaps(name: str) -> str:
    """What may have been meant by the name of a file that does not exist; empty if nobody knows."""
    word = name.partition("@")[0].lower()
    if word in _CAMERA_WORDS:
        return "; a camera is named by its number, such as 0: ssa-stream sources list tells which there are"
    return "; did you mean synthetic?" if difflib.get_close_matches(word, ["synthetic"], cutoff=0.8) else ""


def _mode(path: str, name: str) -> int:
    """Of what kind the file is.

    Raises:
        SourceError: It is missing, empty, or nothing that can be read as a video.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        text = f"{name} does not exist{_perhaps(name)}"
        raise misnamed(SourceError(text, SourceErrorCode.NOT_FOUND)) from None
    except OSError as error:
        raise SourceError(f"cannot open {name}: {error.strerror}") from None
    if stat.S_ISDIR(status.st_mode):
        sequence = f"{name.rstrip('/')}/%03d.png"
        raise misnamed(SourceError(f"{name} is a directory: give a video file or a sequence such as {sequence}"))
    for is_odd, what in _ODD_FILES:
        if is_odd(status.st_mode):
            raise SourceError(f"{name} is {what}")
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        raise SourceError(f"{name} is empty (0 bytes): nothing was recorded, or the copy failed")
    return status.st_mode
