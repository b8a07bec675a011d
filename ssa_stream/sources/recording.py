"""One container that has an end: a file, a local playlist, a pipe or an address; and what is incomplete about it."""

import os
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
from av import VideoFrame
from av.container import InputContainer

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.picture_limits import USUAL_LIMITS, PictureLimits
from ssa_stream.sources.container import ContainerReader, diagnose, open_container
from ssa_stream.sources.conversion import NO_JOINTS, Joints
from ssa_stream.sources.file_structure import shortfall
from ssa_stream.sources.hosts import NO_OTHER_HOSTS, Hosts
from ssa_stream.sources.nested import NestedOpener
from ssa_stream.sources.pipe import PipeReader
from ssa_stream.sources.playlist_file import PlaylistFile
from ssa_stream.sources.presentation import holds_no_times
from ssa_stream.sources.size_guard import too_large
from ssa_stream.sources.web import refused_by

__all__ = ["Decoded", "Delivered", "Recording"]

_UNREADABLE = "it is not a video, or a recording that was cut off before its index was written"
_UNREADABLE_PIPE = (
    "what comes through it is not a video, or one that cannot be read from a pipe, such as an MP4 with its index at "
    "the end; pipe MPEG-TS or Matroska"
)
# A damaged stretch longer than this many reads in a row ends the file.
_READ_ERRORS_ALLOWED = 64
# Containers round their durations; less than this is not called cut off.
_MISSING_TOLERANCE_S = 0.5
_PLACEHOLDER_COUNT = 1_000_000_000
# Their length is written, not estimated from the last times in the file.
_DECLARES_LENGTH = ("matroska", "mov", "flv", "asf", "avi", "mxf", "nut")
# All samples of a file of this kind are in its index, with position and size.
_INDEXED = "mov"


class Decoded(NamedTuple):
    """One decoded picture.

    Attributes:
        picture: As it came out of the decoder.
        skipped: Pictures that are missing just before it, where the source numbers them.
    """

    picture: VideoFrame
    skipped: int = 0


class Delivered(NamedTuple):
    """What was made of a recording.

    Attributes:
        frames: How many.
        damaged: Those marked as damaged.
        last_t: Time of the last one in seconds.
        longest_s: Longest time from one to the next: the last one may be shown for as long.
    """

    frames: int
    damaged: int
    last_t: float
    longest_s: float = 0.0


