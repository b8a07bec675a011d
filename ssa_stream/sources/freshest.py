"""The newest frame of a live source, never a backlog."""

from collections.abc import Iterator

from ssa_stream.sources.frame import Frame
from ssa_stream.sources.handoff import Handoff
from ssa_stream.sources.source import Source, SourceInfo

__all__ = ["Freshest"]


class Freshest(Source):
    """Read a source in a thread and always hand out its newest frame.

    A frame that a newer one overtakes before it was asked for is dropped and counted; the gap also shows in `seq`,
    unless the newer one begins an epoch.
    An error of the source is raised where the frames are asked for, after the last frame was delivered.
    """

    def __init__(self, source: Source, *, stall_timeout_s: float = 10.0) -> None:
        """Wrap a source; reading starts with `frames`.

        Args:
            source: Closed together with this.
            stall_timeout_s: Longest wait for a frame. Not for a source that recovers: that one has limits of its own,
                and a silence is what it is there for.
        """
        self._source = source
        self._stall_timeout_s = stall_timeout_s
        self._handoff = Handoff(source, capacity=1, drop_oldest=True)

    @property
    def info(self) -> SourceInfo:
        """That of the wrapped source."""
        return self._source.info

    @property
    def source(self) -> Source:
        """The wrapped source."""
        return self._source

    @property
    def dropped(self) -> int:
        """Frames that were overtaken by a newer one."""
        return self._handoff.dropped

    @property
    def dropped_last(self) -> int:
        """Frames that no gap in `seq` tells of: the last ones of an epoch, overtaken by a frame of the next one."""
        return self._handoff.dropped_last

    @property
    def received(self) -> int:
        """Frames that the source has delivered; those not dropped were handed out or are waiting."""
        return self._handoff.received

    def frames(self) -> Iterator[Frame]:
        """Deliver the newest frame at each step, waiting for one that was not delivered before.

        Raises:
            SourceError: When no frame comes within the stall timeout, or as the source raises it.
        """
        try:
            self._handoff.start()
            while (frame := self._handoff.take(None if self.info.recovers else self._stall_timeout_s)) is not None:
                yield frame
        finally:
            self.close()

    def close(self) -> None:
        """Close the source and wait for the reading thread to end."""
        self._handoff.stop()
