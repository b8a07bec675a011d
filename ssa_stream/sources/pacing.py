"""At what pace frames of a source are handed out: the newest one, all of them ahead of time, or each at its time."""

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterator

from ssa_stream.errors import ConfigError, SsaStreamError
from ssa_stream.sources.buffer import BufferedSource, FrameBuffer
from ssa_stream.sources.recovering import Recovering
from ssa_stream.sources.source import Frame, Source, SourceInfo, warnings_of
from ssa_stream.sources.status import SourceLosses, losses_of
from ssa_stream.sources.unexpected import describe

__all__ = ["Freshest", "Prefetch", "Realtime"]


class _Wrapper(BufferedSource):
    """Reads a source into a buffer, or hands out what is in the buffer that the source has itself."""

    def __init__(self, source: Source, buffer: FrameBuffer, stall_timeout_s: float) -> None:
        super().__init__(source.buffer if isinstance(source, Recovering) else buffer)
        self._source = source
        self._stall_timeout_s = stall_timeout_s
        self._close_problems: tuple[str, ...] = ()

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
        """Frames that came from the source, the overtaken ones included."""
        return self.buffer.received

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the wrapped source says is incomplete, and whether it could be closed."""
        return (*warnings_of(self._source), *self._close_problems)

    @property
    def losses(self) -> SourceLosses:
        """What the wrapped source lost so far."""
        return losses_of(self._source)

    @property
    def longest_wait_s(self) -> float | None:
        """The stall timeout, or what the source says is its usual silence.

        None for a source that recovers, which has limits of its own, and for one whose silence is no loss: the pause of
        a recording at its own pace may take hours.
        """
        info = self.info
        if info.recovers or math.isinf(info.usual_silence_s):
            return None
        return max(self._stall_timeout_s, info.usual_silence_s)

    def read(self) -> None:
        """Read the source into the buffer."""
        if isinstance(self._source, Recovering):
            self._source.read()
            return
        for frame in self._source.frames():
            if not self.buffer.put(frame):
                break

    def disconnect(self) -> None:
        """Close the source; a plug-in that fails at that has delivered all it had, so it is a warning."""
        try:
            self._source.close()
        except SsaStreamError:
            raise
        except Exception as error:  # somebody else's code may raise anything
            self._close_problems = (f"it could not be closed: {describe(error)}",)


class Freshest(_Wrapper):
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
        super().__init__(source, FrameBuffer(), stall_timeout_s)

    @property
    def dropped(self) -> int:
        """Frames that were overtaken by a newer one."""
        return self.buffer.overtaken

    @property
    def dropped_last(self) -> int:
        """Frames that no gap in `seq` tells of: the last ones of an epoch, overtaken by a frame of the next one."""
        return self.buffer.overtaken_last


class Prefetch(_Wrapper):
    """Read a source in a thread, at most `depth` frames ahead, so that decoding and computing overlap.

    Nothing is lost, but of a source that recovers: that one does not wait, so frames beyond `depth` are overtaken.
    """

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
        super().__init__(source, FrameBuffer(depth, waits_for_room=True), stall_timeout_s)
        self.buffer.grow(depth)


class Realtime(Source):
    """Deliver each frame of a source when its stream time has come, and call the source live.

    Nothing is dropped here: around it, `Freshest` drops what the reader is too slow for, as with a camera. A pause of
    the recording is played, however long it is: it is a silence on purpose.
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
        info = source.info
        self._info = dataclasses.replace(
            info, live=True, usual_silence_s=info.usual_silence_s if info.live else math.inf
        )

    @property
    def info(self) -> SourceInfo:
        """That of the wrapped source, but live."""
        return self._info

    @property
    def source(self) -> Source:
        """The wrapped source."""
        return self._source

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the wrapped source says is incomplete."""
        return warnings_of(self._source)

    @property
    def losses(self) -> SourceLosses:
        """What the wrapped source lost so far."""
        return losses_of(self._source)

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
