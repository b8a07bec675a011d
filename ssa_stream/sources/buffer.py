"""The one place between the thread that reads a source and whoever takes its frames."""

import math
import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.rates import RateMeter
from ssa_stream.sources.source import Frame, Source
from ssa_stream.sources.unexpected import foreseen

__all__ = ["BufferedSource", "FrameBuffer"]

_JOIN_LIMIT_S = 30.0
_SLICE_S = 0.5


class FrameBuffer:
    """A few frames, and a count of all that came. One thread puts frames in, another one takes them out.

    When it is full, a newer frame takes the place of the oldest one, or the thread that reads waits. After the end of
    the source what is left is handed out, then the source's error is raised.

    Args:
        capacity: Frames it holds.
        waits_for_room: Whether the thread that reads waits, so that nothing is lost.

    Attributes:
        changed: Held while anything here changes, and notified then; for more than the buffer where that belongs
            together.
        on_change: Called at every change, with `changed` held; must return at once.
        received: Frames that came.
        rate: How fast they come.
        overtaken: Frames that a newer one replaced before anybody took them.
        overtaken_last: Frames among them that no gap in `seq` tells of: the last ones of an epoch, which a frame of the
            next one overtook.
        taken: Frames that were handed out.
    """

    def __init__(self, capacity: int = 1, *, waits_for_room: bool = False) -> None:
        self.changed = threading.Condition()
        self.on_change: Callable[[], None] = lambda: None
        self.received = self.overtaken = self.overtaken_last = self.taken = 0
        self.rate = RateMeter()
        self._capacity = capacity
        self._waits_for_room = waits_for_room
        self._frames: deque[Frame] = deque()
        self._last_taken = (-1, -1)  # epoch and seq
        self._is_ended = self._is_closed = False
        self._error: BaseException | None = None

    @property
    def is_closed(self) -> bool:
        """Whether nobody takes frames any more."""
        return self._is_closed

    @property
    def is_ready(self) -> bool:
        """Whether `take` has an answer at once: a frame, the end or an error."""
        return bool(self._frames) or self._is_ended or self._is_closed

    def wait_for_room(self) -> None:
        """From now on the thread that reads waits, so that nothing is lost."""
        with self.changed:
            self._waits_for_room = True

    def grow(self, capacity: int) -> None:
        """Hold at least so many frames from now on."""
        with self.changed:
            self._capacity = max(capacity, self._capacity)

    def put(self, frame: Frame) -> bool:
        """Put a frame in; returns whether another one is wanted."""
        with self.changed:
            self.received += not self._is_closed
            self.rate.saw_one(frame.t_receive_ns)
            if self._waits_for_room:  # ends with `close`, which whoever takes always calls
                self.changed.wait_for(lambda: len(self._frames) < self._capacity or self._is_closed)
            if self._is_closed:
                return False
            self._frames.append(frame)
            if len(self._frames) > self._capacity:
                self._overtake(self._frames.popleft())
            self._notify()
            return True

    def end(self, error: BaseException | None = None) -> None:
        """No frame comes any more."""
        with self.changed:
            self._is_ended, self._error = True, error
            self._notify()

    def take(self, timeout_s: float | None = None) -> Frame | None:
        """Return the oldest frame that is there, waiting for one; None when the source has ended or was closed.

        Args:
            timeout_s: Longest wait; None waits for as long as the source does.
        Raises:
            TimeoutError: No frame came in time.
            SourceError: As the source raised it.
        """
        with self.changed:
            if not self._wait(timeout_s):
                raise TimeoutError
            if self._is_closed:
                return None
            if self._frames:
                frame = self._frames.popleft()
                self._last_taken = frame.epoch, frame.seq
                self.taken += 1
                self._notify()
                return frame
            if self._error is not None:
                raise self._error
            return None

    def close(self) -> None:
        """Let go of the frames that are left; every wait ends."""
        with self.changed:
            self._is_closed = True
            self._frames.clear()
            self._notify()

    def _wait(self, timeout_s: float | None) -> bool:
        """Wait for an answer of `take`; in slices, because a signal that comes just before a wait does not end it."""
        end_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while not self.is_ready and (left_s := end_s - time.monotonic()) > 0:
            self.changed.wait(min(left_s, _SLICE_S))
        return self.is_ready

    def _overtake(self, oldest: Frame) -> None:
        self.overtaken += 1
        if oldest.epoch != self._frames[0].epoch:
            epoch, seq = self._last_taken
            self.overtaken_last += oldest.seq - seq if epoch == oldest.epoch else oldest.seq + 1

    def _notify(self) -> None:
        self.changed.notify_all()
        self.on_change()


class BufferedSource(Source):
    """A source that is read into a buffer by a thread, while its frames are taken by another one.

    Attributes:
        buffer: Where its frames are.
    """

    def __init__(self, buffer: FrameBuffer) -> None:
        self.buffer = buffer
        self._thread: threading.Thread | None = None

    @abstractmethod
    def read(self) -> None:
        """Read the source into the buffer, in this thread, until it ends or is closed.

        Raises:
            SourceError: It broke.
        """

    @property
    def longest_wait_s(self) -> float | None:
        """Longest wait for a frame; None where the source itself says when it is lost."""
        return None

    def fill(self) -> None:
        """Do what `read` does and leave its outcome, error or not, to whoever takes the frames."""
        try:
            self.read()
        except BaseException as error:  # of a plug-in, SystemExit too: it ends the source, and who takes frames is told
            told = foreseen(self.info.name, error)
            told.__cause__ = None if told is error else error
            self.buffer.end(told)
        else:
            self.buffer.end()

    def frames(self) -> Iterator[Frame]:
        """Start the thread that reads, and hand out its frames, each once, waiting for the next one.

        Raises:
            SourceError: When no frame comes for too long, or as the source raises it.
        """
        try:
            if not self.buffer.is_closed:
                self._thread = threading.Thread(target=self.fill, name=f"read {self.info.name}", daemon=True)
                self._thread.start()
            while (frame := self._take()) is not None:
                yield frame
        finally:
            self.close()

    def close(self) -> None:
        """Close the source and wait for the thread that reads.

        Raises:
            SourceError: The source does not let go of the thread; it breaks its promise then.
        """
        if not self.stop(_JOIN_LIMIT_S):
            raise SourceError(f"{self.info.name} did not stop reading within {_JOIN_LIMIT_S:g} s")

    def stop(self, limit_s: float) -> bool:
        """Close the source; returns whether the thread that reads has ended within a limit."""
        self.buffer.close()
        self.disconnect()
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(limit_s)
        return not thread.is_alive()

    @abstractmethod
    def disconnect(self) -> None:
        """Release the source, whose buffer is closed; a read that is under way ends. May be called twice."""

    def stalled(self) -> SourceError:
        """The error of a wait that was too long."""
        return SourceError(f"{self.info.name} stalled: no frame for {self.longest_wait_s:g} s", SourceErrorCode.STALLED)

    def _take(self) -> Frame | None:
        try:
            return self.buffer.take(self.longest_wait_s)
        except TimeoutError:
            raise self.stalled() from None
