"""From a decoded PyAV frame to a `Frame`: upright RGB pixels, stream time, sequence number, epoch."""

import time
from fractions import Fraction
from typing import cast

import numpy as np
from av import VideoFrame
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

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
    """

    def __init__(self, fps: float | None, *, arrival_times: bool = False, monotonic_pts: bool = False) -> None:
        """Start at epoch 0, frame 0.

        Args:
            fps: Nominal rate, used where times are missing.
            arrival_times: Take the time of arrival as stream time, for formats that carry no times.
            monotonic_pts: Whether written times may be this host's monotonic clock, as V4L2 drivers write them.
        """
        self.frames = 0
        self.corrupt_frames = 0
        self._timeline = Timeline(fps)
        self._reformatter = VideoReformatter()
        self._arrival_times = arrival_times
        self._monotonic_pts = monotonic_pts
        self._epoch = self._seq = -1
        self._size: tuple[int, int] | None = None

    @property
    def repaired_times(self) -> int:
        """Frames whose written time was missing or went back."""
        return self._timeline.repaired

    def convert(self, decoded: VideoFrame) -> Frame:
        """Return the next frame of the stream."""
        received_at_ns = time.monotonic_ns()
        image = self._pixels(decoded)
        height, width = image.shape[:2]
        if (height, width) != self._size:
            self._size, self._epoch, self._seq = (height, width), self._epoch + 1, -1
        self._seq += 1
        self.frames += 1
        self.corrupt_frames += bool(decoded.is_corrupt)
        pts, time_base = decoded.pts, decoded.time_base
        if self._arrival_times:
            t = self._timeline.stamp(received_at_ns, _NANOSECOND)
        else:
            t = self._timeline.stamp(pts, time_base)
        return Frame(
            image=image,
            seq=self._seq,
            epoch=self._epoch,
            t=t,
            t_receive_ns=received_at_ns,
            pts=pts,
            time_base=time_base,
            t_capture_ns=self._captured_at_ns(pts, time_base, received_at_ns),
        )

    def _pixels(self, decoded: VideoFrame) -> NDArray[np.uint8]:
        image = np.asarray(self._reformatter.reformat(decoded, format="rgb24").to_ndarray(), dtype=np.uint8)
        # Typed as a dictionary with one other key; really a mapping from every kind of side data.
        matrix = cast(SideDataContainer, decoded.side_data).get(Type.DISPLAYMATRIX)
        if matrix is not None:
            image = apply_display_matrix(image, np.frombuffer(bytes(matrix), np.int32))
        return np.ascontiguousarray(image)

    def _captured_at_ns(self, pts: int | None, time_base: Fraction | None, received_at_ns: int) -> int | None:
        if not self._monotonic_pts or pts is None or time_base is None:
            return None
        captured_at_ns = round(pts * time_base * 1_000_000_000)
        # A driver that stamps with another clock is off by far more than a frame can be old.
        return captured_at_ns if 0 <= received_at_ns - captured_at_ns < 10_000_000_000 else None
