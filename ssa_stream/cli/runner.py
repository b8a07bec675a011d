"""The loop behind `ssa-stream run`: a source through a session into a sink."""

import statistics
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ssa_stream.cli.views.terminal import Interrupts
from ssa_stream.found_frames import FoundFrames
from ssa_stream.input_warnings import InputWarning, source_warnings
from ssa_stream.overload import OUTPUTS, Load, OverloadWatch, overload_text, remedies
from ssa_stream.rates import RATE_SPAN_S, RateMeter, latencies_of_changes, latencies_of_frames
from ssa_stream.sinks import FrameTimes, Sink
from ssa_stream.sinks.group import OutputReport
from ssa_stream.sources import Frame, Freshest, Prefetch, Source
from ssa_stream.streaming import MaskResult

if TYPE_CHECKING:
    from ssa_stream.streaming import ReferSession

__all__ = ["PromptChange", "RunReport", "paced", "run_stream"]

_RECENT_FRAMES = 60
_RECENT_NS = round(RATE_SPAN_S * 1e9)
_DROPPING_S = 15.0
"""Frames are dropped in bursts where a step takes seconds."""


@dataclass(frozen=True, slots=True)
class PromptChange:
    """Prompts that replace the present ones from a stream time on."""

    at_s: float
    prompts: tuple[str, ...]


@dataclass(slots=True)
class RunReport:
    """Figures of a run, kept up to date while it goes on.

    Attributes:
        read: Frames that came from the source.
        frames: Frames that went through the model.
        masked: Frames whose final masks were written. When the run has ended, the frames that were read are those with
            masks and those that were dropped.
        drops: Frames without masks, by reason: `overtaken` by a newer frame of a live source, `unprocessed` when the
            run ended before their turn, and those that the source did not deliver, see `SourceLosses.undelivered`.
        warnings: What is known to be incomplete of the source and the prompts.
        results: Results written.
        with_target: Final results that had a target.
        found: The same by prompt, with the number of its frames.
        elapsed_s: From the first frame's arrival to now.
        overload: Why frames of a live source are dropped steadily; empty if they are not.
        latencies_ms: From capture (live) or from reading (file) to results, newest frames.
        prompt_to_mask_ms: For each prompt change, from the change to the first results under it; newest changes.
        interrupted: Whether Ctrl-C ended it.
        failure: What broke, for people; empty if nothing did.
        outputs: What became of each output.
    """

    read: int = 0
    frames: int = 0
    masked: int = 0
    drops: Counter[str] = field(default_factory=Counter)
    warnings: list[InputWarning] = field(default_factory=list)
    results: int = 0
    with_target: int = 0
    found: FoundFrames = field(default_factory=FoundFrames)
    elapsed_s: float = 0.0
    overload: str = ""
    latencies_ms: deque[float] = field(default_factory=latencies_of_frames)
    prompt_to_mask_ms: deque[float] = field(default_factory=latencies_of_changes)
    interrupted: bool = False
    failure: str = ""
    outputs: list[OutputReport] = field(default_factory=list)
    _rate: RateMeter = field(default_factory=RateMeter)
    _recent: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_RECENT_FRAMES))

    @property
    def dropped(self) -> int:
        """Frames without masks, without those that the run was ended before."""
        return self.drops.total() - self.drops["unprocessed"]

    @property
    def fps(self) -> float:
        """Frames per second so far."""
        return self.frames / self.elapsed_s if self.elapsed_s > 0 else 0.0

    def recent_fps(self, now_ns: int) -> float:
        """Frames with masks per second over the last few seconds; may be asked from another thread."""
        return self._rate.rate_hz(now_ns) or 0.0

    def recent_latency_ms(self, now_ns: int) -> float | None:
        """Median latency of the newest frames; None while none get masks. May be asked from another thread."""
        if not self._rate.rate_hz(now_ns):
            return None
        recent = tuple(self._recent)
        return statistics.median(
            [latency for at_ns, latency in recent if now_ns - at_ns <= _RECENT_NS]
            or [latency for _, latency in recent[-1:]]
            or [0.0]
        )

    def masks_came(self, at_ns: int, latency_ms: float | None) -> None:
        """Count a frame that got its final masks."""
        self.masked += 1
        self._rate.saw_one(at_ns)
        if latency_ms is not None:
            self.latencies_ms.append(latency_ms)
            self._recent.append((at_ns, latency_ms))

    def latency_ms(self, percentile: float) -> float:
        """A percentile (0..100) of the latencies; 0 before the first frame."""
        return float(np.percentile(self.latencies_ms, percentile)) if self.latencies_ms else 0.0

    def count(self, source: Freshest | Prefetch) -> None:
        """Take over what the source and its buffer counted."""
        undelivered = Counter(source.losses.undelivered)
        self.read = source.buffer.received + undelivered.total()
        self.drops = undelivered + Counter({"overtaken": source.buffer.overtaken})

    def close(self, source: Freshest | Prefetch) -> None:
        """The run has ended: what was read and is still waiting will not be processed."""
        self.count(source)
        self.drops += Counter({"unprocessed": self.read - self.drops.total() - self.frames})

    def to_mapping(self) -> dict[str, object]:
        """Plain values, for JSON; names are those of `ssa-stream up --json`."""
        return {
            "read": self.read,
            "frames": self.masked,
            "drops": dict(self.drops),
            "with_target": self.with_target,
            "prompts": self.found.to_list(),
            "elapsed_s": round(self.elapsed_s, 3),
            "fps": round(self.fps, 3),
            "latency_p50_ms": round(self.latency_ms(50), 2),
            "latency_p95_ms": round(self.latency_ms(95), 2),
            "prompt_to_mask_ms": [round(value, 2) for value in self.prompt_to_mask_ms],
            "warnings": [warning.to_mapping() for warning in self.warnings],
            "interrupted": self.interrupted,
            "failure": self.failure,
            "outputs_failed": {output.name: output.failure for output in self.outputs if output.failure},
        }


