"""What a source delivers, and the seam between the pipeline and whatever delivers it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Completion", "Frame", "Source", "SourceInfo", "warnings_of"]

Completion = Literal["marker", "next_picture"]
"""When a picture is known to be whole: at the marker of its last RTP packet, or when the next picture begins."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture and its identity.

    Attributes:
        image: `(H, W, 3)` uint8, RGB. Shared, not copied: treat as read-only.
        seq: Number of the frame within its epoch, from 0. A gap means frames were dropped before this one.
        epoch: Grows at every reconnect and at every change of the picture's size or of the shape of its pixels.
        t: Stream time in seconds from the first frame; strictly increasing within an epoch.
        t_receive_ns: `time.monotonic_ns()` when the frame came out of the source.
        pts: Presentation time as the source wrote it, in units of `time_base`; None when it wrote none.
        time_base: Seconds per unit of `pts`.
        t_capture_ns: When the picture was taken, on the clock of `time.monotonic_ns()`; None when not known.
        t_camera_ns: When the picture was taken by the camera's own clock, in nanoseconds since 1970 (UTC) as the camera
            understands it; None when the stream does not say. Where that clock agrees with the host's, `t_capture_ns`
            was made from it.
        pixel_aspect: Width of a pixel divided by its height, as delivered; 1 for square pixels.
        complete_at: How its end was found, which is one frame interval of delay if it was by the next one; None where
            pictures come whole.
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
    pixel_aspect: Fraction = Fraction(1)
    complete_at: Completion | None = None

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

        So it is across a reconnect, whose new epoch goes on in time, but not after a change of the picture's size or of
        the shape of its pixels, or where time began anew.
        """
        is_same_shape = self.size == earlier.size and self.pixel_aspect == earlier.pixel_aspect
        return is_same_shape and self.t > earlier.t


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known about a source before its first frame.

    Attributes:
        name: What to call it in messages; credentials are already taken out.
        live: Whether frames come at the pace of the world, so that a slow reader must drop some.
        fps: Nominal frames per second, None when unknown.
        size: Picture size `(height, width)` in pixels as delivered, None when unknown until the first frame.
        frame_count: Number of frames that the source says it has, None when endless or unknown.
        duration_s: Length that a live address says it has, None when endless or unknown: it plays a recording.
        recovers: Whether it connects again by itself, so that a long wait for a frame is nothing to give up at.
        usual_silence_s: Longest silence between two frames that is nothing unusual: a few segments of a playlist.
            Infinite where silence is no sign of a loss at all, as in the pauses of a recording that is played.
        ends: Whether it comes to an end although its length is not known.
        codec: How its pictures are coded, by FFmpeg's name of it; None if not known, or they are not.
        decoded_by: Kind of device that decodes them, such as `cuda`; None if it is the processor.
    """

    name: str
    live: bool
    fps: float | None = None
    size: tuple[int, int] | None = None
    frame_count: int | None = None
    duration_s: float | None = None
    recovers: bool = False
    usual_silence_s: float = 0.0
    ends: bool = False
    codec: str | None = None
    decoded_by: str | None = None

    @property
    def endless(self) -> bool:
        """Whether no end is known, so that the end of the data is a loss."""
        return self.frame_count is None and self.duration_s is None and not self.ends

    @property
    def is_recording(self) -> bool:
        """Whether it has an end and waits for its reader, who wants every frame."""
        return not self.live and not self.endless


@runtime_checkable
class Source(Protocol):
    """A stream of frames that is opened on construction and can be read once."""

    @property
    def info(self) -> SourceInfo:
        """What is known about the source."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Deliver the frames in order; may be called once.

        A finite source ends the iteration. After `close` the iteration ends as well, without an error.

        Raises:
            SourceError: When the source breaks, stalls or is lost.
        """
        ...

    def close(self) -> None:
        """Release the source. May be called twice and from another thread; ends a blocked read in bounded time."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def warnings_of(source: Source) -> tuple[str, ...]:
    """Return what a source says is incomplete in what it delivered so far; a source need not have `warnings`.

    A plug-in may answer anything: an error is a warning that names it, one text is one warning, and what is none is
    left out.
    """
    try:
        told: object = getattr(source, "warnings", ())
        if isinstance(told, str):
            return (told,)
        return tuple(text for text in told if isinstance(text, str)) if isinstance(told, Iterable) else ()
    except Exception as error:  # of somebody else's code, which must not end what can be delivered
        return (f"its warnings could not be read: unexpected {type(error).__name__}",)
