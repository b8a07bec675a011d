"""The tables that `ssa-stream score` prints."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ssa_stream.cli.views.console import output, wide_output

if TYPE_CHECKING:
    from ssa_stream.evaluation.score.report import Deviation, Figures, ScoreReport, Variant

__all__ = ["print_score"]

_MOST_SHOWN = 10
_WIDEST_HEADING = 100


def print_score(report: "ScoreReport") -> None:
    """Print a report on stdout: figures in per cent, each way of counting, and what was not as it should be."""
    output().print(f"{report.predictions} on {report.data}, {report.split}")
    for group in _alike(report.variants):
        table = _table(group)
        wide_output(table).print(table)
    shown = next(iter(report.variants.values())).figures
    extra = {name: value for name, value in report.figures.items() if name not in shown}
    if extra:  # default figures that are no figures of the published scorer
        table = _below_each_other({"no published scorer": extra}, {})
        wide_output(table).print(table)
    for name, variant in report.variants.items():
        output().print(f"{name}: {variant.about}")
    _print_deviations(report.deviations)


def _alike(variants: "Mapping[str, Variant]") -> "list[dict[str, Variant]]":
    """Variants that have the same figures stand in one table."""
    groups: dict[tuple[str, ...], dict[str, Variant]] = {}
    for name, variant in variants.items():
        groups.setdefault(tuple(variant.figures), {})[name] = variant
    return list(groups.values())


def _table(variants: "Mapping[str, Variant]") -> Table:
    figures = next(iter(variants.values())).figures
    if sum(map(len, figures)) > _WIDEST_HEADING:
        counted = {name: _counted(variant.counts) for name, variant in variants.items()}
        return _below_each_other({name: variant.figures for name, variant in variants.items()}, counted)
    table = _empty_table()
    table.add_column("n", justify="right")
    for figure in figures:
        table.add_column(figure, justify="right", no_wrap=True)
    for name, variant in variants.items():
        table.add_row(name, _counted(variant.counts), *map(_percent, variant.figures.values()))
        for part, values in variant.parts.items():
            table.add_row(f"  {part}", "", *_cells(figures, values))
    return table


def _below_each_other(columns: "Mapping[str, Figures]", counted: Mapping[str, str]) -> Table:
    """A row for each figure, for many of them; and one for how many samples there are, where that is known."""
    table = _empty_table()
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    if any(counted.values()):
        table.add_row("n", *counted.values())
    for figure in next(iter(columns.values())):
        table.add_row(figure, *(_percent(figures[figure]) for figures in columns.values()))
    return table


def _empty_table() -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    table.add_column("figures in %", no_wrap=True)
    return table


def _cells(names: "Figures", values: "Figures") -> list[str]:
    return [_percent(values.get(name)) for name in names]


def _counted(counts: Mapping[str, int]) -> str:
    return str(next(iter(counts.values()))) if counts else ""


def _print_deviations(deviations: "tuple[Deviation, ...]") -> None:
    console = output()
    if not deviations:
        console.print("Nothing deviates: all predictions are there, and no others.")
        return
    console.print(f"Deviations: {len(deviations)}")
    for deviation in deviations[:_MOST_SHOWN]:
        console.print(f"  {deviation.about}: {deviation.text}")
        console.print(f"    published scorer: {deviation.published}; strict: {deviation.strict}")
    if len(deviations) > _MOST_SHOWN:
        console.print(f"  and {len(deviations) - _MOST_SHOWN} more; --json FILE holds all")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"
