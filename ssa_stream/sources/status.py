"""State of a source at one moment."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from ssa_stream.errors import SourceErrorCode

__all__ = ["OnState", "SourceLosses", "SourceStage", "SourceStatus", "losses_of"]


class SourceLosses(NamedTuple):
    """Counts since the source was opened.

    Attributes:
        missing_frames: Frames that never came, by the holes in the written times. An estimate: it takes a steady rate
            for granted.
        corrupt_packets: Packets that could not be decoded.
        damaged_frames: Frames that were decoded with parts missing; they are delivered all the same.
        backlog_frames: Frames that piled up before the connection was ready; they are old, so they are not delivered.
        repeated_frames: Frames that an earlier connection delivered already; they are not delivered again.
        failed_frames: Frames that were decoded but could not be converted; they are not delivered.
    """

    missing_frames: int = 0
    corrupt_packets: int = 0
    damaged_frames: int = 0
    backlog_frames: int = 0
    repeated_frames: int = 0
    failed_frames: int = 0

    @property
    def undelivered(self) -> dict[str, int]:
        """Frames that were decoded and not delivered, by the reason; see `DropReason`."""
        counts = {"backlog": self.backlog_frames, "repeated": self.repeated_frames, "failed": self.failed_frames}
        return {reason: count for reason, count in counts.items() if count}

    def plus(self, other: "SourceLosses") -> "SourceLosses":
        """Return the sum."""
        return SourceLosses(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


_NOTHING_LOST = SourceLosses()


def losses_of(source: object) -> SourceLosses:
    """What a source lost so far; one that has no `losses`, such as a plug-in, or fails at them, cannot tell."""
    try:
        losses = getattr(source, "losses", _NOTHING_LOST)
    except Exception:  # of somebody else's code, which must not end what can be delivered
        return _NOTHING_LOST
    is_one = isinstance(losses, SourceLosses) and all(isinstance(count, int) for count in losses)
    return losses if is_one else _NOTHING_LOST


class SourceStage(StrEnum):
    """Where a source is in its life."""

    CONNECTING = "connecting"
    """It has not delivered anything yet."""
    LIVE = "live"
    STALLED = "stalled"
    """It is silent; its connection is kept for a while."""
    RECONNECTING = "reconnecting"
    """It was live and is lost; a new connection is being made or waited for."""
    ENDED = "ended"
    """It came to its end or was closed."""
    FAILED = "failed"
    """It is lost for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """State of a source.

    Attributes:
        stage: Where it is in its life.
        since_s: When it got there, on the source's own clock; see `AwakeClock`.
        epoch: Of the newest frame; None before the first one.
        code: What is wrong, for programs; None if nothing is.
        text: What is wrong, for people, without secrets; empty if nothing is.
        attempt: Attempts to connect since the last frame; while live, how many it took.
        retry_in_s: Seconds from `since_s` to the next attempt; None if none is being waited for.
        connections: Connections that delivered frames so far.
        frames: Frames delivered, over all connections.
        overtaken: Frames that a newer one replaced before anybody took them.
        losses: What was lost on the way, over all connections.
        outage_s: From the last frame before the newest loss to the first one after it; None if nothing was lost yet,
            or it still is.
    """

    stage: SourceStage
    since_s: float
    epoch: int | None = None
    code: SourceErrorCode | None = None
    text: str = ""
    attempt: int = 0
    retry_in_s: float | None = None
    connections: int = 0
    frames: int = 0
    overtaken: int = 0
    losses: SourceLosses = _NOTHING_LOST
    outage_s: float | None = None


OnState = Callable[[SourceStatus], None]
"""Hears of every change of state, in the thread that watches the source; must return soon."""