def paced(source: Source) -> Freshest | Prefetch:
    """Read a live source freshest-first, anything else completely and ahead of the model."""
    return Freshest(source) if source.info.live else Prefetch(source)


def run_stream(
    source: Freshest | Prefetch,
    session: "ReferSession",
    sink: Sink,
    *,
    changes: Sequence[PromptChange] = (),
    max_frames: int | None = None,
    on_frame: Callable[[RunReport], None] = lambda report: None,
    on_warning: Callable[[InputWarning], None] = lambda warning: None,
    on_overload: Callable[[str], None] = lambda text: None,
    report: RunReport | None = None,
) -> RunReport:
    """Run until the source ends, `max_frames` is reached or Ctrl-C; every result made is written.

    Args:
        source: See `paced`; closed at the end.
        session: Fresh, with its first prompts.
        sink: Written to, not closed.
        changes: Prompt changes, any order.
        max_frames: Frames to take; None for all.
        on_frame: Called after each frame.
        on_warning: Called with each warning as soon as it is known.
        on_overload: Called when a live source begins to be too much, with the reason, and with an empty text when that
            has ended.
        report: Kept up to date; complete at the end, also when an error is raised. None makes a new one.
    Raises:
        SourceError: The source broke. What came before is written.
        SinkError: No output can be written any more.
    """
    cv2.setNumThreads(1)  # pictures of a stream are small; OpenCV's own threads only take cores from the model
    run = _Run(session, sink, on_warning, report or RunReport(), is_live=source.info.live)
    run.warn(session.warnings)
    due = deque(sorted(changes, key=lambda change: change.at_s))
    try:
        with Interrupts() as interrupts, source:
            try:
                for frame in _frames(source, interrupts, max_frames):
                    while due and frame.t >= due[0].at_s:
                        run.change_prompts(due.popleft().prompts)
                    run.take(frame)
                    run.report.count(source)
                    if run.look(source):
                        on_overload(run.report.overload)
                    on_frame(run.report)
            finally:
                run.finish()
                run.report.interrupted = interrupts.requested
    finally:
        run.report.close(source)
        run.warn(source_warnings(source, source.info.name))
    return run.report


def _frames(source: Source, interrupts: Interrupts, max_frames: int | None) -> Iterator[Frame]:
    """The source's frames until a limit or a signal; only the wait for a frame can be interrupted."""
    frames, taken = source.frames(), 0
    while not interrupts.requested and taken != max_frames:
        frame = interrupts.cut_short(lambda: next(frames, None))
        if frame is None:
            return
        taken += 1
        yield frame


