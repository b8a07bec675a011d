"""Several sinks as one, where the failure of one costs the others nothing."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ssa_stream.errors import SinkError
from ssa_stream.sinks.sink import FrameTimes, Sink, SinkFrame

if TYPE_CHECKING:
    from ssa_stream.streaming.results import MaskResult

__all__ = ["SinkGroup"]

_log = logging.getLogger(__name__)


class SinkGroup(Sink):
    """Write to all of several sinks.

    A sink that fails is closed, logged and left out from then on; the others go on. When the last one has failed,
    `write` raises; otherwise `close` does, after it has closed every sink.

    Attributes:
        errors: What failed so far.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self.errors: list[Exception] = []
        self._sinks = list(sinks)
        self._reported = 0

    def write(self, frame: SinkFrame, results: Sequence["MaskResult"], times: FrameTimes | None = None) -> None:
        """Write to every sink that still works.

        Raises:
            SinkError: If none of them works any more.
        """
        for sink in list(self._sinks):
            try:
                sink.write(frame, results, times)
            except Exception as error:  # a plug-in may raise anything; the others go on
                self._give_up(sink, error)
        if not self._sinks and self.errors:
            self._raise()

    def close(self) -> None:
        """Close every sink.

        Raises:
            SinkError: If any failed, now or before, and it was not raised yet.
        """
        while self._sinks:
            sink = self._sinks.pop()
            try:
                sink.close()
            except Exception as error:  # likewise: every sink gets its close
                self.errors.append(error)
        if len(self.errors) > self._reported:
            self._raise()

    def _give_up(self, sink: Sink, error: Exception) -> None:
        _log.warning("an output failed and is left out from now on: %s", error)
        self.errors.append(error)
        self._sinks.remove(sink)
        try:
            sink.close()
        except Exception as second:  # it has failed before
            _log.warning("it could not be closed either: %s", second)

    def _raise(self) -> None:
        self._reported = len(self.errors)
        raise SinkError("; ".join(str(error) for error in self.errors)) from self.errors[0]
