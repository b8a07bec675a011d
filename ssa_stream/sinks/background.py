"""Write in a thread of its own, so that drawing and encoding overlap with the model."""

import queue
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ssa_stream.errors import ConfigError
from ssa_stream.sinks.sink import FrameTimes, Sink, SinkFrame

if TYPE_CHECKING:
    from ssa_stream.streaming.results import MaskResult

__all__ = ["Background"]


class Background(Sink):
    """Write to a sink in a thread, in order and without loss.

    When `depth` frames wait, `write` waits too. An error of the sink is raised by the next `write`, or by `close`;
    frames that were handed over after the one that failed are not written.
    """

    def __init__(self, sink: Sink, *, depth: int = 8) -> None:
        """Start the thread.

        Args:
            sink: Closed together with this.
            depth: Frames that may wait, at least 1; each holds its picture and masks.
        Raises:
            ConfigError: If `depth` is below 1.
        """
        if depth < 1:
            raise ConfigError(f"depth is {depth}: give the number of frames that may wait, at least 1")
        self._sink = sink
        self._waiting: queue.Queue[tuple[SinkFrame, tuple[MaskResult, ...], FrameTimes | None] | None] = queue.Queue(
            maxsize=depth
        )
        self._error: Exception | None = None
        self._has_failed = False
        self._thread: threading.Thread | None = threading.Thread(target=self._work, name="ssa-sink")
        self._thread.start()

    def write(self, frame: SinkFrame, results: Sequence["MaskResult"], times: FrameTimes | None = None) -> None:
        """Hand over the results of one frame.

        Raises:
            SinkError: As the sink raised it for an earlier frame.
        """
        self._raise_error()
        self._waiting.put((frame, tuple(results), times))

    def close(self) -> None:
        """Write what waits, then close the sink.

        Raises:
            SinkError: As the sink raises it, or raised it for an earlier frame.
        """
        if self._thread is None:
            return
        self._waiting.put(None)
        self._thread.join()
        self._thread = None
        try:
            self._sink.close()
        finally:
            self._raise_error()

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            if self._has_failed:
                continue
            try:
                self._sink.write(*item)
            except Exception as error:  # whatever it is, it is raised where the frames come from
                self._error, self._has_failed = error, True

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
