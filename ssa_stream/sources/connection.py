"""One connection of a source, in a thread of its own, and how its frames go on from those of the one before."""

import contextlib
import dataclasses
import threading
from collections.abc import Callable
from typing import Protocol

from ssa_stream.errors import SsaStreamError
from ssa_stream.sources.source import Frame, Source, SourceInfo, warnings_of
from ssa_stream.sources.status import SourceLosses, losses_of
from ssa_stream.sources.unexpected import foreseen

__all__ = ["Connection", "ConnectionOwner", "Continuation"]

_LEAST_STEP_S = 0.001


class ConnectionOwner(Protocol):
    """Who a connection is made for. Told in the thread of the connection, with the condition held."""

    def opened(self, info: SourceInfo) -> None:
        """The connection was made."""

    def came(self, frame: Frame) -> None:
        """A frame came."""


class Connection:
    """Opens a source and reads it to its end, unless it is given up before.

    The thread may be caught in a read that only a time-out of the library underneath ends. So nobody has to wait for
    it: a connection that was given up closes its source as soon as it can and says nothing any more.

    Attributes:
        is_opened: Whether it was made.
        is_ended: Whether its source ended, by itself or with an error.
        error: That error; one that is none of ours is a `SourceError` with the code `other`.
    """

    def __init__(
        self, name: str, factory: Callable[[], Source], owner: ConnectionOwner, changed: threading.Condition
    ) -> None:
        """Begin to open the source.

        Args:
            name: Of the source, for the thread.
            factory: Opens it.
            owner: Told what comes.
            changed: Notified at everything that happens; shared with whoever else may end a wait.
        """
        self.is_opened = self.is_ended = False
        self.error: SsaStreamError | None = None
        self._name = name
        self._factory = factory
        self._owner = owner
        self._changed = changed
        self._source: Source | None = None
        self._losses = SourceLosses()
        self._warnings: tuple[str, ...] = ()
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
        return self._losses if source is None else losses_of(source)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is incomplete in what it delivered so far."""
        source = self._source
        return self._warnings if source is None else warnings_of(source)

    def give_up(self) -> None:
        """Close the source as soon as possible, without waiting for that."""
        with self._changed:
            self._is_given_up = True
            # An error knows the calls that it came through, and they know this connection and its source: kept here it
            # would hold all of them, decoder and buffers, until the garbage collector finds them.
            self.error = None
            self._losses, self._warnings = self.losses, self.warnings
            source, self._source = self._source, None
        if source is not None:
            _let_go(source)

    def join(self, timeout_s: float) -> None:
        """Wait a while for the thread to end."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            source = self._factory()
            try:
                if self._tell_opened(source):
                    for frame in source.frames():
                        if not self._tell_came(frame):
                            break
            finally:
                _let_go(source)
        except Exception as raised:  # handed to whoever reads, whatever it is
            self._tell_ended(foreseen(self._name, raised))
        else:
            self._tell_ended(None)

    def _tell_opened(self, source: Source) -> bool:
        with self._changed:
            if self._is_given_up:
                return False
            self._source, self.is_opened = source, True
            self._owner.opened(source.info)
            self._changed.notify_all()
            return True

    def _tell_came(self, frame: Frame) -> bool:
        with self._changed:
            if not self._is_given_up:
                self._owner.came(frame)
            return not self._is_given_up

    def _tell_ended(self, error: SsaStreamError | None) -> None:
        with self._changed:
            if not self._is_given_up:
                self.is_ended, self.error = True, error
            self._changed.notify_all()


def _let_go(source: Source) -> None:
    with contextlib.suppress(Exception):  # of a connection that is over: there is nothing left to lose
        source.close()


class Continuation:
    """Number epochs across connections, and let stream time go on over the gaps by the time of receipt.

    Args:
        goes_on: Whether each connection is to the same camera. If not, stream time begins anew with each, so that
            nobody takes what was seen before for what is seen now; see `Frame.continues`.
    """

    def __init__(self, *, goes_on: bool = True) -> None:
        self._goes_on = goes_on
        self._epoch = -1
        self._inner_epoch: int | None = None
        self._shift_s: float | None = None
        self._last_t = 0.0
        self._last_receive_ns: int | None = None

    def connection_began(self) -> None:
        """The next frame is the first of a new connection."""
        self._inner_epoch = None
        self._shift_s = None

    def number(self, frame: Frame) -> Frame:
        """Return the frame with its epoch and time in the whole stream."""
        if frame.epoch != self._inner_epoch:
            self._inner_epoch = frame.epoch
            self._epoch += 1
        if self._shift_s is None:
            self._shift_s = self._gone_on_s(frame) - frame.t
        self._last_t, self._last_receive_ns = frame.t + self._shift_s, frame.t_receive_ns
        return dataclasses.replace(frame, epoch=self._epoch, t=self._last_t)

    def _gone_on_s(self, frame: Frame) -> float:
        """Stream time of the first frame of a connection."""
        if self._last_receive_ns is None:
            return frame.t
        if not self._goes_on:
            return 0.0
        passed_s = (frame.t_receive_ns - self._last_receive_ns) / 1e9
        return self._last_t + max(passed_s, _LEAST_STEP_S)
