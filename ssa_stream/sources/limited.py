"""A source of somebody else whose pictures may not be larger than all others' may be."""

from collections.abc import Iterator

from ssa_stream.picture_limits import PictureLimits
from ssa_stream.sources.size_guard import too_large
from ssa_stream.sources.source import Frame, Source, SourceInfo, warnings_of
from ssa_stream.sources.status import SourceLosses, losses_of

__all__ = ["Limited"]


class Limited(Source):
    """Deliver what a source gives, and end with an error at a picture that is too large."""

    def __init__(self, source: Source, limits: PictureLimits) -> None:
        """Take over the open source.

        Args:
            source: Closed together with this.
            limits: How large its pictures may be.
        """
        self._source, self._limits = source, limits

    @property
    def info(self) -> SourceInfo:
        """That of the source."""
        return self._source.info

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the source."""
        return warnings_of(self._source)

    @property
    def losses(self) -> SourceLosses:
        """Those of the source."""
        return losses_of(self._source)

    def frames(self) -> Iterator[Frame]:
        """Deliver every frame.

        Raises:
            SourceError: One is too large, or the source was lost.
        """
        for frame in self._source.frames():
            height, width = frame.size
            problem = self._limits.problem(width, height)
            if problem is not None:
                raise too_large(self._source.info.name, problem)
            yield frame

    def close(self) -> None:
        """Release the source."""
        self._source.close()
