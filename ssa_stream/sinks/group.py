"""Sinks around sinks: several as one, where the failure of one costs the others nothing, and one in a thread."""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ssa_stream.errors import ConfigError, SinkError
from ssa_stream.sinks.sink import FrameTimes, Sink, SinkFrame

if TYPE_CHECKING:
    from ssa_stream.streaming.results import MaskResult

__all__ = ["Background", "OutputReport", "SinkGroup"]

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class OutputReport:
    """What became of one output.

    Attributes:
        name: As the user typed it.
        frames: Frames whose results were handed to it.
        failure: Why it ended before the stream did, and how much is in it; empty if it did not.
    """

    name: str
    frames: int = 0
    failure: str = ""


class SinkGroup(Sink):
    """Write to all of several sinks.

    A sink that fails is closed, told and left out from then on, even if it could be written again later: a file with a
    gap in it would look whole. The others go on. When the last one has failed, `write` raises; otherwise `close` does,
    after it has closed every sink.

    Attributes:
        errors: What failed so far.
        reports: What became of each sink, in their order.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        names: Sequence[str] = (),
        on_failure: Callable[[OutputReport], None] = lambda report: None,
    ) -> None:
        """Take over the sinks.

        Args:
            sinks: Closed together with this.
            names: Of the sinks, for `reports`.
            on_failure: Told at once of each sink that failed, in the thread that writes.
        """
        self.errors: list[Exception] = []
        self.reports = [OutputReport(name) for name in names or [type(sink).__name__ for sink in sinks]]
        self._sinks = list(zip(sinks, self.reports, strict=True))
        self._on_failure = on_failure
        self._reported = 0

    def write(self, frame: SinkFrame, results: Sequence["MaskResult"], times: FrameTimes | None = None) -> None:
        """Write to every sink that still works.

        Raises:
            SinkError: If none of them works any more.
        """
        for sink, report in list(self._sinks):
            try:
                sink.write(frame, results, times)
                report.frames += 1
            except Exception as error:  # a plug-in may raise anything; the others go on
                self._sinks.remove((sink, report))
                self._give_up(sink, report, error)
        if not self._sinks and self.errors:
            self._raise()

    def close(self) -> None:
        """Close every sink.

        Raises:
            SinkError: If any failed, now or before, and it was not raised yet.
        """
        while self._sinks:
            sink, report = self._sinks.pop()
            try:
                sink.close()
            except Exception as error:  # likewise: every sink gets its close
                self._note(sink, report, error)
        if len(self.errors) > self._reported:
            self._raise()

    def _give_up(self, sink: Sink, report: OutputReport, error: Exception) -> None:
        try:
            sink.close()
        except Exception as second:  # it has failed before
            _log.warning("it could not be closed either: %s", second)
        self._note(sink, report, error)

    def _note(self, sink: Sink, report: OutputReport, error: Exception) -> None:
        # What only files of ours can tell.
        frames = None if getattr(sink, "is_stream", False) else getattr(sink, "frames_in_file", None)
        report.failure = f"{error}" if frames is None else f"{error}; {frames} frames are in it"
        _log.warning("an output ended: %s", report.failure)
        self.errors.append(SinkError(report.failure) if isinstance(error, SinkError) else error)
        self._on_failure(report)

    def _raise(self) -> None:
        self._reported = len(self.errors)
        raise SinkError("; ".join(str(error) for error in self.errors)) from self.errors[0]


class Background(Sink):
    """Write to a sink in a thread, in order and without loss, so that drawing and encoding overlap with the model.

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
