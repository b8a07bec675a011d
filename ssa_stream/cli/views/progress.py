"""The live line of a run: frames, fps, latency, drops."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

from ssa_stream.cli.views.console import errors

if TYPE_CHECKING:
    from ssa_stream.cli.runner import RunReport

__all__ = ["live_line"]

_PLAIN_INTERVAL_S = 5.0


class OnFrame(Protocol):
    """Called after each frame."""

    def __call__(self, report: "RunReport") -> None:
        """Show the figures."""


def _figures(report: "RunReport") -> str:
    return f"{report.fps:5.1f} fps  latency {report.recent_latency_ms:.0f} ms  dropped {report.dropped}"


@contextmanager
def live_line(total_frames: int | None, *, quiet: bool) -> Iterator[OnFrame]:
    """Show progress on stderr: one live line on a terminal, a plain line every few seconds otherwise.

    Args:
        total_frames: None when the stream has no known end.
        quiet: Show nothing.
    """
    console = errors()
    if quiet:
        yield lambda report: None
    elif console.is_terminal:
        columns = (
            SpinnerColumn(),
            MofNCompleteColumn(),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}"),
        )
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("run", total=total_frames, figures="")
            yield lambda report: progress.update(task, completed=report.frames, figures=_figures(report))
    else:
        shown_at = time.monotonic()

        def show(report: "RunReport") -> None:
            nonlocal shown_at
            if time.monotonic() - shown_at >= _PLAIN_INTERVAL_S:
                shown_at = time.monotonic()
                console.print(f"frame {report.frames}{f'/{total_frames}' if total_frames else ''}  {_figures(report)}")

        yield show