class Recording:
    """Reads one container to its end.

    Damage never costs what can still be decoded: broken packets are skipped and counted, a file that was cut off
    yields what is there.
    """

    def __init__(
        self,
        target: str | PipeReader,
        name: str,
        *,
        timeouts_s: tuple[float, float],
        options: Mapping[str, str],
        stream: int | None = None,
        rate_hz: Fraction | None = None,
        container: InputContainer | None = None,
        limits: PictureLimits = USUAL_LIMITS,
        hosts: Hosts = NO_OTHER_HOSTS,
        hwaccel: str = "none",
    ) -> None:
        """Open it.

        Args:
            target: A path, an address with `://`, or a pipe.
            name: What to call it in messages.
            timeouts_s: Longest wait for opening and for one read; matters for addresses and pipes.
            options: FFmpeg options of format and protocol.
            stream: Which of its video streams, None for the best one.
            rate_hz: Frames per second, if it holds no times.
            container: What that address is, opened already; None to open it here.
            limits: How large its pictures may be.
            hosts: To which other hosts it may lead.
            hwaccel: Which kind of device decodes it, see `hardware.decoder_of`.
        Raises:
            SourceError: It cannot be opened, holds no such video, or one of larger pictures.
        """
        self.warnings: list[str] = []
        self._pipe = target if isinstance(target, PipeReader) else None
        is_path = isinstance(target, str) and (os.path.exists(target) or "://" not in target)
        self._path = Path(target) if is_path and isinstance(target, str) and os.path.isfile(target) else None
        self._opened_as = self._identity
        self._is_remote = isinstance(target, str) and not is_path
        self._opened_bytes = self._size
        self._is_cut = False
        self._name = name
        self._playlist = playlist = PlaylistFile.open(str(self._path)) if self._path is not None else None
        # Told to be a file, a name such as cam:one.mkv is not taken for a protocol.
        source = f"file:{target}" if is_path else target
        merged = {"pattern_type": "none", **options}
        if rate_hz is not None:
            merged["framerate"] = str(rate_hz)
        if playlist is not None:
            container = _open_playlist(playlist, name, timeouts_s, merged, limits, hosts)
            self.warnings.extend(playlist.warnings)
            self.warnings.extend(hosts.refusals(playlist.servers))
        elif container is None:
            container = open_container(
                source,
                name=name,
                timeouts_s=timeouts_s,
                options=merged,
                unreadable=_UNREADABLE if self._pipe is None else _UNREADABLE_PIPE,
                limits=limits,
                hosts=hosts,
            )
        if rate_hz is not None and not holds_no_times(container.format.name):
            container.close()
            raise SourceError(f"{name} says itself when its frames are to be shown: leave fps out")
        self._reader = ContainerReader(
            container, name, stream=stream, mends_times=True, rate_hz=rate_hz, limits=limits, hwaccel=hwaccel
        )
        self._reader.stream.thread_type = "AUTO"
        self._declared_s = _declared_s(self._reader)

    @property
    def fps(self) -> float | None:
        """Nominal frames per second, None when not known."""
        return self._reader.fps

    @property
    def device(self) -> str | None:
        """Kind of device that decodes it; None if it is the processor."""
        return self._reader.device

    @property
    def device_problem(self) -> str:
        """See `ContainerReader.device_problem`."""
        return self._reader.device_problem

    @property
    def codec(self) -> str:
        """FFmpeg's name of it."""
        return self._reader.codec

    @property
    def frame_count(self) -> int | None:
        """Frames that it says it holds, None when it does not say."""
        return _written_count(self._reader)

    @property
    def stored_aspect(self) -> Fraction:
        """Width of its stored pixels divided by their height, for the frame decoded last."""
        return self._reader.stored_aspect()

    @property
    def joints(self) -> Joints:
        """Where it says that its times begin anew."""
        return NO_JOINTS if self._playlist is None else self._playlist.joints

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._reader.closed

    @property
    def corrupt_packets(self) -> int:
        """Packets skipped because they could not be read or decoded."""
        return self._reader.corrupt_packets

    @property
    def damage(self) -> list[str]:
        """What was skipped so far, one sentence for each kind."""
        if self._reader.is_encrypted:
            return ["it is encrypted, and its key is not known: expected a video without copy protection"]
        counted = [f"{self.corrupt_packets} packets were damaged and skipped"] if self.corrupt_packets else []
        counted += refused_by(self._reader.container)
        # After a joint packets are counted from anew, which looks as if some were missing.
        marked = self._reader.marked_packets - self.joints.most
        if marked > 0 and not self._is_cut:  # then it is the last one, and told of already
            counted.append(f"{marked} packets are not whole, or come after missing ones")
        counted += [
            f"{count} packets could not be decoded because of an unexpected {kind}"
            for kind, count in self._reader.failures.items()
        ]
        return counted

    def decode(self) -> Iterator[Decoded]:
        """Yield every picture that can be decoded, in order.

        Raises:
            SourceError: A pipe fell silent, a picture is too large, or an error came up that FFmpeg does not know.
        """
        count = 0
        try:
            for pictures in self._reader.decode(read_errors_allowed=_READ_ERRORS_ALLOWED):
                for picture in pictures:
                    count += 1
                    if self._playlist is not None:
                        self._playlist.note(picture.time)
                    yield Decoded(picture)
                if self._reader.sizes.problem is not None:
                    where = f"{self._name}, after {count} frames," if count else self._name
                    raise too_large(where, self._reader.sizes.problem)
        except av.FFmpegError as error:
            if not self._reader.is_end(error):
                self.warnings.append(f"reading stopped after {count} frames: {diagnose(error).text}")
            for pictures in self._reader.drain():
                yield from map(Decoded, pictures)

    def compare(self, delivered: Delivered) -> None:
        """At the end, add to `warnings` what is missing of what it says it holds."""
        size = self._size
        if self._identity != self._opened_as:  # another file has its name now, which says nothing of this one
            return
        if size is not None and self._opened_bytes is not None and size > self._opened_bytes:
            self.warnings.append(
                f"it grew from {self._opened_bytes:,} to {size:,} bytes while it was read: it is still being written, "
                "and what came later is not in it"
            )
            return
        cut = None if self._path is None else shortfall(self._path)
        self._is_cut = bool(cut)
        if cut:
            detail = self._missing(delivered, is_cut=True)
            place = f" after {delivered.frames} frames and {delivered.last_t:.2f} s: {cut}"
            self.warnings.append(f"it is cut off: {detail}" if detail else f"it is cut off{place}")
            return
        if self._playlist is not None and not self._reader.is_encrypted:
            is_damaged = bool(self.damage or delivered.damaged)
            shortage = self._playlist.shortage(self._end_s(delivered), is_damaged=is_damaged)
            self.warnings += [shortage] if shortage else []
        missing = self._missing(delivered, is_cut=False)
        if missing and not self._reader.is_encrypted:
            self.warnings.append(f"it is cut off or damaged: {missing}")

    def close(self) -> None:
        """Release it; the iteration ends."""
        self._reader.close()
        if self._pipe is not None:
            self._pipe.close()

    def _missing(self, delivered: Delivered, *, is_cut: bool) -> str:
        """How much is missing, in frames and seconds; nothing (an empty text) if that is not known or nothing is."""
        expected, fps = self._expected_frames(), self.fps
        missing_s = self._missing_s(delivered, is_cut=is_cut)
        if expected is not None and expected > delivered.frames:
            # Some whole files hold packets that give no picture, such as those before the first key frame.
            # An address may pass over what it failed to send, without an error.
            if not (is_cut or self._is_remote or self.damage or delivered.damaged or self.warnings):
                return ""
            count = expected - delivered.frames
            # FFmpeg shortens the duration of an AVI that is cut off.
            is_told = missing_s and self._reader.container.format.name != "avi"
            seconds = missing_s if is_told else count / fps if fps else None
            suffix = "" if seconds is None else f" ({seconds:.2f} s)"
            # The index of a fragmented file is only of the fragments that were read.
            at_least = "" if self.frame_count is not None else "at least "
            return f"{at_least}{count} of {expected} frames are missing or could not be decoded{suffix}"
        tolerance_s = 0.0 if is_cut else max(_MISSING_TOLERANCE_S, delivered.longest_s)
        if self._declared_s is None or expected is not None or missing_s <= tolerance_s:
            return ""
        frames = f" (about {max(1, round(missing_s * fps))} frames)" if fps else ""
        return f"{missing_s:.2f} of {self._declared_s:.2f} s{frames} are missing"

    def _expected_frames(self) -> int | None:
        stream = self._reader.stream
        if self._reader.container.format.name.startswith(_INDEXED) and not self.closed:
            samples = sum(entry.size > 0 for entry in stream.index_entries)
            return samples - self._reader.discarded_packets or None
        return self.frame_count

    def _missing_s(self, delivered: Delivered, *, is_cut: bool) -> float:
        if self._declared_s is None:
            return 0.0
        # The last frame may be shown for long, so its own end counts, unless the packet that says so is not whole.
        reader = self._reader
        start, base = reader.stream.start_time, reader.stream.time_base
        end_s = self._end_s(delivered)
        if reader.end_pts is not None and base is not None and not is_cut:
            end_s = max(end_s, float((reader.end_pts - (start or 0)) * base))
        # Some containers count their length from the start of the file, where the video may begin later.
        starts_s = float(start * base) if start is not None and base is not None else 0.0
        return max(0.0, self._declared_s - end_s - max(0.0, starts_s))

    @property
    def _identity(self) -> tuple[int, int] | None:
        try:
            status = None if self._path is None else self._path.stat()
        except OSError:
            return None
        return None if status is None else (status.st_dev, status.st_ino)

    def _end_s(self, delivered: Delivered) -> float:
        return delivered.last_t + (1 / self.fps if self.fps else 0.0)

    @property
    def _size(self) -> int | None:
        try:
            return None if self._path is None else self._path.stat().st_size
        except OSError:
            return None


