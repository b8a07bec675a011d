"""What cameras and live addresses share: reading until lost, and saying how it was lost."""

import dataclasses
import statistics
import time
from collections import deque
from collections.abc import Generator, Iterator
from math import inf
from typing import NamedTuple

import av
from av import VideoFrame
from av.container import InputContainer

from ssa_stream.awake import AwakeClock
from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.picture_limits import USUAL_LIMITS, PictureLimits
from ssa_stream.sources.backlog import Backlog, with_waits
from ssa_stream.sources.container import ContainerReader, Problem, diagnose
from ssa_stream.sources.conversion import FrameConverter
from ssa_stream.sources.playlist import Growth, PlaylistReading
from ssa_stream.sources.silence import UsualSilence
from ssa_stream.sources.source import Completion, Frame, Source, SourceInfo
from ssa_stream.sources.status import SourceLosses
from ssa_stream.sources.unexpected import describe
from ssa_stream.sources.web import refused_by

__all__ = ["HoleCounter", "LiveSource"]

_READ_TOLERANCE_S = 1.0
# A recording that stops this much before its length is cut off.
_END_TOLERANCE_S = 2.0
# Reads in a row that make no sense, while the demuxer looks for the next picture: each takes at least a line of what
# is damaged, so a picture of a megabyte takes some ten thousand. Pictures in a row that cannot be converted.
_READ_ERRORS_ALLOWED = 50_000
_FAILURES_ALLOWED = 30
# Intervals between frames that tell the usual one, how many do, and how many times that one is a hole.
_INTERVALS = 31
_ENOUGH = 8
_HOLE = 1.6
# A playlist names some segments at once; more than that cannot be passed over without a new start of its times.
_MOST_SEGMENTS = 10


class _Stamped(NamedTuple):
    """A picture with its stream time in seconds, when it came and when its camera took it."""

    picture: VideoFrame
    t: float
    received_at_ns: int
    camera_ns: int | None