class _Run:
    """Frames that wait for their results, and the figures."""

    def __init__(
        self,
        session: "ReferSession",
        sink: Sink,
        on_warning: Callable[[InputWarning], None],
        report: RunReport,
        *,
        is_live: bool,
    ) -> None:
        self.report = report
        self._on_warning = on_warning
        self._session = session
        self._sink = sink
        self._is_live = is_live
        self._waiting: dict[int, tuple[Frame, FrameTimes]] = {}
        self._last: Frame | None = None
        self._started_ns = 0
        self._changed_at_ns: int | None = None
        self._outputs_s = 0.0
        self._watch = OverloadWatch()
        self._dropping = RateMeter(_DROPPING_S)
        self._busy: dict[str, RateMeter] = {}

    def look(self, source: Freshest | Prefetch) -> bool:
        """Judge whether the stream is too much, after a frame; returns whether that has changed."""
        now_ns, report, session = time.monotonic_ns(), self.report, self._session
        if not self._is_live:
            return False
        for stage, seconds in {**session.stage_seconds, OUTPUTS: self._outputs_s}.items():
            self._busy.setdefault(stage, RateMeter()).saw(seconds, now_ns)
        self._dropping.saw(report.drops["overtaken"], now_ns)
        load = Load(
            source_hz=source.buffer.rate.rate_hz(now_ns) or 0.0,
            masks_hz=report.recent_fps(now_ns),
            is_dropping=bool(self._dropping.rate_hz(now_ns)),
            busy={stage: min(1.0, meter.rate_hz(now_ns) or 0.0) for stage, meter in self._busy.items()},
            has_one_thread=True,
        )
        has_changed = self._watch.look(load, now_ns)
        helps = remedies(
            load.stage,
            device=session.device.type,
            dtype=str(session.dtype).removeprefix("torch."),
            prompts=len(session.prompts),
            is_run=True,
        )
        report.overload = overload_text(load, helps) if self._watch.is_overloaded else ""
        return has_changed

    def change_prompts(self, prompts: Sequence[str]) -> None:
        self._changed_at_ns = time.monotonic_ns()
        self.warn(self._session.set_prompts(prompts).warnings)

    def warn(self, warnings: Iterable[InputWarning]) -> None:
        for warning in warnings:
            self.report.warnings.append(warning)
            self._on_warning(warning)

    def take(self, frame: Frame) -> None:
        begin_ns = time.monotonic_ns()
        self._started_ns = self._started_ns or begin_ns
        last, self._last = self._last, frame
        # A source that was away and came back goes on in time: whether that was too long is for the session to say.
        if last is not None and last.epoch != frame.epoch and not frame.continues(last):
            self._write(self._session.flush(), time.monotonic_ns())
            self._session.reset()
        times = FrameTimes(
            captured_at_ns=frame.t_capture_ns if self._is_live else None,
            received_at_ns=frame.t_receive_ns if self._is_live else begin_ns,
        )
        self._waiting[self._session.next_index] = (frame, times)
        results = self._session.push(frame.image, frame.t, pixel_aspect=frame.pixel_aspect)
        done_ns = time.monotonic_ns()
        if results and self._changed_at_ns is not None:
            self.report.prompt_to_mask_ms.append((done_ns - self._changed_at_ns) / 1e6)
            self._changed_at_ns = None
        self._write(results, done_ns, model_ms=(done_ns - begin_ns) / 1e6)
        self.report.frames += 1
        self.report.elapsed_s = (time.monotonic_ns() - self._started_ns) / 1e9

    def finish(self) -> None:
        """Write what lookahead held back."""
        self._write(self._session.flush(), time.monotonic_ns())

    def _write(self, results: Sequence[MaskResult], done_ns: int, model_ms: float | None = None) -> None:
        """Write results frame by frame, each frame's provisional and final ones apart."""
        groups: dict[tuple[int, str], list[MaskResult]] = {}
        for result in results:
            groups.setdefault((result.frame_index, result.status), []).append(result)
        for (index, status), group in groups.items():
            frame, begun = self._waiting[index]
            times = FrameTimes(begun.captured_at_ns, begun.received_at_ns, done_ns, model_ms)
            begin_ns = time.monotonic_ns()
            self._sink.write(frame, group, times)
            self._outputs_s += (time.monotonic_ns() - begin_ns) / 1e9
            self.report.results += len(group)
            if status == "final":
                self.report.masks_came(done_ns, times.latency_ms)
                self.report.with_target += sum(result.target_present for result in group)
                for result in group:
                    self.report.found.count(result.prompt_id, result.prompt, has_target=result.target_present)
        due = [index for index, status in groups if status == "final"]
        for index in [i for i in self._waiting if due and i <= max(due)]:
            del self._waiting[index]
