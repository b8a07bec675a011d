"""A playlist with an end on a server: a recording, of which FFmpeg passes over the segments that it does not get."""

import statistics
import threading
from collections import deque
from collections.abc import Iterator

from ssa_stream.sources.source import Frame, Source, SourceInfo, warnings_of
from ssa_stream.sources.status import SourceLosses, losses_of

__all__ = ["FinishedPlaylist"]

# Less than this is not called missing: sound and rounding make a segment longer than its pictures.
_TOLERANCE_S = 0.5
# Intervals between frames that tell the usual one, and how many times that one is a hole.
_INTERVALS = 31
_HOLE = 1.6


class FinishedPlaylist(Source):
    """Deliver what a recording gives, and say at its end how much of the length of its playlist is missing."""

    def __init__(self, source: Source, length_s: float) -> None:
        """Take over the open recording.

        Args:
            source: Closed together with this.
            length_s: Sum of the lengths of its segments, in seconds.
        """
        self._source, self._length_s = source, length_s
        self._closed = threading.Event()
        self._missing: tuple[str, ...] = ()

    @property
    def info(self) -> SourceInfo:
        """That of the recording."""
        return self._source.info

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the recording, and what is missing."""
        return (*warnings_of(self._source), *self._missing)

    @property
    def losses(self) -> SourceLosses:
        """Those of the recording."""
        return losses_of(self._source)

    def frames(self) -> Iterator[Frame]:
        """Deliver every frame of the segments that came."""
        intervals: deque[float] = deque(maxlen=_INTERVALS)
        last_t, came_s, usual_s = None, 0.0, 1 / (self.info.fps or 25.0)
        for frame in self._source.frames():
            if last_t is not None and frame.t > last_t:
                interval_s = frame.t - last_t
                usual_s = statistics.median(intervals) if intervals else usual_s
                is_hole = interval_s > max(_HOLE * usual_s, _TOLERANCE_S)
                came_s += usual_s if is_hole else interval_s
                intervals.append(interval_s)
            last_t = frame.t
            yield frame
        missing_s = self._length_s - came_s - usual_s
        if missing_s > _TOLERANCE_S and not self._closed.is_set():
            self._missing = (
                f"{missing_s:.2f} of the {self._length_s:.2f} s that its playlist names are missing: the server did "
                "not give all segments, or they hold fewer pictures",
            )

    def close(self) -> None:
        """Release the recording; the iteration ends."""
        self._closed.set()
        self._source.close()
