"""The tables that `ssa-stream eval` prints."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ssa_stream.cli.views.console import wide_output

if TYPE_CHECKING:
    from ssa_stream.evaluation import EvaluationReport, GroupFigures, RunSettings, SingleObjectReport, Timing

__all__ = ["print_report"]

_PRECISION_COLUMNS = ("P@.5", "P@.6", "P@.7", "P@.8", "P@.9")


def print_report(report: "EvaluationReport | SingleObjectReport") -> None:
    """Print a report on stdout; shares are in per cent, `-` stands for what was not measured."""
    from ssa_stream.evaluation import EvaluationReport

    table = _clip_table(report) if isinstance(report, EvaluationReport) else _object_table(report)
    table.title = _title(report.settings, complete=report.complete)
    console = wide_output(table)
    console.print(table)
    if isinstance(report, EvaluationReport) and report.timing is not None:
        console.print(_timing_line(report.timing))


def _streaming_percent(group: "GroupFigures", k: int) -> str:
    return _percent(group.streaming[k].j_and_f)


def _clip_table(report: "EvaluationReport") -> Table:
    columns: list[tuple[str, Callable[[GroupFigures], str]]] = [
        ("J&F", lambda group: _percent(group.j_and_f)),
        ("J", lambda group: _percent(group.j)),
        ("F", lambda group: _percent(group.f)),
    ]
    for k, score in enumerate(report.overall.streaming):
        columns.append((f"sJ&F({score.eta:g})", partial(_streaming_percent, k=k)))
    columns += [
        ("pres.\nframe", lambda group: _percent(group.presence_frames)),
        ("pres.\nclip", lambda group: _percent(group.presence_clips)),
        ("N-acc", lambda group: _percent(group.no_target_accuracy)),
        ("T-acc", lambda group: _percent(group.target_accuracy)),
        ("id sw.\n/min", lambda group: _number(group.id_switches_per_minute)),
        ("same id\nagain", lambda group: _same_id(group)),
    ]
    rows = [(group.name, group.expressions, [show(group) for _, show in columns]) for group in report.groups]
    return _table([name for name, _ in columns], rows)


def _object_table(report: "SingleObjectReport") -> Table:
    rows = []
    for group in report.groups:
        figures = group.figures
        shares = [*figures.precision, figures.overall_iou, figures.mean_iou, figures.mean_ap, figures.mean_ap_top1]
        rows.append((group.name, group.expressions, [str(figures.samples), *map(_percent, shares)]))
    return _table(["frames", *_PRECISION_COLUMNS, "overall\nIoU", "mean\nIoU", "mAP", "mAP\ntop-1"], rows)


def _table(columns: Sequence[str], rows: Sequence[tuple[str, int, Sequence[str]]]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    table.add_column("sentences", no_wrap=True)
    table.add_column("n", justify="right")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for i, (name, count, cells) in enumerate(rows):
        table.add_row(name, str(count), *cells, end_section=i == 0)
    return table


def _title(settings: "RunSettings", *, complete: bool) -> str:
    control = "" if settings.control == "none" else f", control: {settings.control}"
    return f"{settings.model} on {settings.data}, {settings.mode}{control}{'' if complete else ', not complete'}"


def _timing_line(timing: "Timing") -> str:
    how = "given" if timing.simulated else "measured, median"
    line = (
        f"{timing.frames_processed} of {timing.frames} frames went through the model, {timing.model_ms:.1f} ms each "
        f"({how})"
    )
    if timing.prompt_to_mask_ms is not None:
        line += f"; a new prompt's first mask came after {timing.prompt_to_mask_ms:.1f} ms"
    return line


def _same_id(group: "GroupFigures") -> str:
    if group.same_id_after_occlusion is None:
        return "-"
    return f"{_percent(group.same_id_after_occlusion)} of {group.occlusions}"


def _percent(share: float | None) -> str:
    return _number(None if share is None else 100 * share)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
