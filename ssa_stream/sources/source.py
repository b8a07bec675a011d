"""The seam between the pipeline and whatever delivers pictures."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from ssa_stream.sources.frame import Frame

__all__ = ["Source", "SourceInfo"]


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
    """

    name: str
    live: bool
    fps: float | None = None
    size: tuple[int, int] | None = None
    frame_count: int | None = None
    duration_s: float | None = None
    recovers: bool = False

    @property
    def endless(self) -> bool:
        """Whether no end is known, so that the end of the data is a loss."""
        return self.frame_count is None and self.duration_s is None


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
