"""What `ssa-stream run` shows on stderr: a live line, how a live source is, and a summary."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, SpinnerColumn, Task, TaskProgressColumn
from rich.text import Text

from ssa_stream.cli.views.console import errors, moving_progress, notice, shows_progress
from ssa_stream.cli.views.source_words import frame_counts, latency_words, speed_words
from ssa_stream.log_lines import is_logged, log_settings
from ssa_stream.sources import Recovering, Source, SourceStage, SourceStatus

if TYPE_CHECKING:
    from ssa_stream.cli.runner import RunReport

__all__ = [
    "live_line",
    "print_connections",
    "print_overload",
    "print_source_status",
    "print_summary",
    "source_line",
]


class OnFrame(Protocol):
    """Called after each frame."""

    def __call__(self, report: "RunReport") -> None:
        """Show the figures."""


def _figures(report: "RunReport") -> str:
    now_ns = time.monotonic_ns()
    fps, latency = report.recent_fps(now_ns), latency_words(report.recent_latency_ms(now_ns))
    # Nothing is judged while nothing comes: what was said before is not so any more.
    return f"{fps:5.1f} fps  latency {latency}  dropped {report.dropped}" + (
        "  overloaded" if report.overload and fps else ""
    )


class _FiguresColumn(ProgressColumn):
    """Figures as they are when they are drawn, several times a second: no frame need come for them to change."""

    def render(self, task: Task) -> Text:
        """The figures of the report in the task's field `report`."""
        report = task.fields.get("report")
        return Text("" if report is None else _figures(report))


@contextmanager
def live_line(total_frames: int | None, *, quiet: bool) -> Iterator[OnFrame]:
    """Show progress on stderr: one live line on a terminal, nothing otherwise.

    Args:
        total_frames: None when the stream has no known end.
        quiet: Show nothing.
    """
    if quiet or not shows_progress():
        yield lambda report: None
        return
    columns = (SpinnerColumn(), MofNCompleteColumn(), BarColumn(), TaskProgressColumn(), _FiguresColumn())
    with moving_progress(*columns) as progress:
        task = progress.add_task("run", total=total_frames, report=None)
        yield lambda report: progress.update(task, completed=report.frames, report=report)


def print_summary(report: "RunReport") -> None:
    """Print a run's figures and where its files are, on stderr."""
    if not is_logged("info"):
        return
    if log_settings().format == "json":
        figures: dict[str, Any] = report.to_mapping()
        notice(report.failure or "done", event="summary", **figures)
        return
    console = errors()
    ended = "ended by Ctrl-C" if report.interrupted else "ended by an error" if report.failure else "done"
    latencies_ms = report.latency_ms(50), report.latency_ms(95)
    speed = speed_words(report.frames, report.elapsed_s, report.fps, latencies_ms)
    console.print(f"{ended}: {speed}, {report.dropped} dropped")
    console.print(frame_counts(report.read, report.masked, report.drops))
    for milliseconds in report.prompt_to_mask_ms:
        console.print(f"prompt change to first masks: {milliseconds:.0f} ms")
    for output in report.outputs:
        if output.failure:
            console.print(f"output ended: {output.failure}", soft_wrap=True, markup=False)
        elif output.frames and output.name != "-":
            console.print(f"wrote {output.name}", soft_wrap=True, markup=False)


def print_overload(text: str) -> None:
    """Print that a live source is too much, or, if the text is empty, no more."""
    if text:
        notice(text, event="overload", level="warning")
    else:
        notice("no longer overloaded", event="overload_ended")


def print_source_status(status: SourceStatus) -> None:
    """Print a state, unless it is of no interest to somebody who watches."""
    line = source_line(status)
    if line is not None:
        notice(line, event="source", stage=status.stage, code=status.code)


def print_connections(source: Source) -> None:
    """Print, after a run, how often a source was connected and what was lost on the way, if that is worth a line."""
    if not isinstance(source, Recovering):
        return
    status = source.status
    # A backlog is there at nearly every start: it is counted, but no news.
    if status.connections > 1 or any(status.losses._replace(backlog_frames=0)):
        losses = status.losses
        more = {"delivered before": losses.repeated_frames, "not converted": losses.failed_frames}
        notice(
            f"source: {status.connections} connections, {losses.missing_frames} frames missing, "
            f"{losses.corrupt_packets} packets corrupt, {losses.damaged_frames} frames damaged"
            + "".join(f", {count} frames {what}" for what, count in more.items() if count),
            event="connections",
            connections=status.connections,
            losses=losses._asdict(),
        )


def source_line(status: SourceStatus) -> str | None:
    """Return what to say about a state; None for one that only ends the last one or is told elsewhere."""
    match status.stage:
        case SourceStage.LIVE if status.outage_s is not None:
            return f"source: live again after {status.outage_s:.1f} s"
        case SourceStage.LIVE:
            return f"source: live{'' if status.connections <= 1 else f', connection {status.connections}'}"
        case SourceStage.STALLED:
            return f"source: stalled, {status.text}"
        case SourceStage.CONNECTING | SourceStage.RECONNECTING if status.retry_in_s is not None:
            return (
                f"source: {status.stage} in {status.retry_in_s:.1f} s, attempt {status.attempt + 1} "
                f"({status.code}: {status.text})"
            )
        case SourceStage.CONNECTING if status.attempt == 1:
            return "source: connecting"
        case _:
            return None
