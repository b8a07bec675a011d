"""A bounded hand-over of frames from the thread that decodes to the thread that asks."""

import threading
from collections import deque

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.sources.frame import Frame
from ssa_stream.sources.source import Source

__all__ = ["Handoff"]

_JOIN_LIMIT_S = 30.0


class Handoff:
    """Read a source in a thread into a queue of fixed size.

    When the queue is full, either the oldest frame is dropped and counted, or the reading thread waits. After the
    end of the source what is still queued is delivered, then its error is raised in the asking thread.

    Attributes:
        dropped: Frames that nobody asked for in time.
        dropped_last: Frames that no gap in `seq` tells of: the last ones of an epoch, which a frame of the next one
            overtook.
        received: Frames read from the source.
    """

    def __init__(self, source: Source, *, capacity: int, drop_oldest: bool) -> None:
        self.dropped = 0
        self.dropped_last = 0
        self.received = 0
        self._source = source
        self._capacity = capacity
        self._drop_oldest = drop_oldest
        self._queue: deque[Frame] = deque()
        self._taken = (-1, -1)  # epoch and seq of the last frame that was handed out
        self._changed = threading.Condition()
        self._ended = False
        self._stopping = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name=f"read {source.info.name}", daemon=True)

    def start(self) -> None:
        """Start the reading thread."""
        self._thread.start()

    def take(self, timeout_s: float | None) -> Frame | None:
        """Return the next frame, waiting at most `timeout_s`; None when the source has ended or was closed.

        Without a time-out it waits for as long as the source does.

        Raises:
            SourceError: If no frame came in time.
        """
        with self._changed:
            came = self._changed.wait_for(lambda: self._queue or self._ended or self._stopping, timeout_s)
            if not came:
                raise SourceError(
                    f"{self._source.info.name} stalled: no frame for {timeout_s:g} s", SourceErrorCode.STALLED
                )
            if self._stopping:
                return None
            if self._queue:
                frame = self._queue.popleft()
                self._taken = frame.epoch, frame.seq
                self._changed.notify_all()
                return frame
        if self._error is not None:
            raise self._error
        return None

    def stop(self) -> None:
        """Close the source and join the thread.

        Raises:
            SourceError: If the source does not let go of the thread; it breaks its promise then.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._source.close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_LIMIT_S)
            if self._thread.is_alive():
                raise SourceError(f"{self._source.info.name} did not stop reading within {_JOIN_LIMIT_S:g} s")

    def _read(self) -> None:
        try:
            for frame in self._source.frames():
                if not self._put(frame):
                    break
        except BaseException as error:  # handed to the asking thread, whatever it is
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        with self._changed:
            self.received += 1
            if self._drop_oldest and len(self._queue) == self._capacity:
                oldest = self._queue.popleft()
                self.dropped += 1
                self.dropped_last += self._untold(oldest) if oldest.epoch != frame.epoch else 0
            # Ends with stop(), which the asking thread always calls; the wait is on our own thread, not on the world.
            self._changed.wait_for(lambda: len(self._queue) < self._capacity or self._stopping)
            if self._stopping:
                return False
            self._queue.append(frame)
            self._changed.notify_all()
            return True

    def _untold(self, last: Frame) -> int:
        """How many frames were lost at the end of the epoch of a frame, itself the last of them."""
        epoch, seq = self._taken
        return last.seq - seq if epoch == last.epoch else last.seq + 1
