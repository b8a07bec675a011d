"""From a decoded PyAV frame to a `Frame`: upright RGB pixels, stream time, sequence number, epoch."""

import time
from fractions import Fraction
from typing import cast

import numpy as np
from av import VideoFrame
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from ssa_stream.sources.camera_clock import CameraClock
from ssa_stream.sources.frame import Frame
from ssa_stream.sources.timeline import Timeline

__all__ = ["FrameConverter", "apply_display_matrix"]

_NANOSECOND = Fraction(1, 1_000_000_000)


def apply_display_matrix(image: NDArray[np.uint8], matrix: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Turn and mirror an image as its container asks.

    Args:
        image: `(H, W, 3)` as stored.
        matrix: The nine numbers of a display matrix; a stored pixel (x, y) is shown at
            (m0 x + m3 y, m1 x + m4 y). Angles between quarter turns are rounded to the nearest quarter.
    """
    m0, m1, m3, m4 = (int(matrix[index]) for index in (0, 1, 3, 4))
    if abs(m3) > abs(m0):
        image, to_x, to_y = image.transpose(1, 0, 2), m3, m1
    else:
        to_x, to_y = m0, m4
    return image[:: -1 if to_y < 0 else 1, :: -1 if to_x < 0 else 1]


class FrameConverter:
    """Convert the frames of one stream, keeping count over its life.

    Attributes:
        frames: Number of frames converted.
        corrupt_frames: Frames that the decoder marked as damaged; they are delivered all the same.
        camera_clock: The camera's clock beside the host's, where the stream carries it.
    """

    def __init__(
        self, fps: float | None, *, live: bool = False, arrival_times: bool = False, monotonic_pts: bool = False
    ) -> None:
        """Start at epoch 0, frame 0.

        Args:
            fps: Nominal rate, used where times are missing.
            live: Whether frames come at the pace of the world, so that written times can be checked against it.
            arrival_times: Take the time of arrival as stream time, for formats that carry no times.
            monotonic_pts: Whether written times may be this host's monotonic clock, as V4L2 drivers write them.
        """
        self.frames = 0
        self.corrupt_frames = 0
        self.camera_clock = CameraClock()
        self._timeline = Timeline(fps)
        self._reformatter = VideoReformatter()
        self._live = live
        self._arrival_times = arrival_times
        self._monotonic_pts = monotonic_pts
        self._epoch = self._seq = -1
        self._size: tuple[int, int] | None = None
        self._stamped_at_ns: int | None = None

    @property
    def repaired_times(self) -> int:
        """Frames whose written time was missing, went back or leapt."""
        return self._timeline.repaired

    def stamp(self, decoded: VideoFrame, received_at_ns: int) -> float:
        """Return the stream time of the next frame, converted or not, in seconds."""
        before_ns, self._stamped_at_ns = self._stamped_at_ns, received_at_ns
        if self._arrival_times:
            return self._timeline.stamp(received_at_ns, _NANOSECOND)
        passed_s = (received_at_ns - before_ns) / 1e9 if self._live and before_ns is not None else None
        return self._timeline.stamp(decoded.pts, decoded.time_base, passed_s)

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
        image = self._pixels(decoded)
        height, width = image.shape[:2]
        if (height, width) != self._size:
            self._size, self._epoch, self._seq = (height, width), self._epoch + 1, -1
        self._seq += 1
        self.frames += 1
        self.corrupt_frames += bool(decoded.is_corrupt)
        return Frame(
            image=image,
            seq=self._seq,
            epoch=self._epoch,
            t=t,
            t_receive_ns=received_at_ns,
            pts=decoded.pts,
            time_base=decoded.time_base,
            t_capture_ns=self._captured_at_ns(decoded, received_at_ns, camera_ns),
            t_camera_ns=camera_ns,
        )

    def _pixels(self, decoded: VideoFrame) -> NDArray[np.uint8]:
        image = np.asarray(self._reformatter.reformat(decoded, format="rgb24").to_ndarray(), dtype=np.uint8)
        # Typed as a dictionary with one other key; really a mapping from every kind of side data.
        matrix = cast(SideDataContainer, decoded.side_data).get(Type.DISPLAYMATRIX)
        if matrix is not None:
            image = apply_display_matrix(image, np.frombuffer(bytes(matrix), np.int32))
        return np.ascontiguousarray(image)

    def _captured_at_ns(self, decoded: VideoFrame, received_at_ns: int, camera_ns: int | None) -> int | None:
        if camera_ns is not None:
            received_utc_ns = time.time_ns() - (time.monotonic_ns() - received_at_ns)
            return self.camera_clock.to_monotonic_ns(
                camera_ns, received_ns=received_at_ns, received_utc_ns=received_utc_ns
            )
        pts, time_base = decoded.pts, decoded.time_base
        if not self._monotonic_pts or pts is None or time_base is None:
            return None
        captured_at_ns = round(pts * time_base * 1_000_000_000)
        # A driver that stamps with another clock is off by far more than a frame can be old.
        return captured_at_ns if 0 <= received_at_ns - captured_at_ns < 10_000_000_000 else None
