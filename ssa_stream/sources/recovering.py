"""A live source that is connected again whenever it is lost."""

import dataclasses
import random
import threading
import time
from collections.abc import Callable, Generator, Iterator

from ssa_stream.errors import SourceError
from ssa_stream.sources.attempt import Arrived, Attempt, Ended, Opened
from ssa_stream.sources.continuation import Continuation
from ssa_stream.sources.frame import Frame
from ssa_stream.sources.losses import SourceLosses
from ssa_stream.sources.monitor import SourceMonitor
from ssa_stream.sources.recovery import RecoveryPolicy
from ssa_stream.sources.source import Source, SourceInfo
from ssa_stream.sources.status import SourceStage, SourceStatus

__all__ = ["OnState", "Recovering"]

OnState = Callable[[SourceStatus], None]
"""Hears of every change of state, in the thread that reads the source; must return soon."""
Event = Opened | Arrived | Ended

_CLOSE_S = 0.5
_LET_GO_S = 0.25
_LONGEST_WAIT_S = 60.0


class Recovering(Source):
    """Read a live source through losses, stalls and restarts of the other side.

    Each connection has a thread that opens, reads and decodes into a slot for one frame, so a reader that is slow gets
    the newest frame, and a camera that hangs, hangs its own thread: it is given up at the limits of the policy, and
    neither the reader nor `close` waits for it.

    Every connection that delivers is an epoch of its own. Stream time goes on over the gap by the host's clock, so that
    a reader with memory can tell a short gap from a long one; see `Frame.continues`.

    What says where it ends, a recording, is not connected again: it would begin from its start.
    """

    def __init__(
        self,
        name: str,
        factory: Callable[[], Source],
        policy: RecoveryPolicy | None = None,
        *,
        on_state: OnState | None = None,
        connections_in_parallel: int = 2,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Connect for the first time.

        Args:
            name: What to call it in messages, without secrets.
            factory: Opens the source; called anew for each connection, in a thread. Must end in bounded time.
            policy: How long to wait for what.
            on_state: Hears of every change of state.
            connections_in_parallel: Connections, among them such as are given up but not yet gone, that may be open at
                once. 1 for a device that only one may use.
            clock: Seconds on the clock of `time.monotonic`.
            jitter: Draws from 0 to 1.
        Raises:
            SourceError: If the first connection fails and the policy's start is not patient.
            ConfigError: If the source cannot be what is asked of it.
        """
        self._factory = factory
        self._policy = policy or RecoveryPolicy()
        self._on_state = on_state
        self._in_parallel = connections_in_parallel
        self._clock = clock
        self._monitor = SourceMonitor(name, self._policy, clock=clock, jitter=jitter)
        self._continuation = Continuation()
        self._changed = threading.Condition()
        self._is_closed = False
        self._published: SourceStatus | None = None
        self._frames = 0
        self._overtaken = 0
        self._losses = SourceLosses()
        self._given_up: list[Attempt] = []
        self._info = SourceInfo(name, live=True, recovers=True)
        self._attempt: Attempt | None = None
        self._begin_attempt()
        if not self._policy.patient_start:
            self._require_connection()

    @property
    def info(self) -> SourceInfo:
        """What the newest connection said."""
        return self._info

    @property
    def status(self) -> SourceStatus:
        """The present state, with figures of this moment."""
        with self._changed:
            attempt = self._attempt
            return dataclasses.replace(
                self._monitor.status,
                frames=self._frames,
                overtaken=self._overtaken + (attempt.overtaken if attempt else 0),
                losses=self._losses.plus(attempt.losses) if attempt else self._losses,
            )

    def frames(self) -> Iterator[Frame]:
        """Deliver the newest frame at each step, over any number of connections.

        Raises:
            SourceError: When the source is lost and the policy or its kind says not to connect again.
        """
        try:
            while (problem := (yield from self._one_connection())) is not None:
                self._end_attempt()
                self._bear(problem)
                del problem  # it holds the source that raised it, see `Attempt.give_up`
                if not self._may_begin():
                    break
                self._begin_attempt()
        finally:
            self.close()
            if self._monitor.status.stage not in (SourceStage.ENDED, SourceStage.FAILED):
                self._monitor.ended("closed")
            self._publish()

    def close(self) -> None:
        """Release the source; a wait ends at once, and a thread that hangs in a read is left to its time-out."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            attempt = self._attempt
        if attempt is not None:
            attempt.give_up()
            attempt.join(_CLOSE_S)

    # -- one connection

    def _one_connection(self) -> Generator[Frame, None, Exception | None]:
        """Deliver the frames of one connection; returns why it is over, None at an end that is none."""
        while True:
            match self._next_event():
                case None:
                    return None
                case Opened(info):
                    self._was_opened(info)
                case Arrived(frame, at_s):
                    yield self._came(frame, at_s)
                case Ended(error):
                    if error is None:
                        self._monitor.ended("it came to its end")
                    return error

    def _next_event(self) -> Event | None:
        """What happens next, within the limits of the policy; None when the source was closed."""
        while True:
            with self._changed:
                event = self._until(lambda: self._attempt.poll() if self._attempt else None)
            if self._is_closed or event is not None:
                return None if self._is_closed else event
            problem = self._monitor.time_is_up()
            self._publish()
            if problem is not None:
                return Ended(problem)

    def _until(self, poll: Callable[[], Event | None]) -> Event | None:
        """Wait, with the condition held, for something to happen, the closing or the monitor's deadline."""
        event: Event | None = None
        while event is None and not self._is_closed:
            event = poll()
            left_s = self._monitor.deadline_s - self._clock()
            if event is not None or left_s <= 0:
                break
            self._changed.wait(min(left_s, _LONGEST_WAIT_S))
        return event

    def _was_opened(self, info: SourceInfo) -> None:
        self._info = dataclasses.replace(info, live=True, recovers=info.endless)
        self._monitor.connected()

    def _came(self, frame: Frame, at_s: float) -> Frame:
        self._frames += 1
        numbered = self._continuation.number(frame)
        self._monitor.frame_came(numbered.epoch, at_s)
        self._publish()
        return numbered

    # -- from one to the next

    def _require_connection(self) -> None:
        """Wait for the first connection.

        Raises:
            SourceError: It cannot be made.
        """
        match self._next_event():
            case Opened(info):
                self._was_opened(info)
            case Ended(error) if error is not None:
                self.close()
                self._monitor.failed(error)
                self._publish()
                raise error

    def _begin_attempt(self) -> None:
        with self._changed:
            if self._is_closed:
                return
            self._monitor.attempt_began()
            self._continuation.connection_began()
            self._attempt = Attempt(self._info.name, self._factory, self._changed, self._clock)
        self._publish()

    def _end_attempt(self) -> None:
        """Let go of a connection, without waiting for it."""
        attempt = self._attempt
        if attempt is None:
            return
        attempt.give_up()
        with self._changed:  # so that nobody sees its figures missing, or twice
            self._attempt = None
            self._overtaken += attempt.overtaken
            self._losses = self._losses.plus(attempt.losses)
        self._given_up.append(attempt)

    def _bear(self, problem: Exception) -> None:
        """Go on after a loss.

        Raises:
            Exception: The problem, if there is nothing to go on with.
        """
        if not isinstance(problem, SourceError) or not self._info.endless:
            self._monitor.failed(problem)
        elif self._monitor.attempt_failed(problem):
            self._publish()
            return
        self._publish()
        raise problem

    def _may_begin(self) -> bool:
        """Wait for the time of the next attempt; returns whether it is wanted."""
        with self._changed:
            self._until(lambda: None)
        while not self._is_closed:
            self._given_up = [attempt for attempt in self._given_up if attempt.is_running]
            if len(self._given_up) < self._in_parallel:
                return True
            self._given_up[0].join(_LET_GO_S)
        return False

    def _publish(self) -> None:
        status = self._monitor.status
        if self._on_state is not None and status != self._published:
            self._on_state(self.status)
        self._published = status