def _written_count(reader: ContainerReader) -> int | None:
    """Number of frames in the container's head; None for a placeholder, as writers to a pipe leave it."""
    count = reader.stream.frames
    return count if 0 < count < _PLACEHOLDER_COUNT else None


def _open_playlist(
    playlist: PlaylistFile,
    name: str,
    timeouts_s: tuple[float, float],
    options: Mapping[str, str],
    limits: PictureLimits,
    hosts: Hosts,
) -> InputContainer:
    """Open a playlist that is a file.

    Raises:
        SourceError: It cannot be opened; the text says what is missing, if anything is.
    """
    try:
        with playlist.stream() as file:
            opener = NestedOpener(
                None,
                name=name,
                hosts=hosts,
                options={"timeout": str(round(timeouts_s[1] * 1_000_000)), **options},
                timeouts_s=timeouts_s,
                text=file.getvalue().decode("utf-8", "surrogateescape"),
            )
            return open_container(
                file,
                name=name,
                timeouts_s=timeouts_s,
                options={**playlist.options, **options},
                format_name="hls",
                unreadable=_UNREADABLE,
                limits=limits,
                opener=opener if hosts.allowed else None,
            )
    except SourceError:
        refused = hosts.refusals(playlist.servers)
        if refused:
            raise SourceError(f"cannot open {name}: {'; '.join(refused)}", SourceErrorCode.ELSEWHERE) from None
        if playlist.problem is None:
            raise
    except OSError as error:
        raise SourceError(f"cannot open {name}: no copies can be made of its playlists: {error.strerror}") from None
    raise SourceError(f"cannot open {name}: {playlist.problem}", SourceErrorCode.NOT_FOUND)


def _declared_s(reader: ContainerReader) -> float | None:
    """Length that the container says its video has; None if it says nothing, or nothing of the video alone."""
    stream, container = reader.stream, reader.container
    if not container.format.name.startswith(_DECLARES_LENGTH) or stream.frames >= _PLACEHOLDER_COUNT:
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    written = _seconds(stream.metadata.get("DURATION", ""))
    if written is not None:
        return written
    # The container's own length may be that of a longer sound track.
    if len(container.streams) == 1 and container.duration is not None:
        return container.duration / av.time_base
    return None


def _seconds(clock: str) -> float | None:
    """Seconds of `00:01:02.500`, as Matroska writes the length of a stream."""
    try:
        hours, minutes, seconds = clock.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
