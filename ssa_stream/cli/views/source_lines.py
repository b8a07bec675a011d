"""How a live source is, in one line on stderr each time that changes."""

from ssa_stream.cli.views.console import errors
from ssa_stream.sources import Recovering, Source, SourceStage, SourceStatus

__all__ = ["print_connections", "print_source_status", "source_line"]


def print_source_status(status: SourceStatus) -> None:
    """Print a state, unless it is of no interest to somebody who watches."""
    line = source_line(status)
    if line is not None:
        errors().print(line, soft_wrap=True, markup=False)


def print_connections(source: Source) -> None:
    """Print, after a run, how often a source was connected and what was lost on the way, if that is worth a line."""
    if not isinstance(source, Recovering):
        return
    status = source.status
    if status.connections > 1 or any(status.losses):
        missing, corrupt, damaged = status.losses
        errors().print(
            f"source: {status.connections} connections, {missing} frames missing, {corrupt} packets corrupt, "
            f"{damaged} frames damaged",
            soft_wrap=True,
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
