"""The state machine of a source that recovers: events and a clock in, states and deadlines out. No input or output."""

import dataclasses
import math
import random
import time
from collections.abc import Callable
from typing import Any

from ssa_stream.addresses import redact
from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.sources.recovery_policy import RecoveryPolicy
from ssa_stream.sources.silence import UsualSilence
from ssa_stream.sources.status import SourceStage, SourceStatus

__all__ = ["SourceMonitor"]


class SourceMonitor:
    """Follows one source from its first attempt to its end.

        connecting --frame--> live --silence--> stalled --longer--> reconnecting --frame--> live
                               ^ '---lost----------------------------^   ^ |
                               '----frame----- stalled                   '-' refused, timed out, ...

    Whoever reads the source tells what happened (`attempt_began`, `connected`, `frame_came`, `attempt_failed`, `ended`)
    and calls `time_is_up` when nothing did until `deadline_s`.

    Attributes:
        status: The present state, without figures of the frames.
        deadline_s: When to call `time_is_up`, or, while an attempt is being waited for, when to make it. Infinite at
            the end.
    """

    def __init__(
        self,
        name: str,
        policy: RecoveryPolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Begin to connect.

        Args:
            name: What to call the source in messages, without secrets.
            policy: How long to wait for what.
            clock: Seconds on the clock of `time.monotonic`.
            jitter: Draws from 0 to 1.
        """
        self._name = name
        self._policy = policy
        self._clock = clock
        self._jitter = jitter
        self._failures = 0  # that count for the wait
        self._attempts = 0  # since the last frame
        self._is_connected = False
        self._began_s = clock()
        self._live_since_s: float | None = None
        self._last_frame_s: float | None = None
        self._usual_silence_s = 0.0
        self._observed = UsualSilence(clock=clock)
        self.deadline_s = self._began_s
        self.status = SourceStatus(stage=SourceStage.CONNECTING, since_s=self._began_s)

    @property
    def was_live(self) -> bool:
        """Whether a frame ever came."""
        return self._last_frame_s is not None

    def attempt_began(self) -> None:
        """An attempt to connect is under way."""
        self._is_connected = False
        self._live_since_s = None
        self._attempts += 1
        self.deadline_s = self._clock() + self._policy.connect_s
        self._now(self._unsettled, attempt=self._attempts, retry_in_s=None)

    def connected(self, usual_silence_s: float = 0.0) -> None:
        """The connection is there, a picture is not yet.

        Args:
            usual_silence_s: See `SourceInfo`; a shorter silence is none, whatever the policy says.
        """
        self._is_connected = True
        self._usual_silence_s = usual_silence_s
        self.deadline_s = self._clock() + self._first_frame_s

    def frame_came(self, epoch: int) -> None:
        """A frame of that epoch came just now."""
        now_s = self._clock()
        before_s, self._last_frame_s = self._last_frame_s, now_s
        self._observed.frame_came()
        self._attempts = 0
        self.deadline_s = now_s + self._stall_s
        if self.status.stage is not SourceStage.LIVE:
            self._went_live(now_s, None if before_s is None else now_s - before_s)
        if self._failures and self._live_since_s is not None and now_s - self._live_since_s >= self._policy.steady_s:
            self._failures = 0
        if self.status.epoch != epoch:
            self._now(SourceStage.LIVE, epoch=epoch)

    def _went_live(self, now_s: float, outage_s: float | None) -> None:
        connections = self.status.connections
        if self._live_since_s is None:
            self._live_since_s = now_s
            connections += 1
        self._now(SourceStage.LIVE, code=None, text="", connections=connections, outage_s=outage_s)

    def time_is_up(self) -> SourceError | None:
        """The deadline passed; returns the error to give the connection up for, None to go on listening.

        The caller closes the connection then and tells `attempt_failed`.
        """
        if self.status.stage is SourceStage.LIVE:
            text = f"no frame for {self._stall_s:g} s"
            self.deadline_s += self._policy.lost_s - self._policy.stall_s
            self._now(SourceStage.STALLED, code=SourceErrorCode.STALLED, text=text)
            return None
        if self.status.stage is SourceStage.STALLED:
            return self._error(SourceErrorCode.STALLED, f"stalled: no frame for {self._lost_s:g} s")
        if self._is_connected:
            text = f"it is connected, but no picture came within {self._first_frame_s:g} s"
            return self._error(SourceErrorCode.NO_FRAME, text)
        return self._error(SourceErrorCode.TIMEOUT, f"no answer within {self._policy.connect_s:g} s")

    def attempt_failed(self, error: SourceError) -> bool:
        """The connection could not be made, or is lost; returns whether to try again, at `deadline_s`."""
        now_s = self._clock()
        self._failures += 1
        limit_s = self._policy.give_up_after_s
        alive_s = self._began_s if self._last_frame_s is None else self._last_frame_s
        if limit_s is not None and now_s - alive_s >= limit_s:
            self.failed(error)
            return False
        wait_s = self._policy.retry_in_s(self._failures, error.code, was_live=self.was_live, jitter=self._jitter)
        self.deadline_s = now_s + wait_s
        text = redact(str(error))
        self._now(self._unsettled, code=error.code, text=text, attempt=self._attempts, retry_in_s=wait_s, outage_s=None)
        return True

    def failed(self, error: Exception) -> None:
        """The source is lost for good."""
        code = error.code if isinstance(error, SourceError) else SourceErrorCode.OTHER
        self.deadline_s = float("inf")
        self._now(SourceStage.FAILED, code=code, text=redact(str(error)), retry_in_s=None)

    def ended(self, text: str = "") -> None:
        """The source came to its end or was closed."""
        self.deadline_s = float("inf")
        if self.status.stage is not SourceStage.FAILED:
            self._now(SourceStage.ENDED, code=None, text=text, retry_in_s=None)

    @property
    def _stall_s(self) -> float:
        """Silence after which the source is called stalled."""
        return max(self._policy.stall_s, self._usual_silence_s, self._observed.limit_s)

    @property
    def _lost_s(self) -> float:
        """Silence after which its connection is given up."""
        return self._stall_s + self._policy.lost_s - self._policy.stall_s

    @property
    def _first_frame_s(self) -> float:
        """Longest wait for the first picture; finite, also where a later silence says nothing."""
        longest_s = self._policy.first_frame_s
        return longest_s if math.isinf(self._usual_silence_s) else max(longest_s, self._lost_s)

    @property
    def _unsettled(self) -> SourceStage:
        return SourceStage.RECONNECTING if self.was_live else SourceStage.CONNECTING

    def _error(self, code: SourceErrorCode, text: str) -> SourceError:
        return SourceError(f"{self._name}: {text}", code)

    def _now(self, stage: SourceStage, **changes: Any) -> None:
        is_new = stage is not self.status.stage or "retry_in_s" in changes
        since_s = self._clock() if is_new else self.status.since_s
        self.status = dataclasses.replace(self.status, stage=stage, since_s=since_s, **changes)
