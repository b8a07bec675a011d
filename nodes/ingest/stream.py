"""The state of one ingest node that all its tasks share, and how it is reported."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import structlog
from msgspec import UNSET

from ssa_stream.addresses import is_live_address
from ssa_stream.client.graph_state import ENDED, FAILED, RECEIVED
from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.nodes.ingest.change_condition import ChangeCondition
from ssa_stream.nodes.ingest.dispatcher import StreamRules
from ssa_stream.nodes.ingest.tracker import InFlightTracker
from ssa_stream.nodes.pipeline import StreamSection
from ssa_stream.nodes.runtime.broker_link import BrokerLink
from ssa_stream.nodes.runtime.logs import LogLimit
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.printable import printable, printable_lines
from ssa_stream.protocols import DropCount, DropReason, EventKind, PromptState, SourceState, StartStream
from ssa_stream.rates import RateMeter
from ssa_stream.sources import SourceInfo, SourceStatus, redact
from ssa_stream.sources.source import Completion
from ssa_stream.streaming.prompts import PromptBook
from ssa_stream.texts import encodable

__all__ = ["IngestStream", "SourceFailure"]

_LOG = structlog.get_logger()
_MAX_ADDRESS, _MAX_NOTE, _MAX_RATE_HZ = 2000, 1000, 1e6
_SILENT = {"stopped", "lost", ENDED, FAILED}
"""What a source says of which nothing comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFailure:
    """What is wrong with a source, whether or not it recovers by itself, and what is done about it.

    Attributes:
        text: For people; empty if nothing is wrong.
        code: For programs; None if nothing is wrong.
        attempt: Attempts to connect since the last frame.
        retry_in_s: From now to the next one; None if none is waited for.
    """

    text: str = ""
    code: SourceErrorCode | None = None
    attempt: int = 0
    retry_in_s: float | None = None

    @classmethod
    def of_status(cls, status: SourceStatus) -> Self:
        """Of a source that has just told how it fares."""
        return cls(text=status.text, code=status.code, attempt=status.attempt, retry_in_s=status.retry_in_s)

    @classmethod
    def of_error(cls, error: Exception, attempt: int, retry_in_s: float | None = None) -> Self:
        """Of a source that broke."""
        code = error.code if isinstance(error, SourceError) else SourceErrorCode.OTHER
        return cls(text=encodable(str(error)), code=code, attempt=attempt, retry_in_s=retry_in_s)


_NO_FAILURE = SourceFailure()


