"""Decode ahead of the model, in order and without loss."""

from collections.abc import Iterator

from ssa_stream.errors import ConfigError
from ssa_stream.sources.frame import Frame
from ssa_stream.sources.handoff import Handoff
from ssa_stream.sources.source import Source, SourceInfo

__all__ = ["Prefetch"]


class Prefetch(Source):
    """Read a source in a thread, at most `depth` frames ahead, so that decoding and computing overlap."""

    def __init__(self, source: Source, *, depth: int = 8, stall_timeout_s: float = 60.0) -> None:
        """Wrap a source; reading starts with `frames`.

        Args:
            source: Closed together with this.
            depth: Frames kept ready, at least 1. One 1920x1080 frame takes 6.2 MB.
            stall_timeout_s: Longest wait for a frame; see `Freshest`.
        Raises:
            ConfigError: If `depth` is below 1.
        """
        if depth < 1:
            raise ConfigError(f"depth is {depth}: give the number of frames to decode ahead, at least 1")
        self._source = source
        self._stall_timeout_s = stall_timeout_s
        self._handoff = Handoff(source, capacity=depth, drop_oldest=False)

    @property
    def info(self) -> SourceInfo:
        """That of the wrapped source."""
        return self._source.info

    @property
    def source(self) -> Source:
        """The wrapped source."""
        return self._source

    @property
    def received(self) -> int:
        """Frames that the source has delivered."""
        return self._handoff.received

    def frames(self) -> Iterator[Frame]:
        """Deliver every frame of the source, in order.

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
