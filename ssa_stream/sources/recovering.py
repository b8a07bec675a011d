"""A live source that is connected again whenever it is lost."""

import dataclasses
import math
import random
import time
from collections import deque
from collections.abc import Callable

from ssa_stream.awake import AwakeClock
from ssa_stream.errors import ConfigError, SourceError, SsaStreamError
from ssa_stream.sources.buffer import BufferedSource, FrameBuffer
from ssa_stream.sources.connection import Connection, Continuation
from ssa_stream.sources.monitor import SourceMonitor
from ssa_stream.sources.recovery_policy import RecoveryPolicy
from ssa_stream.sources.source import Frame, Source, SourceInfo
from ssa_stream.sources.status import OnState, SourceLosses, SourceStage, SourceStatus
from ssa_stream.sources.unexpected import describe

__all__ = ["Recovering"]

_CLOSE_S = 0.5
_LET_GO_S = 0.25
_LONGEST_WAIT_S = 0.25
_ABSENCE_S = 1.0
"""Much longer than it ever waits: this process did not run, and the source is not judged by that time."""
_MOST_UNTOLD = 100


class Recovering(BufferedSource):
    """Read a live source through losses, stalls and restarts of the other side.

    Each connection has a thread that opens, reads and decodes, and puts its frames into one buffer, for one frame,
    from which whoever reads takes them. So a reader that is slow gets the newest frame, and a camera that hangs, hangs
    its own thread: it is given up at the limits of the policy, and nobody waits for it. `read`, in a thread of its own
    as well, sees to that, however slow the reader is.

    Every connection that delivers is an epoch of its own. Stream time goes on over the gap by the host's clock, so that
    a reader with memory can tell a short gap from a long one; see `Frame.continues`.

    What says where it ends, a recording, is not connected again: it would begin from its start. One that is not live
    is handed out whole: its connection waits for whoever reads.
    """

    def __init__(
        self,
        name: str,
        factory: Callable[[], Source],
        policy: RecoveryPolicy | None = None,
        *,
        on_state: OnState | None = None,
        connections_in_parallel: int = 2,
        goes_on: bool = True,
        now_ns: Callable[[], int] = time.monotonic_ns,
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
            goes_on: See `Continuation`.
            now_ns: Nanoseconds on the clock of `time.monotonic_ns`.
            jitter: Draws from 0 to 1.
        Raises:
            SourceError: If the first connection fails and the policy's start is not patient.
            ConfigError: If the source cannot be what is asked of it.
        """
        super().__init__(FrameBuffer())
        self._factory = factory
        self._policy = policy or RecoveryPolicy()
        self._on_state = on_state
        self._in_parallel = connections_in_parallel
        self._clock = AwakeClock(_ABSENCE_S, now_ns).monotonic_s
        self._monitor = SourceMonitor(name, self._policy, clock=self._clock, jitter=jitter)
        self._continuation = Continuation(goes_on=goes_on)
        self._changed = self.buffer.changed  # held for all that follows
        self._noted: SourceStatus | None = None
        self._untold: deque[SourceStatus] = deque(maxlen=_MOST_UNTOLD)
        self._losses = SourceLosses()  # of earlier connections
        self._given_up: list[Connection] = []
        self._info = SourceInfo(name, live=True, recovers=True)
        self._connection: Connection | None = None
        self._connect()
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
            return dataclasses.replace(
                self._monitor.status,
                frames=self.buffer.taken,
                overtaken=self.buffer.overtaken,
                losses=self._losses_so_far(),
            )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is incomplete in what the present connection delivered so far."""
        with self._changed:
            return () if self._connection is None else self._connection.warnings

    @property
    def losses(self) -> SourceLosses:
        """What was lost so far, over all connections."""
        return self.status.losses

    def read(self) -> None:
        """Keep the source connected, until it ends for good or is closed.

        Raises:
            SourceError: When the source is lost and the policy or its kind says not to connect again.
        """
        try:
            while (problem := self._until_lost()) is not None:
                self._give_up_connection()
                self._bear(problem)
                del problem  # it holds the source that raised it, see `Connection.give_up`
                if not self._may_connect():
                    break
                self._connect()
        finally:
            with self._changed:
                if self._monitor.status.stage not in (SourceStage.ENDED, SourceStage.FAILED):
                    self._monitor.ended("closed")
                self._note()
            self._tell()

    def close(self) -> None:
        """Release the source; a wait ends at once, and a thread that hangs in a read is left to its time-out."""
        self.stop(_CLOSE_S)

    def disconnect(self) -> None:
        """Give up the connection."""
        with self._changed:
            connection = self._connection
        if connection is not None:
            connection.give_up()
            connection.join(_CLOSE_S)

    # -- told by the connection, in its thread, with the condition held

    def opened(self, info: SourceInfo) -> None:
        """The connection was made."""
        self._info = dataclasses.replace(info, live=not info.is_recording, recovers=info.endless)
        if info.is_recording:
            self.buffer.wait_for_room()
        # A recording waits for its reader, so its silence says nothing; the file underneath has time-outs of its own.
        self._monitor.connected(math.inf if info.is_recording else info.usual_silence_s)

    def came(self, frame: Frame) -> None:
        """A frame came."""
        numbered = self._continuation.number(frame)
        self._monitor.frame_came(numbered.epoch)
        self._note()
        self.buffer.put(numbered)

    # -- one connection

    def _connect(self) -> None:
        with self._changed:
            if self.buffer.is_closed:
                return
            self._monitor.attempt_began()
            self._continuation.connection_began()
            self._note()
            self._losses = self._losses_so_far()
            self._connection = Connection(self._info.name, self._factory, self, self._changed)
        self._tell()

    def _require_connection(self) -> None:
        """Wait for the first connection.

        Raises:
            SourceError: It cannot be made.
        """
        problem = self._until_lost(or_opened=True)
        if problem is None:
            return
        self.close()
        with self._changed:
            self._monitor.failed(problem)
            self._note()
        self._tell()
        raise problem

    def _until_lost(self, *, or_opened: bool = False) -> SsaStreamError | None:
        """Watch the connection, within the limits of the policy; returns why it is lost, None if it is not.

        It is not at its end, once it is closed, or, if that is enough, once it is opened.
        """
        connection = self._connection
        assert connection is not None, "there is one since the source was made"
        while True:
            with self._changed:
                self._wait(lambda: connection.is_ended or bool(self._untold) or (or_opened and connection.is_opened))
                if self.buffer.is_closed or (or_opened and connection.is_opened):
                    return None
                if connection.is_ended:
                    if connection.error is None:
                        self._monitor.ended("it came to its end")
                    return connection.error
                problem = self._monitor.time_is_up() if self._clock() >= self._monitor.deadline_s else None
                self._note()
            self._tell()
            if problem is not None:
                return problem

    def _wait(self, is_so: Callable[[], bool]) -> None:
        """Wait, with the condition held, for something, the closing or the monitor's deadline."""
        while not (is_so() or self.buffer.is_closed):
            left_s = self._monitor.deadline_s - self._clock()
            if left_s <= 0:
                break
            self._changed.wait(min(left_s, _LONGEST_WAIT_S))

    # -- from one to the next

    def _give_up_connection(self) -> None:
        """Let go of the connection, without waiting for it."""
        connection = self._connection
        assert connection is not None, "it is lost"
        connection.give_up()
        self._given_up.append(connection)

    def _bear(self, problem: SsaStreamError) -> None:
        """Go on after a loss.

        Raises:
            SsaStreamError: The problem, if there is nothing to go on with.
        """
        with self._changed:
            may_go_on = False
            if isinstance(problem, ConfigError) or not self._info.endless:
                self._monitor.failed(problem)
            else:
                loss = problem if isinstance(problem, SourceError) else SourceError(describe(problem))
                may_go_on = self._monitor.attempt_failed(loss)
            self._note()
        self._tell()
        if not may_go_on:
            raise problem

    def _may_connect(self) -> bool:
        """Wait for the time of the next attempt; returns whether it is wanted."""
        with self._changed:
            self._wait(lambda: False)
        while not self.buffer.is_closed:
            self._given_up = [connection for connection in self._given_up if connection.is_running]
            if len(self._given_up) < self._in_parallel:
                return True
            self._given_up[0].join(_LET_GO_S)
        return False

    # -- what is told

    def _losses_so_far(self) -> SourceLosses:
        return self._losses if self._connection is None else self._losses.plus(self._connection.losses)

    def _note(self) -> None:
        """Keep a state that is new until it is told; with the condition held."""
        status = self._monitor.status
        if status != self._noted:
            self._noted = status
            self._untold.append(self.status)

    def _tell(self) -> None:
        """Tell what is new, in order, without the condition: it takes as long as who hears of it."""
        while self._untold:
            status = self._untold.popleft()
            if self._on_state is not None:
                self._on_state(status)
