"""The interface between the pipeline and what stores or shows its results."""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ssa_stream.streaming.results import MaskResult

__all__ = ["FrameTimes", "Sink", "SinkFrame", "advice", "pixel_aspect_of"]


class SinkFrame(Protocol):
    """What a sink needs to know of a frame; `ssa_stream.sources.Frame` is one.

    It may also have `pixel_aspect`, as `Frame` has it; without it pixels are square, see `pixel_aspect_of`.
    """

    @property
    def image(self) -> NDArray[np.uint8]:
        """`(H, W, 3)` uint8 RGB."""
        ...

    @property
    def seq(self) -> int:
        """Number of the frame within its epoch."""
        ...

    @property
    def epoch(self) -> int:
        """Grows at every reconnect."""
        ...

    @property
    def t(self) -> float:
        """Stream time in seconds, strictly increasing within an epoch."""
        ...


def pixel_aspect_of(frame: SinkFrame) -> Fraction:
    """Width of a frame's pixels divided by their height; 1 if the frame does not say."""
    return getattr(frame, "pixel_aspect", Fraction(1))


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """When things happened to a frame, in nanoseconds of `time.monotonic_ns`; None where not known.

    Attributes:
        captured_at_ns: The picture was taken.
        received_at_ns: The frame came out of its source.
        emitted_at_ns: The results were ready.
        model_ms: How long the model worked on it, in milliseconds.
    """

    captured_at_ns: int | None = None
    received_at_ns: int | None = None
    emitted_at_ns: int | None = None
    model_ms: float | None = None

    @property
    def latency_ms(self) -> float | None:
        """From capture, or else receipt, to emission."""
        begin_ns = self.received_at_ns if self.captured_at_ns is None else self.captured_at_ns
        if begin_ns is None or self.emitted_at_ns is None:
            return None
        return (self.emitted_at_ns - begin_ns) / 1e6


@runtime_checkable
class Sink(Protocol):
    """Takes the results of one frame after the other; opened on construction."""

    def write(self, frame: SinkFrame, results: Sequence["MaskResult"], times: FrameTimes | None = None) -> None:
        """Take the results of one frame.

        Args:
            frame: The frame that the results are about.
            results: One per prompt.
            times: When what happened to the frame, if anybody measured it.
        Raises:
            SinkError: If they cannot be written; what was written before stays.
        """
        ...

    def close(self) -> None:
        """Finish; may be called twice.

        Raises:
            SinkError: If the end cannot be written.
        """
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def advice(error: OSError | Exception, *, is_stream: bool = False) -> str:
    """Say what an operating system's refusal to write means and what to do about it.

    Args:
        error: What it said.
        is_stream: Whether a pipe or a device was to be written, which keeps nothing.
    """
    kept = "" if is_stream else "; what was written so far is kept"
    match getattr(error, "errno", None):
        case errno.ENOSPC | errno.EDQUOT:
            return f"the disk is full: free some space or write elsewhere{kept}"
        case errno.EFBIG:
            return f"the file would grow past the limit for one file{kept}"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return "writing there is not permitted: choose another folder or change its rights"
        case errno.ENOENT | errno.ENOTDIR:
            return "its folder does not exist: create it first"
        case errno.EISDIR:
            return "that is a folder: give a file name"
        case errno.EPIPE:
            return "whoever read it has gone"
        case _:
            return f"{getattr(error, 'strerror', None) or error} ({type(error).__name__})"
