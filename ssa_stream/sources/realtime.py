"""Play a recording at its own pace, as if it were a camera."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator

from ssa_stream.errors import ConfigError
from ssa_stream.sources.frame import Frame
from ssa_stream.sources.source import Source, SourceInfo

__all__ = ["Realtime"]


class Realtime(Source):
    """Deliver each frame of a source when its stream time has come, and call the source live.

    Nothing is dropped here: around it, `Freshest` drops what the reader is too slow for, as with a camera.
    """

    def __init__(
        self,
        source: Source,
        *,
        speed: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """Wrap a source; the clock starts with its first frame.

        Args:
            source: Closed together with this.
            speed: 2.0 plays twice as fast.
            clock: Seconds on the clock of `time.monotonic`.
            wait: Waits that many seconds, returns True when waiting was ended by `close`. For tests.
        Raises:
            ConfigError: If `speed` is not above 0.
        """
        if not speed > 0:
            raise ConfigError(f"speed is {speed}: give a number above 0, 1 for the recording's own pace")
        self._source = source
        self._speed = speed
        self._clock = clock
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._info = dataclasses.replace(source.info, live=True)

    @property
    def info(self) -> SourceInfo:
        """That of the wrapped source, but live."""
        return self._info

    @property
    def source(self) -> Source:
        """The wrapped source."""
        return self._source

    def frames(self) -> Iterator[Frame]:
        """Deliver every frame, none before its time; `t_capture_ns` is the time at which it was due."""
        start_s = last_t = float("inf")
        try:
            for frame in self._source.frames():
                if frame.t < last_t:  # the first frame, or an epoch that counts from its own start
                    start_s = self._clock() - frame.t / self._speed
                last_t = frame.t
                due_s = start_s + frame.t / self._speed
                if self._closed.is_set() or (due_s > self._clock() and self._wait(due_s - self._clock())):
                    return
                yield dataclasses.replace(
                    frame, t_capture_ns=round(due_s * 1e9), t_receive_ns=round(self._clock() * 1e9)
                )
        finally:
            self.close()

    def close(self) -> None:
        """Close the source; a wait that is under way ends at once."""
        self._closed.set()
        self._source.close()
