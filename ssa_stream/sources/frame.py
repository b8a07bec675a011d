"""One picture of a stream, with everything needed to say which picture it is."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Frame"]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture and its identity.

    Attributes:
        image: `(H, W, 3)` uint8, RGB. Shared, not copied: treat as read-only.
        seq: Number of the frame within its epoch, from 0. A gap means frames were dropped before this one.
        epoch: Grows at every reconnect and at every change of the picture size.
        t: Stream time in seconds from the first frame; strictly increasing within an epoch.
        t_receive_ns: `time.monotonic_ns()` when the frame came out of the source.
        pts: Presentation time as the source wrote it, in units of `time_base`; None when it wrote none.
        time_base: Seconds per unit of `pts`.
        t_capture_ns: When the picture was taken, on the clock of `time.monotonic_ns()`; None when not known.
        t_camera_ns: When the picture was taken by the camera's own clock, in nanoseconds since 1970 (UTC) as the camera
            understands it; None when the stream does not say. Where that clock agrees with the host's, `t_capture_ns`
            was made from it.
    """

    image: NDArray[np.uint8]
    seq: int
    epoch: int
    t: float
    t_receive_ns: int
    pts: int | None = None
    time_base: Fraction | None = None
    t_capture_ns: int | None = None
    t_camera_ns: int | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Picture size `(height, width)` in pixels."""
        height, width = self.image.shape[:2]
        return height, width

    @property
    def capture_clock(self) -> Literal["monotonic", "camera"] | None:
        """On which clock the time of capture is best known: the host's, else the camera's, else none."""
        if self.t_capture_ns is not None:
            return "monotonic"
        return None if self.t_camera_ns is None else "camera"

    def continues(self, earlier: "Frame") -> bool:
        """Whether what was seen up to an earlier frame still stands, if the time between the two is short.

        So it is across a reconnect, whose new epoch goes on in time, but not after a change of the picture size or
        where time began anew.
        """
        return self.size == earlier.size and self.t > earlier.t
