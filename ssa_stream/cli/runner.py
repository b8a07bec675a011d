"""The loop behind `ssa-stream run`: a source through a session into a sink."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import cv2
import numpy as np

from ssa_stream.cli.views.terminal import Interrupts
from ssa_stream.sinks import FrameTimes, Sink
from ssa_stream.sources import Frame, Freshest, Prefetch, Source
from ssa_stream.streaming import MaskResult, ReferSession

__all__ = ["PromptChange", "RunReport", "paced", "run_stream"]

_KEPT_LATENCIES = 100_000
_RECENT_FRAMES = 60


@dataclass(frozen=True, slots=True)
class PromptChange:
    """Prompts that replace the present ones from a stream time on."""

    at_s: float
    prompts: tuple[str, ...]


@dataclass(slots=True)
class RunReport:
    """Figures of a run, kept up to date while it goes on.

    Attributes:
        frames: Frames that went through the model.
        dropped: Frames of a live source that a newer one overtook.
        results: Results written.
        with_target: Final results that had a target.
        elapsed_s: From the first frame's arrival to now.
        latencies_ms: From capture (live) or from reading (file) to results, newest frames.
        prompt_to_mask_ms: For each prompt change, from the change to the first results under it.
        interrupted: Whether Ctrl-C ended it.
    """

    frames: int = 0
    dropped: int = 0
    results: int = 0
    with_target: int = 0
    elapsed_s: float = 0.0
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_LATENCIES))
    prompt_to_mask_ms: list[float] = field(default_factory=list)
    interrupted: bool = False

    @property
    def fps(self) -> float:
        """Frames per second so far."""
        return self.frames / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def recent_latency_ms(self) -> float:
        """Median latency of the last frames; 0 before the first one."""
        recent = list(islice(reversed(self.latencies_ms), _RECENT_FRAMES))
        return statistics.median(recent) if recent else 0.0

    def latency_ms(self, percentile: float) -> float:
        """A percentile (0..100) of the latencies; 0 before the first frame."""
        return float(np.percentile(self.latencies_ms, percentile)) if self.latencies_ms else 0.0


def paced(source: Source) -> Freshest | Prefetch:
    """Read a live source freshest-first, anything else completely and ahead of the model."""
    return Freshest(source) if source.info.live else Prefetch(source)


def run_stream(
    source: Freshest | Prefetch,
    session: ReferSession,
    sink: Sink,
    *,
    changes: Sequence[PromptChange] = (),
    max_frames: int | None = None,
    on_frame: Callable[[RunReport], None] = lambda report: None,
) -> RunReport:
    """Run until the source ends, `max_frames` is reached or Ctrl-C; every result made is written.

    Args:
        source: See `paced`; closed at the end.
        session: Fresh, with its first prompts.
        sink: Written to, not closed.
        changes: Prompt changes, any order.
        max_frames: Frames to take; None for all.
        on_frame: Called after each frame.
    Raises:
        SourceError: The source broke. What came before is written.
        SinkError: No output can be written any more.
    """
    cv2.setNumThreads(1)  # pictures of a stream are small; OpenCV's own threads only take cores from the model
    run = _Run(session, sink, is_live=source.info.live)
    due = deque(sorted(changes, key=lambda change: change.at_s))
    with Interrupts() as interrupts, source:
        try:
            for frame in _frames(source, interrupts, max_frames):
                while due and frame.t >= due[0].at_s:
                    run.change_prompts(due.popleft().prompts)
                run.take(frame)
                run.report.dropped = source.dropped if isinstance(source, Freshest) else 0
                on_frame(run.report)
        finally:
            run.finish()
        run.report.interrupted = interrupts.requested
    return run.report


def _frames(source: Source, interrupts: Interrupts, max_frames: int | None) -> Iterator[Frame]:
    """The source's frames until a limit or a signal; only the wait for a frame can be interrupted."""
    frames, taken = source.frames(), 0
    while not interrupts.requested and taken != max_frames:
        frame = None
        with interrupts.cut_short():
            frame = next(frames, None)
        if frame is None:
            return
        taken += 1
        yield frame


class _Run:
    """Frames that wait for their results, and the figures."""

    def __init__(self, session: ReferSession, sink: Sink, *, is_live: bool) -> None:
        self.report = RunReport()
        self._session = session
        self._sink = sink
        self._is_live = is_live
        self._waiting: dict[int, tuple[Frame, FrameTimes]] = {}
        self._last: Frame | None = None
        self._started_ns = 0
        self._changed_at_ns: int | None = None

    def change_prompts(self, prompts: Sequence[str]) -> None:
        self._changed_at_ns = time.monotonic_ns()
        self._session.set_prompts(prompts)

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
            self._sink.write(frame, group, times)
            self.report.results += len(group)
            if status == "final":
                self.report.with_target += sum(result.target_present for result in group)
                if times.latency_ms is not None:
                    self.report.latencies_ms.append(times.latency_ms)
        due = [index for index, status in groups if status == "final"]
        for index in [i for i in self._waiting if due and i <= max(due)]:
            del self._waiting[index]
