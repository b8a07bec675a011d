"""One connection of a source, from opening to loss, in a thread of its own."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from ssa_stream.sources.frame import Frame
from ssa_stream.sources.live import LiveSource
from ssa_stream.sources.losses import SourceLosses
from ssa_stream.sources.source import Source, SourceInfo

__all__ = ["Arrived", "Attempt", "Ended", "Opened"]


class Opened(NamedTuple):
    """The connection was made."""

    info: SourceInfo


class Arrived(NamedTuple):
    """A frame came, at that time of the clock."""

    frame: Frame
    at_s: float


class Ended(NamedTuple):
    """The source ended, by itself or with an error."""

    error: Exception | None


class Attempt:
    """Opens a source and reads it into a slot for one frame, in which a newer one replaces an older one.

    The thread may be caught in a read that only a time-out of the library underneath ends. So nobody has to wait for
    it: an attempt that was given up closes its source as soon as it can and says nothing any more.

    Attributes:
        overtaken: Frames that were replaced in the slot.
    """

    def __init__(
        self,
        name: str,
        factory: Callable[[], Source],
        changed: threading.Condition,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to open the source.

        Args:
            name: Of the source, for the thread.
            factory: Opens it.
            changed: Notified at everything that happens; shared with whoever else may end a wait.
            clock: Seconds on the clock of `time.monotonic`.
        """
        self.overtaken = 0
        self._factory = factory
        self._changed = changed
        self._clock = clock
        self._source: Source | None = None
        self._losses = SourceLosses()
        self._events: list[Opened | Ended] = []
        self._slot: Arrived | None = None
        self._is_given_up = False
        self._thread = threading.Thread(target=self._run, name=f"connection of {name}", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether its thread still runs."""
        return self._thread.is_alive()

    @property
    def losses(self) -> SourceLosses:
        """What the connection lost so far."""
        source = self._source
        return source.losses if isinstance(source, LiveSource) else self._losses

    def poll(self) -> Opened | Arrived | Ended | None:
        """Return the next thing that happened, None if nothing did. Call with the condition held."""
        if self._events and isinstance(self._events[0], Opened):
            return self._events.pop(0)
        if self._slot is not None:
            arrived, self._slot = self._slot, None
            return arrived
        return self._events[0] if self._events else None

    def give_up(self) -> None:
        """Close the source as soon as possible, without waiting for that."""
        with self._changed:
            self._is_given_up = True
            self._slot = None
            # An error knows the calls that it came through, and they know this attempt and its source: kept here it
            # would hold all of them, decoder and buffers, until the garbage collector finds them.
            self._events.clear()
            self._losses, source, self._source = self.losses, self._source, None
        if source is not None:
            source.close()

    def join(self, timeout_s: float) -> None:
        """Wait a while for the thread to end."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            source = self._factory()
            with source:
                if self._was_opened(source):
                    for frame in source.frames():
                        if not self._put(frame):
                            break
        except Exception as raised:  # handed to whoever reads, whatever it is
            self._ended(raised)
        else:
            self._ended(None)

    def _ended(self, error: Exception | None) -> None:
        with self._changed:
            if not self._is_given_up:
                self._events.append(Ended(error))
            self._changed.notify_all()

    def _was_opened(self, source: Source) -> bool:
        with self._changed:
            if not self._is_given_up:
                self._source = source
                self._events.append(Opened(source.info))
            self._changed.notify_all()
            return not self._is_given_up

    def _put(self, frame: Frame) -> bool:
        with self._changed:
            if self._is_given_up:
                return False
            self.overtaken += self._slot is not None
            self._slot = Arrived(frame, self._clock())
            self._changed.notify_all()
            return True