class IngestStream:
    """One stream as its ingest node sees it.

    Args:
        section: The stream in the pipeline.
        rules: What its tracker follows.
        broker: Where it tells of itself.
        metrics: Where it counts.
        now_ns: The clock of the rules.

    Attributes:
        section: See there.
        rules: See there.
        changed: Notified of every change.
        rate: How fast frames come from the source, those included that are overtaken.
        address: Of the source, as the user gave it.
        live: Whether the source is; before it is open, whether it looks so.
        status: Of the source, as in `SourceState`.
    """

    def __init__(
        self,
        section: StreamSection,
        rules: StreamRules,
        *,
        broker: BrokerLink,
        metrics: NodeMetrics,
        now_ns: Callable[[], int],
    ) -> None:
        self.section, self.rules = section, rules
        self.changed = ChangeCondition()
        self.rate = RateMeter()
        self.address = section.source
        self.live = is_live_address(section.source, section.live)
        self.status, self._failure, self._retry_at_ns = "starting", _NO_FAILURE, 0
        self._broker, self._metrics, self._now_ns = broker, metrics, now_ns
        self._tracker: InFlightTracker | None = None
        self._is_by_client = False
        self._drops: Counter[str] = Counter()
        self._size: tuple[int, int] | None = None
        self._complete_at: Completion | None = None
        self._log_limit = LogLimit()  # of what clients cause

    @property
    def is_started(self) -> bool:
        """Whether the broker said where the stream begins."""
        return self._tracker is not None

    @property
    def tracker(self) -> InFlightTracker:
        """The books, once the stream is started."""
        assert self._tracker is not None, "nothing happens before the stream is started"
        return self._tracker

    @property
    def is_every_frame(self) -> bool:
        """Whether no frame may be lost."""
        return not self.live if self.section.flow == "auto" else self.section.flow == "every_frame"

    def start(self, start: StartStream) -> None:
        """Begin, or go on where an earlier start of the node was."""
        self._tracker = InFlightTracker(self.rules, start)
        self._tracker.every_frame = self.is_every_frame
        self.publish_prompts()
        self.changed.notify()

    def opened(self, info: SourceInfo, rate: RateMeter) -> None:
        """The source is open; the meter sees each of its frames."""
        self.live, self.rate = info.live, rate
        self._size = info.size or self._size
        self.tracker.every_frame = self.is_every_frame

    def came(self, size: tuple[int, int], complete_at: Completion | None) -> None:
        """A frame of the source was admitted."""
        self._size, self._complete_at = size, complete_at
        self.changed.notify()

    def set_status(self, status: str, failure: SourceFailure = _NO_FAILURE) -> None:
        """Say how the source fares."""
        self.status, self._failure = status, failure
        if status in _SILENT:
            self.rate.reset()
        if failure.retry_in_s is not None:
            self._retry_at_ns = self._now_ns() + round(failure.retry_in_s * 1e9)
        self.changed.notify()

    def is_tried_again(self, attempt: int) -> None:
        """What was waited for begins; what was wrong stays said until it is known to be over."""
        self.set_status(self.status, replace(self._failure, attempt=attempt, retry_in_s=None))

    def set_book(self, book: PromptBook, *, by_client: bool = False) -> None:
        """Let these be the prompts, and tell everybody.

        Args:
            book: The prompts.
            by_client: Whether a client asked for them.
        """
        tracker = self.tracker
        tracker.set_book(book)
        first = tracker.applies_from
        self._is_by_client = by_client
        self.publish_prompts()
        self.event(EventKind.PROMPTS_CHANGED, epoch=first.epoch, seq=first.seq, prompts_version=book.version)
        self.changed.notify()

    def publish_prompts(self) -> None:
        """Tell which prompts there are."""
        tracker = self.tracker
        self._broker.publish(
            PromptState(
                stream=self.rules.stream,
                prompts=tracker.prompts,
                version=tracker.book.version,
                applies_from=tracker.applies_from,
                by_client=self._is_by_client or UNSET,
            )
        )

    def lost(self, reason: DropReason, frames: int) -> None:
        """Count frames that get no masks."""
        if frames:
            self._drops[str(reason)] += frames
            self._metrics.dropped(self.rules.stream, reason, frames)

    def passed_over(self, reason: DropReason, frames: int) -> None:
        """Count frames that came from the source and get no masks; here, where they are lost."""
        self.received(frames)
        self.lost(reason, frames)

    def received(self, frames: int) -> None:
        """Count frames that came from the source and are done with, whatever became of them.

        Those that are under way are not in it: if this node is started again they are read again.
        """
        if frames:
            self._metrics.count(RECEIVED, frames, self.rules.stream)

    def event(self, kind: EventKind, *, severity: Literal["info", "warning", "error"] = "info", **fields: Any) -> None:
        """Tell that something happened; fields are those of `Event`. Of each kind one a second is logged."""
        if "text" in fields:
            fields["text"] = redact(fields["text"])
        # Clients can cause all kinds. What has failed for good is not left out because of a try before it.
        left_out = self._log_limit.due(f"{kind} {severity}")
        if left_out is not None:
            more = {"left_out": left_out} if left_out else {}
            log = {"info": _LOG.info, "warning": _LOG.warning, "error": _LOG.error}[severity]
            log(str(kind), stream=self.rules.stream, **fields, **more)
        self._broker.event(kind, stream=self.rules.stream, severity=severity, **fields)

    def epoch_began(self, text: str, **fields: Any) -> None:
        """Tell that a new epoch began."""
        self.event(EventKind.EPOCH, epoch=self.tracker.epoch, seq=0, text=text, **fields)

    def source_state(self) -> SourceState:
        """What is known of the source now; enough to start the node again where it is."""
        tracker, failure, now_ns = self.tracker, self._failure, self._now_ns()
        rate_hz = self.rate.rate_hz(now_ns)
        return SourceState(
            stream=self.rules.stream,
            status=self.status,
            epoch=tracker.epoch,
            at_ns=now_ns,
            clock=self.rules.clock,
            live=self.live,
            flow="every_frame" if tracker.every_frame else "freshest",
            address=printable(redact(self.address))[:_MAX_ADDRESS],
            size=self._size,
            rate_hz=min(rate_hz, _MAX_RATE_HZ) if rate_hz else None,
            frames=tracker.next_seq,
            text=printable_lines(redact(failure.text))[:_MAX_NOTE],
            memory=tracker.memory,
            next_index=tracker.resume_index,
            frames_done=tracker.frames_done,
            next_prompt_number=tracker.book.next_number,
            drops=tuple(
                DropCount(stream=self.rules.stream, reason=reason, count=count) for reason, count in self._drops.items()
            ),
            code=failure.code,
            attempt=failure.attempt,
            retry_in_s=None if failure.retry_in_s is None else max(0.0, (self._retry_at_ns - now_ns) / 1e9),
            complete_at=self._complete_at or UNSET,
        )
