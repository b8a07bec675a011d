"""Recovery policy of a source: its time-outs, and when it tries again."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from ssa_stream.backoff import backoff_s
from ssa_stream.errors import ConfigError, SourceErrorCode

__all__ = ["RecoveryPolicy"]

_SOMEBODY_MUST_ACT = frozenset(
    {
        SourceErrorCode.AUTH_FAILED,
        SourceErrorCode.TLS,
        SourceErrorCode.UNSUPPORTED_CODEC,
        SourceErrorCode.NOT_FOUND,
        SourceErrorCode.TOO_LARGE,
        SourceErrorCode.ELSEWHERE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPolicy:
    """Limits in seconds, all finite, and the pace of new attempts.

    Attributes:
        connect_s: Longest wait for a connection.
        first_frame_s: Longest wait for the first picture once connected. A camera begins at its next key frame, which
            may be ten seconds away.
        stall_s: Silence after which a live source is called stalled. Its connection is kept: it may go on.
        lost_s: Silence after which the connection is given up and made anew.
        retry_s: Longest wait before the first new attempt; doubles with each failure.
        retry_max_s: Where that ends.
        slow_retry_s: The same where trying again does not help until somebody acts: a wrong password, an untrusted
            certificate, a codec that is not there, a stream that never was there.
        slow_retry_max_s: Where that ends.
        steady_s: A source that was live for so long begins again with the shortest wait.
        give_up_after_s: Without a picture for so long, the source fails; None tries for ever.
        patient_start: Whether the first connection may fail as well. If not, opening raises what is wrong, so that
            somebody who mistyped an address learns of it at once.
    """

    connect_s: float = 5.0
    first_frame_s: float = 12.0
    stall_s: float = 2.0
    lost_s: float = 5.0
    retry_s: float = 0.5
    retry_max_s: float = 5.0
    slow_retry_s: float = 5.0
    slow_retry_max_s: float = 60.0
    steady_s: float = 5.0
    give_up_after_s: float | None = None
    patient_start: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("connect_s", "first_frame_s", "stall_s", "lost_s", "retry_s", "slow_retry_s"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ConfigError(f"{name} is {value}: expected seconds above 0, and finite")
        for first, last in (("stall_s", "lost_s"), ("retry_s", "retry_max_s"), ("slow_retry_s", "slow_retry_max_s")):
            if getattr(self, first) > getattr(self, last):
                raise ConfigError(f"{first} is {getattr(self, first)}: expected at most {last}, {getattr(self, last)}")
        if self.give_up_after_s is not None and not self.give_up_after_s > 0:
            raise ConfigError(f"give_up_after_s is {self.give_up_after_s}: expected seconds above 0, or None")

    def with_timeouts(self, connect_s: float | None, lost_s: float | None) -> "RecoveryPolicy":
        """Return the policy with other limits for connecting and for silence, None for its own.

        Raises:
            ConfigError: One of them is not above 0.
        """
        lost_s = self.lost_s if lost_s is None else lost_s
        return dataclasses.replace(
            self,
            connect_s=self.connect_s if connect_s is None else connect_s,
            lost_s=lost_s,
            stall_s=min(self.stall_s, lost_s),
        )

    def retry_in_s(self, failures: int, code: SourceErrorCode, *, was_live: bool, jitter: Callable[[], float]) -> float:
        """Return how long to wait before the next attempt.

        Args:
            failures: Attempts that failed in a row, at least 1.
            code: Why the last one failed.
            was_live: Whether this source ever delivered. A stream that was there is missing only for as long as its
                server takes to start, so that is no reason to wait long.
            jitter: Draws from 0 to 1.
        """
        is_slow = code in _SOMEBODY_MUST_ACT and not (was_live and code is SourceErrorCode.NOT_FOUND)
        first, last = (self.slow_retry_s, self.slow_retry_max_s) if is_slow else (self.retry_s, self.retry_max_s)
        return backoff_s(failures, first, last, jitter)
