"""Order, gaps and size of a stream's frames."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ssa_stream.errors import SessionStateError, ShapeError
from ssa_stream.streaming.config import SessionConfig

__all__ = ["FrameStamp", "Timeline", "longest_gap_s", "with_interval"]

_LEARNED_INTERVALS = 15
_DEFAULT_INTERVAL_S = 1 / 30
_MAX_MISSED = 2**31 - 1
_LEAST_GAP_S, _GAP_INTERVALS = 2.0, 4
_FIRST_GAP_S = 60.0


def longest_gap_s(
    max_gap_s: float | None, intervals_s: Sequence[float], frame_interval_s: float | None = None
) -> float:
    """The longest pause in seconds that leaves a stream's memory as it is.

    Args:
        max_gap_s: As it was set. None follows the stream: 2 s, or four usual intervals where frames come more slowly;
            60 s as long as nothing is known of their rate.
        intervals_s: Latest times between frames.
        frame_interval_s: Time between frames where it is set; else that of `intervals_s` counts.
    """
    if max_gap_s is not None:
        return max_gap_s
    usual_s = frame_interval_s or _usual_s(intervals_s)
    return _FIRST_GAP_S if usual_s is None else max(_LEAST_GAP_S, _GAP_INTERVALS * usual_s)


def with_interval(intervals_s: tuple[float, ...], elapsed_s: float, *, is_too_long: bool) -> tuple[float, ...]:
    """The latest times between frames, one more included.

    After a pause that was too long they are learned anew, from that pause on: if it is the stream's own rate, the next
    one is not too long.
    """
    return (elapsed_s,) if is_too_long else (*intervals_s, elapsed_s)[-_LEARNED_INTERVALS:]


def _usual_s(intervals_s: Sequence[float]) -> float | None:
    # The lower one of two: after a pause the first short interval counts at once.
    return statistics.median_low(intervals_s) if intervals_s else None


@dataclass(frozen=True, slots=True)
class FrameStamp:
    """Identity of an accepted frame.

    Attributes:
        index: Number in the session, from 0.
        t: Time in seconds.
        frames_missed: Frames lost just before it, judged by time.
        after_reset: Whether the memory was cleared just before it.
        is_blank: Whether it shows nothing, so that nothing is found in it.
    """

    index: int
    t: float
    frames_missed: int
    after_reset: bool
    is_blank: bool = False


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is known of the frames so far.

    Attributes:
        next_index: Number of the next frame.
        size: Source size `(height, width)` since the last reset; None before the first frame.
        last_t: Time of the last frame since the last reset; None before the first frame.
        intervals_s: Latest times between frames.
        was_reset: Whether the next frame is the first after a reset.
        pixel_aspect: Width of the source's pixels divided by their height; says nothing before the first frame.
    """

    next_index: int = 0
    size: tuple[int, int] | None = None
    last_t: float | None = None
    intervals_s: tuple[float, ...] = ()
    was_reset: bool = False
    pixel_aspect: Fraction = Fraction(1)

    def reset(self) -> "Timeline":
        """Forget times and size; numbers go on."""
        return Timeline(next_index=self.next_index, was_reset=self.next_index > 0)

    def accept(
        self, size: tuple[int, int], t: float | None, config: SessionConfig, pixel_aspect: Fraction = Fraction(1)
    ) -> tuple["Timeline", FrameStamp]:
        """Take a frame.

        Args:
            size: Source `(height, width)`.
            t: Time in seconds; None puts it one frame interval after the last one.
            config: For the interval and the largest gap.
            pixel_aspect: Width of the source's pixels divided by their height.
        Returns:
            The time line after the frame and its stamp. `after_reset` is set when the gap was too long: the caller
            clears its memory.
        Raises:
            ShapeError: The size, or the shape of pixels, changed without a reset.
            SessionStateError: The time is not a number or not later than the last one.
        """
        if self.size is not None and self.size != size:
            raise ShapeError(
                f"frame is {size[1]}x{size[0]} pixels but the stream began with {self.size[1]}x{self.size[0]}; "
                f"resize it, or call reset() to go on with the new size"
            )
        if self.size is not None and self.pixel_aspect != pixel_aspect:
            raise ShapeError(
                f"frame has pixels of aspect {pixel_aspect} but the stream began with {self.pixel_aspect} (width "
                f"divided by height); call reset() to go on with the new shape"
            )
        interval_s = config.frame_interval_s or _usual_s(self.intervals_s) or _DEFAULT_INTERVAL_S
        if t is None:
            t = 0.0 if self.last_t is None else self.last_t + interval_s
        t = float(t)  # numpy's floats would not survive saving
        elapsed_s = interval_s if self.last_t is None else t - self.last_t
        if not (math.isfinite(t) and 0 < elapsed_s < math.inf):
            raise SessionStateError(
                f"frame time is {t} s but the last frame's was {self.last_t} s; expected a finite, later time "
                f"(seconds); drop the frame, or call reset() if the source began anew"
            )
        known = config.frame_interval_s is not None or len(self.intervals_s) >= 3
        missed = max(0, round(min(elapsed_s / interval_s, _MAX_MISSED)) - 1) if known else 0
        if self.last_t is None:
            after = Timeline(self.next_index + 1, size, t, pixel_aspect=pixel_aspect)
            return after, FrameStamp(self.next_index, t, missed, self.was_reset)
        too_long = elapsed_s > longest_gap_s(config.max_gap_s, self.intervals_s, config.frame_interval_s)
        intervals_s = with_interval(self.intervals_s, elapsed_s, is_too_long=too_long)
        stamp = FrameStamp(self.next_index, t, missed, self.was_reset or too_long)
        return Timeline(self.next_index + 1, size, t, intervals_s, pixel_aspect=pixel_aspect), stamp
