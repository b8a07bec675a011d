"""From a decoded PyAV frame to a `Frame`: its picture, stream time, sequence number, epoch."""

import time
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from av import VideoFrame

from ssa_stream.sources.capture_time import CameraClock
from ssa_stream.sources.picture import PictureConverter
from ssa_stream.sources.source import Frame

__all__ = ["NO_JOINTS", "FrameConverter", "Joints", "Timeline"]

_NANOSECOND = Fraction(1, 1_000_000_000)
_DEFAULT_FPS = 25.0
_NUDGE_S = 0.001
_REBASE_AFTER_S = 1.0
_LEAP_S = 2.0


class Joints(NamedTuple):
    """Where parts of a recording with times of their own are joined, as it says itself.

    Attributes:
        most: How many joints there are.
        leap_s: A leap ahead by more than this, in seconds, is one of them.
    """

    most: int = 0
    leap_s: float = _LEAP_S


NO_JOINTS = Joints()


class FrameConverter:
    """Convert the frames of one stream, keeping count over its life.

    Attributes:
        frames: Number of frames converted.
        corrupt_frames: Frames that the decoder marked as damaged; they are delivered all the same.
    """

    def __init__(
        self,
        fps: float | None,
        *,
        stored_aspect: Callable[[], Fraction] = lambda: Fraction(1),
        live: bool = False,
        arrival_times: bool = False,
        monotonic_pts: bool = False,
        joints: Joints = NO_JOINTS,
        stand_alone: bool = False,
    ) -> None:
        """Start at epoch 0, frame 0.

        Args:
            fps: Nominal rate, used where times are missing.
            stored_aspect: Asked for each picture: width of its stored pixels divided by their height.
            live: Whether frames come at the pace of the world, so that written times can be checked against it.
            arrival_times: Take the time of arrival as stream time, for formats that carry no times.
            monotonic_pts: Whether written times may be this host's monotonic clock, as V4L2 drivers write them.
            joints: See `Timeline`.
            stand_alone: Whether the pictures are files of their own, see `Orientation`.
        """
        self.frames = 0
        self.corrupt_frames = 0
        self._camera_clock = CameraClock()
        self._timeline = Timeline(fps, joints)
        self._pictures = PictureConverter(stand_alone=stand_alone)
        self._stored_aspect = stored_aspect
        self._live = live
        self._arrival_times = arrival_times
        self._monotonic_pts = monotonic_pts
        self._epoch = self._seq = -1
        self._shape: tuple[tuple[int, ...], Fraction] | None = None
        self._stamped_at_ns: int | None = None

    @property
    def repaired_times(self) -> int:
        """Frames whose written time was missing, went back or leapt."""
        return self._timeline.repaired

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be converted as it should be."""
        return self._pictures.warnings

    def stamp(self, decoded: VideoFrame, received_at_ns: int) -> float:
        """Return the stream time of the next frame, converted or not, in seconds."""
        before_ns, self._stamped_at_ns = self._stamped_at_ns, received_at_ns
        if self._arrival_times:
            return self._timeline.stamp(received_at_ns, _NANOSECOND)
        passed_s = (received_at_ns - before_ns) / 1e9 if self._live and before_ns is not None else None
        return self._timeline.stamp(decoded.pts, decoded.time_base, passed_s)

    def skip(self, frames: int) -> None:
        """Leave out the numbers of frames that are missing before the next one; none before the first."""
        self._seq += frames if self._seq >= 0 else 0

    def convert(self, decoded: VideoFrame, camera_ns: int | None = None) -> Frame:
        """Return the next frame of the stream.

        Args:
            decoded: The picture.
            camera_ns: When it was taken by the camera's clock, in nanoseconds since 1970; None when not known.
        """
        received_at_ns = time.monotonic_ns()
        return self.finish(decoded, self.stamp(decoded, received_at_ns), received_at_ns, camera_ns)

    def finish(self, decoded: VideoFrame, t: float, received_at_ns: int, camera_ns: int | None = None) -> Frame:
        """Convert a picture that was stamped."""
        picture = self._pictures.convert(decoded, self._stored_aspect())
        shape = picture.image.shape, picture.pixel_aspect
        if shape != self._shape:
            self._shape, self._epoch, self._seq = shape, self._epoch + 1, -1
        self._seq += 1
        self.frames += 1
        self.corrupt_frames += bool(decoded.is_corrupt)
        return Frame(
            image=picture.image,
            seq=self._seq,
            epoch=self._epoch,
            t=t,
            t_receive_ns=received_at_ns,
            pts=decoded.pts,
            time_base=decoded.time_base,
            t_capture_ns=self._captured_at_ns(decoded, received_at_ns, camera_ns),
            t_camera_ns=camera_ns,
            pixel_aspect=picture.pixel_aspect,
        )

    def pass_over(self, decoded: VideoFrame) -> None:
        """Take note of a picture that was stamped and is not delivered."""
        self._pictures.pass_over(decoded)

    def _captured_at_ns(self, decoded: VideoFrame, received_at_ns: int, camera_ns: int | None) -> int | None:
        if camera_ns is not None:
            received_utc_ns = time.time_ns() - (time.monotonic_ns() - received_at_ns)
            return self._camera_clock.to_monotonic_ns(
                camera_ns, received_ns=received_at_ns, received_utc_ns=received_utc_ns
            )
        pts, time_base = decoded.pts, decoded.time_base
        if not self._monotonic_pts or pts is None or time_base is None:
            return None
        captured_at_ns = round(pts * time_base * 1_000_000_000)
        # A driver that stamps with another clock is off by far more than a frame can be old.
        return captured_at_ns if 0 <= received_at_ns - captured_at_ns < 10_000_000_000 else None


class Timeline:
    """Assign strictly increasing seconds, 0 at the first frame.

    A missing time is the previous one plus a frame interval. A time that goes back a little (a duplicate, a wrong
    order) is moved just after the previous one. One that goes back by a second or more (a loop, a counter that
    wrapped, a spliced recording) starts a new count from there, and so does a little step back after which times go on
    from where they went back to. So does, on a live source, one that leaps ahead by two seconds more than have passed:
    a camera whose clock was set. Where a recording says that it has joints, the first steps back and leaps are these.

    Attributes:
        repaired: How many times were missing, went back or leapt, joints not counted.
    """

    def __init__(self, fps: float | None, joints: Joints = NO_JOINTS) -> None:
        self.repaired = 0
        self._step_s = 1.0 / (fps or _DEFAULT_FPS)
        self._joints_left, self._joint_leap_s = joints
        self._origin_s: Fraction | None = None
        self._last_s: float | None = None
        # Written time of a frame that was moved just now, and what it would be in a new count that begins with it.
        self._moved: tuple[Fraction, float] | None = None

    def stamp(self, pts: int | None, time_base: Fraction | None, passed_s: float | None = None) -> float:
        """Return the stream time in seconds of the next frame.

        Args:
            pts: Its written time in units of `time_base`.
            time_base: Seconds per unit.
            passed_s: Seconds on the host's clock since the frame before it, for a live source; None otherwise.
        """
        written_s = None if pts is None or time_base is None else pts * time_base
        moved, self._moved = self._moved, None
        self._last_s = self._next(written_s, passed_s, moved)
        return self._last_s

    def _next(self, written_s: Fraction | None, passed_s: float | None, moved: tuple[Fraction, float] | None) -> float:
        last_s = self._last_s
        follow_s = 0.0 if last_s is None else last_s + max(self._step_s, passed_s or 0.0)
        if written_s is None:
            self.repaired += 1
            return 0.0 if last_s is None else last_s + self._step_s
        if self._origin_s is None:
            first_s = 0.0 if last_s is None else last_s + self._step_s
            self._origin_s = written_s - Fraction(first_s)
        t = float(written_s - self._origin_s)
        if last_s is not None and self._is_joint(t - last_s):
            return self._count_anew(written_s, follow_s)
        if last_s is None or (t > last_s and not _leaps(t - last_s, passed_s)):
            return t
        self.repaired += 1
        if not 0 <= last_s - t < _REBASE_AFTER_S:
            return self._count_anew(written_s, follow_s)
        if moved is not None and written_s > moved[0]:
            return self._count_anew(written_s, max(moved[1] + float(written_s - moved[0]), last_s + _NUDGE_S))
        self._moved = written_s, follow_s
        return last_s + min(_NUDGE_S, self._step_s)

    def _is_joint(self, step_s: float) -> bool:
        is_joint = self._joints_left > 0 and (step_s < 0 or step_s > self._joint_leap_s)
        self._joints_left -= is_joint
        return is_joint

    def _count_anew(self, written_s: Fraction, t: float) -> float:
        self._origin_s = written_s - Fraction(t)
        return t


def _leaps(step_s: float, passed_s: float | None) -> bool:
    return passed_s is not None and step_s > passed_s + _LEAP_S
