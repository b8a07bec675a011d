"""The state of one ingest node that all its tasks share, and how it tells of it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import structlog

from ssa_stream.nodes.intake.addresses import is_live_address
from ssa_stream.nodes.intake.changes import Changes
from ssa_stream.nodes.intake.ledger import FrameLedger
from ssa_stream.nodes.intake.rate import RateMeter
from ssa_stream.nodes.intake.rules import StreamRules
from ssa_stream.nodes.intake.trouble import NO_TROUBLE, Trouble
from ssa_stream.nodes.pipeline import StreamSection
from ssa_stream.nodes.runtime.hub_link import HubLink
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.protocols import DropCount, DropReason, EventKind, PromptState, SourceState, StartStream
from ssa_stream.sources import SourceInfo, redact
from ssa_stream.streaming.prompts import PromptBook

__all__ = ["IntakeStream"]

_LOG = structlog.get_logger()
_MAX_ADDRESS, _MAX_NOTE, _MAX_RATE_HZ = 2000, 1000, 1e6


class IntakeStream:
    """One stream as its ingest node sees it.

    Args:
        section: The stream in the pipeline.
        rules: What its ledger follows.
        hub: Where it tells of itself.
        metrics: Where it counts.
        now_ns: The clock of the rules.

    Attributes:
        section: See there.
        rules: See there.
        changes: Notified of every change.
        rate: How fast frames come.
        address: Of the source, as the user gave it.
        live: Whether the source is; before it is open, whether it looks so.
        status: Of the source, as in `SourceState`.
    """

    def __init__(
        self,
        section: StreamSection,
        rules: StreamRules,
        *,
        hub: HubLink,
        metrics: NodeMetrics,
        now_ns: Callable[[], int],
    ) -> None:
        self.section, self.rules = section, rules
        self.changes = Changes()
        self.rate = RateMeter()
        self.address = section.source
        self.live = is_live_address(section.source, section.live)
        self.status, self._trouble, self._retry_at_ns = "starting", NO_TROUBLE, 0
        self._hub, self._metrics, self._now_ns = hub, metrics, now_ns
        self._ledger: FrameLedger | None = None
        self._drops: Counter[str] = Counter()
        self._size: tuple[int, int] | None = None
        self._nominal_hz: float | None = None

    @property
    def is_started(self) -> bool:
        """Whether control said where the stream begins."""
        return self._ledger is not None

    @property
    def ledger(self) -> FrameLedger:
        """The books, once the stream is started."""
        assert self._ledger is not None, "nothing happens before the stream is started"
        return self._ledger

    @property
    def is_every_frame(self) -> bool:
        """Whether no frame may be lost."""
        return not self.live if self.section.flow == "auto" else self.section.flow == "every_frame"

    def start(self, start: StartStream) -> None:
        """Begin, or go on where an earlier start of the node was."""
        self._ledger = FrameLedger(self.rules, start)
        self._ledger.every_frame = self.is_every_frame
        self.publish_prompts()
        self.changes.notify()

    def opened(self, info: SourceInfo) -> None:
        """The source is open."""
        self.live, self._nominal_hz = info.live, info.fps
        self._size = info.size or self._size
        self.ledger.every_frame = self.is_every_frame
        self.rate.reset()

    def came(self, size: tuple[int, int], received_ns: int) -> None:
        """A frame of the source was admitted."""
        self._size = size
        self.rate.saw(self.ledger.source_count, received_ns)
        self.changes.notify()

    def set_status(self, status: str, trouble: Trouble = NO_TROUBLE) -> None:
        """Say how the source fares."""
        self.status, self._trouble = status, trouble
        if trouble.retry_in_s is not None:
            self._retry_at_ns = self._now_ns() + round(trouble.retry_in_s * 1e9)
        self.changes.notify()

    def is_tried_again(self, attempt: int) -> None:
        """What was waited for begins; what was wrong stays said until it is known to be over."""
        self.set_status(self.status, replace(self._trouble, attempt=attempt, retry_in_s=None))

    def set_book(self, book: PromptBook) -> None:
        """Let these be the prompts, and tell everybody."""
        ledger = self.ledger
        ledger.set_book(book)
        first = ledger.applies_from
        self.publish_prompts()
        self.event(EventKind.PROMPTS_CHANGED, epoch=first.epoch, seq=first.seq, prompts_version=book.version)
        self.changes.notify()

    def publish_prompts(self) -> None:
        """Tell which prompts there are."""
        ledger = self.ledger
        self._hub.publish(
            PromptState(
                stream=self.rules.stream,
                prompts=ledger.prompts,
                version=ledger.book.version,
                applies_from=ledger.applies_from,
            )
        )

    def lost(self, reason: DropReason, frames: int) -> None:
        """Count frames that get no masks."""
        if frames:
            self._drops[str(reason)] += frames
            self._metrics.dropped(self.rules.stream, reason, frames)

    def received(self, frames: int) -> None:
        """Count frames that came from the source, whatever becomes of them."""
        if frames:
            self._metrics.count("frames_received", frames, self.rules.stream)

    def event(self, kind: EventKind, *, severity: Literal["info", "warning", "error"] = "info", **fields: Any) -> None:
        """Tell that something happened; fields are those of `Event`."""
        if "text" in fields:
            fields["text"] = redact(fields["text"])
        log = {"info": _LOG.info, "warning": _LOG.warning, "error": _LOG.error}[severity]
        log(str(kind), stream=self.rules.stream, **fields)
        self._hub.event(kind, stream=self.rules.stream, severity=severity, **fields)

    def epoch_began(self, text: str, **fields: Any) -> None:
        """Tell that a new epoch began."""
        self.event(EventKind.EPOCH, epoch=self.ledger.epoch, seq=0, text=text, **fields)

    def source_state(self) -> SourceState:
        """What is known of the source now; enough to start the node again where it is."""
        ledger, trouble, now_ns = self.ledger, self._trouble, self._now_ns()
        rate_hz = self.rate.rate_hz or self._nominal_hz
        return SourceState(
            stream=self.rules.stream,
            status=self.status,
            epoch=ledger.epoch,
            at_ns=now_ns,
            clock=self.rules.clock,
            live=self.live,
            flow="every_frame" if ledger.every_frame else "freshest",
            address=redact(self.address)[:_MAX_ADDRESS],
            size=self._size,
            rate_hz=min(rate_hz, _MAX_RATE_HZ) if rate_hz and rate_hz > 0 else None,
            frames=ledger.next_seq,
            text=redact(trouble.text)[:_MAX_NOTE],
            memory=ledger.memory,
            next_index=ledger.resume_index,
            frames_done=ledger.frames_done,
            next_prompt_number=ledger.book.next_number,
            drops=tuple(
                DropCount(stream=self.rules.stream, reason=reason, count=count) for reason, count in self._drops.items()
            ),
            code=trouble.code,
            attempt=trouble.attempt,
            retry_in_s=None if trouble.retry_in_s is None else max(0.0, (self._retry_at_ns - now_ns) / 1e9),
        )