class LiveSource(Source):
    """Read an open live container until it is closed or lost; `Recovering` connects again.

    On a live source the end of the data is a loss: a server that is killed ends the iteration of FFmpeg without any
    error, so this class raises one. Only what says how long it is, a recording on a server, comes to an end, and a
    playlist that gets its end mark.
    """

    def __init__(
        self,
        container: InputContainer,
        name: str,
        *,
        stream: int | None = None,
        read_timeout_s: float,
        no_frame_limit_s: float,
        arrival_times: bool = False,
        monotonic_pts: bool = False,
        drop_backlog: bool = False,
        playlist: PlaylistReading | None = None,
        silence: UsualSilence | None = None,
        limits: PictureLimits = USUAL_LIMITS,
        hwaccel: str = "none",
    ) -> None:
        """Take over an open container.

        Args:
            container: Opened with `read_timeout_s`.
            name: What to call it in messages, free of credentials.
            stream: Which of its video streams, from 0; None for the best one.
            read_timeout_s: Longest wait for data.
            no_frame_limit_s: Longest time without a frame; packets may go on arriving that nothing decodes from.
            arrival_times: See `FrameConverter`.
            monotonic_pts: See `FrameConverter`.
            drop_backlog: Whether pictures that piled up while the container was probed are decoded but not delivered,
                except the newest one if nothing follows it soon.
            playlist: For a live playlist: what earlier connections delivered, and the pace of its pictures.
            silence: Learns how long this source is silent between frames; shared by its connections.
            limits: How large its pictures may be; a larger one is passed over.
            hwaccel: Which kind of device decodes it, see `hardware.decoder_of`.
        Raises:
            SourceError: If it holds no video, none that can be decoded, or one of larger pictures.
        """
        self._reader = ContainerReader(container, name, stream=stream, limits=limits, hwaccel=hwaccel)
        self._reader.stream.thread_type = "SLICE"  # frame threads would add latency
        self._read_timeout_s = read_timeout_s
        self._no_frame_limit_s = no_frame_limit_s
        fps = self._reader.fps
        self._converter = FrameConverter(
            fps,
            stored_aspect=self._reader.stored_aspect,
            live=True,
            arrival_times=arrival_times,
            monotonic_pts=monotonic_pts,
        )
        self._holes = HoleCounter(inf if playlist is None else _MOST_SEGMENTS * playlist.playlist.target_s)
        self._last_t = 0.0
        duration_s = None if container.duration is None else container.duration / av.time_base
        # A recording comes as fast as it is read: none of it is old.
        self._backlog = Backlog() if drop_backlog and duration_s is None and playlist is None else None
        self._held: _Stamped | None = None  # the newest picture of the backlog
        self._silence_so_far = silence or UsualSilence()
        self._playlist = playlist
        if playlist is not None:
            self._reader.on_packet = playlist.note
        self._backlog_frames = self._repeated_frames = self._failed_frames = self._failures_in_a_row = 0
        self._too_large_before = 0
        self._refused = refused_by(container)
        self._info = SourceInfo(
            name,
            live=True,
            fps=fps,
            size=self._reader.coded_size,
            duration_s=duration_s,
            usual_silence_s=self._silence_so_far.limit_s if playlist is None else playlist.playlist.usual_silence_s,
            codec=self._reader.codec,
            decoded_by=self._reader.device,
        )

    @property
    def info(self) -> SourceInfo:
        """What the other side said; `size` may be unknown before the first frame."""
        return self._info

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the pictures so far, and what a playlist led to that was not followed."""
        told = [*self._converter.warnings, *self._refused]
        if self._reader.device_problem:
            told.append(self._reader.device_problem)
        if self._reader.sizes.problem is not None:
            told.append(self._too_large())
        return tuple(told)

    @property
    def losses(self) -> SourceLosses:
        """What was lost so far."""
        return SourceLosses(
            self._holes.missing,
            self._reader.corrupt_packets + self._reader.failures.total(),
            self._converter.corrupt_frames,
            self._backlog_frames,
            self._repeated_frames,
            self._failed_frames + self._reader.sizes.count,
        )

    @property
    def complete_at(self) -> Completion | None:
        """How the ends of pictures are found at present; None where they come whole."""
        return None

    def frames(self) -> Iterator[Frame]:
        """Deliver frames as they arrive.

        Raises:
            SourceError: When the stream ends, breaks or goes silent.
        """
        try:
            problem = yield from self._until_lost()
            held = self._newest_held()
            if held is not None:
                yield held
            closed_by_caller = self._reader.closed
        finally:
            self.close()
        if problem is not None and not closed_by_caller:
            frames = self._converter.frames
            raise SourceError(f"{self._info.name} was lost after {frames} frames: {problem.text}", problem.code)

    def close(self) -> None:
        """Disconnect; a read that is under way ends within about twice the read timeout."""
        self._reader.close()

    def _until_lost(self) -> Generator[Frame, None, Problem | None]:
        if self._playlist is not None and self._playlist.is_over:
            return None
        # Each turn is one read, which ends after its time-out: what took longer, this process was stopped in.
        awake = AwakeClock(self._read_timeout_s + _READ_TOLERANCE_S)
        last_frame_at_s = awake.monotonic_s()
        try:
            reads = self._reader.decode(read_errors_allowed=_READ_ERRORS_ALLOWED)
            for decoded in with_waits(reads, lambda: self._held is not None):
                if decoded is None:
                    held = self._newest_held()
                    if held is not None:
                        last_frame_at_s = awake.monotonic_s()
                        yield held
                    continue
                if self._playlist is not None and self._reader.last_read_s >= self._read_timeout_s:
                    # The read was given up. What it hands out all the same is the end of what came long before.
                    return Problem(SourceErrorCode.STALLED, self._silence())
                if self._are_too_large(decoded):
                    return Problem(SourceErrorCode.TOO_LARGE, self._too_large())
                for picture in decoded:
                    if self._is_repeated(picture):
                        continue
                    try:
                        frame = self._convert(picture)
                    except Exception as error:  # whatever a picture does to its conversion, it ends that picture only
                        if self._failed():
                            return Problem(SourceErrorCode.OTHER, f"no picture can be used: {describe(error)}")
                        continue
                    if self._reader.closed:
                        return None
                    if frame is not None:
                        self._failures_in_a_row = 0
                        yield frame
                    last_frame_at_s = awake.monotonic_s()
                    if self._reader.closed:
                        return None
                if awake.monotonic_s() - last_frame_at_s > self._no_frame_limit_s:
                    if self._reader.sizes.count > self._too_large_before:
                        return Problem(SourceErrorCode.TOO_LARGE, self._too_large())
                    return Problem(SourceErrorCode.NO_FRAME, self._no_frame())
        except (av.error.TimeoutError, av.error.ExitError):
            return Problem(SourceErrorCode.STALLED, self._silence())
        except av.FFmpegError as error:
            if self._reader.is_end(error):
                return self._at_end()
            problem = diagnose(error)
            return problem if problem.code is not SourceErrorCode.OTHER else Problem(SourceErrorCode.LOST, problem.text)
        except Exception as error:  # of a demuxer or its bindings, which nobody foresaw: it ends this connection
            return Problem(SourceErrorCode.OTHER, describe(error))
        return self._at_end()

    def _is_repeated(self, picture: VideoFrame) -> bool:
        is_repeated = self._playlist is not None and self._playlist.is_repeated(picture.pts)
        if is_repeated:
            self._repeated_frames += 1
            self._converter.pass_over(picture)
        return is_repeated

    def _failed(self) -> bool:
        """A picture cannot be converted; returns whether that is so for too many in a row."""
        self._failed_frames += 1
        self._failures_in_a_row += 1
        return self._failures_in_a_row >= _FAILURES_ALLOWED

    def _are_too_large(self, decoded: list[VideoFrame]) -> bool:
        """Whether too many pictures in a row were passed over because of their size."""
        if decoded:
            self._too_large_before = self._reader.sizes.count
        return self._reader.sizes.count - self._too_large_before >= _FAILURES_ALLOWED

    def _too_large(self) -> str:
        return (
            f"{self._reader.sizes.count} pictures were too large and passed over, the first with "
            f"{self._reader.sizes.problem}; allow them with #max_edge=... and #max_area=... (pixels) at the end of the "
            "address"
        )

    def _no_frame(self) -> str:
        whole, limit = self._reader.whole, f"{self._no_frame_limit_s:g} s"
        if whole is not None and whole.lacks_key:
            return f"stalled, no key frame for {limit} after packets were lost"
        return f"stalled, no frame for {limit}"

    def _silence(self) -> str:
        silence = f"stalled, no data for {self._read_timeout_s:g} s"
        if self._playlist is None:
            return silence
        match self._playlist.growth():
            case Growth.STANDS:
                return (
                    f"the playlist has not grown for {self._read_timeout_s:g} s: the server goes on serving the same "
                    "segments"
                )
            case Growth.GROWS:
                return f"{silence}: the playlist grows, but its segments are missing or come too slowly"
            case Growth.UNKNOWN:
                return silence

    def _convert(self, picture: VideoFrame) -> Frame | None:
        if self._playlist is not None:
            self._reader.pause(self._playlist.due_in_s(picture.pts, picture.time_base))
        received_at_ns = time.monotonic_ns()
        t = self._last_t = self._converter.stamp(picture, received_at_ns)
        self._holes.note(self._written_s(picture, t))
        camera_ns = self._reader.producer_times.utc_ns(picture.pts, picture.time_base)
        stamped = _Stamped(picture, t, received_at_ns, camera_ns)
        before, self._held = self._held, None
        if before is not None:
            self._converter.pass_over(before.picture)
            self._backlog_frames += 1
        if self._backlog is not None and self._backlog.holds(read_s=self._reader.last_read_s, t=t):
            self._held = stamped
            return None
        self._silence_so_far.frame_came()
        return self._finished(stamped)

    def _finished(self, stamped: _Stamped) -> Frame:
        return dataclasses.replace(self._converter.finish(*stamped), complete_at=self.complete_at)

    def _written_s(self, picture: VideoFrame, t: float) -> float:
        """Where holes are looked for: of a playlist the written time, as stream time passes over lost segments."""
        if self._playlist is None or picture.pts is None or picture.time_base is None:
            return t
        return float(picture.pts * picture.time_base)

    def _newest_held(self) -> Frame | None:
        """The newest picture of the backlog, now that nothing overtakes it; None if there is none that can be used."""
        held, self._held = self._held, None
        if held is None or self._reader.closed:
            return None
        try:
            frame = self._finished(held)
        except Exception:  # whatever a picture does to its conversion, it ends that picture only
            self._failed()
            return None
        self._silence_so_far.frame_came()
        return frame

    def _at_end(self) -> Problem | None:
        duration_s = self._info.duration_s
        if self._playlist is not None and self._playlist.has_ended():
            return None
        if duration_s is None:
            return Problem(SourceErrorCode.LOST, "it ended the stream")
        if self._last_t < duration_s - _END_TOLERANCE_S:
            return Problem(SourceErrorCode.LOST, f"it ended at {self._last_t:.1f} s of {duration_s:.1f} s")
        return None


class HoleCounter:
    """Count the frames that are missing between those that came, from the usual distance of two.

    Attributes:
        missing: Frames that never came.
    """

    def __init__(self, longest_s: float = inf) -> None:
        """Begin.

        Args:
            longest_s: A hole longer than this, in seconds, is none: times that were set, or begin anew.
        """
        self.missing = 0
        self._longest_s = longest_s
        self._last_t: float | None = None
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)

    def note(self, t: float) -> None:
        """Take the stream time in seconds of the next frame that came."""
        last_t, self._last_t = self._last_t, t
        if last_t is None:
            return
        interval_s = t - last_t
        if not 0 <= interval_s <= self._longest_s:
            return
        if len(self._intervals) >= _ENOUGH:
            usual_s = statistics.median(self._intervals)
            if interval_s > _HOLE * usual_s:
                self.missing += round(interval_s / usual_s) - 1
        self._intervals.append(interval_s)
