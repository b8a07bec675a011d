"""A table of published rows with one's own measured rows below."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ssa_stream.data.kinds import KINDS
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.score.report import ScoreReport, read_score_report
from ssa_stream.evaluation.tables.published import FIGURES, PublishedRow, PublishedTable
from ssa_stream.printable import printable

__all__ = ["BLANK", "NOT_FOUND", "UNDEFINED", "Comparison", "ComparisonRow", "Result", "compare", "read_results"]

BLANK = "-"
"""The paper has no figure there."""
NOT_FOUND = "?"
"""The paper has a figure there or not: no text that has it was found."""
UNDEFINED = "n/a"
"""The published scorer has no figure for these predictions."""


@dataclass(frozen=True, slots=True)
class Result:
    """A report of `ssa-stream score --json` that is a row of a table: its name in the table, and its file."""

    name: str
    path: Path
    report: ScoreReport


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """A row of a table.

    Attributes:
        method: Name of the method.
        backbone: Its image network; `NOT_FOUND`, or nothing for a measured row.
        figures: One a column of `FIGURES`, in per cent; or why there is none: `BLANK`, `NOT_FOUND`, `UNDEFINED`.
        is_measured: Whether it was measured here; else it is published.
        references: Numbers of the notes that say where it is from.
    """

    method: str
    backbone: str
    figures: tuple[float | str, ...]
    is_measured: bool
    references: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A table.

    Attributes:
        title: What it compares.
        rows: The published ones, then the measured ones.
        references: What the rows refer to, numbered from 1.
        notes: About the table as a whole.
    """

    title: str
    rows: tuple[ComparisonRow, ...]
    references: tuple[str, ...]
    notes: tuple[str, ...]


def read_results(arguments: Iterable[str], names: Iterable[str] = ()) -> list[Result]:
    """Read the reports that are to be rows.

    Args:
        arguments: `FILE` or `NAME=FILE` each; the row of a `FILE` is called as the file, without its ending.
        names: Names of the rows of those that have none, in order; none, or as many as those.
    Raises:
        ConfigError: A file is missing or is no report, or there are more or fewer names than such files.
    """
    split = [_split(argument) for argument in arguments]
    given = list(names)
    nameless = [path for name, path in split if name is None]
    if given and len(given) != len(nameless):
        raise ConfigError(
            f"{len(given)} names (--name) for {len(nameless)} results without one; give one name each, or NAME=FILE"
        )
    rest = iter(given or [path.stem for path in nameless])
    return [Result(printable(name or next(rest)), path, read_score_report(path)) for name, path in split]


def _split(argument: str) -> tuple[str | None, Path]:
    name, equals, path = argument.partition("=")
    if not equals or not name or os.path.exists(argument):  # which is False for a name that no file can have
        return None, Path(argument)
    return name, Path(path)


def compare(published: PublishedTable, results: Iterable[Result]) -> Comparison:
    """Put measured rows below published ones.

    Raises:
        ConfigError: A result is of another data set or split than the table, or has no figure of a column.
    """
    results = list(results)
    for result in results:
        _expect_fitting(published, result)
    references: dict[str, int] = {}
    rows = [_published_row(row, references) for row in published.rows]
    rows += [_measured_row(result, references) for result in results]
    kind = KINDS[published.data]
    notes = [*published.notes, *_note_on_missing(rows)]
    if any(UNDEFINED in row.figures for row in rows):
        notes.append(f"{UNDEFINED}: the published scorer has no such figure of these predictions; their file says why.")
    notes += [f"{row.method}: {row.note}." for row in published.rows if row.note]
    return Comparison(
        f"{kind.title}, {published.split} (table {published.number} of the supplement to SSA), per cent",
        tuple(rows),
        tuple(references),
        tuple(notes),
    )


def _expect_fitting(published: PublishedTable, result: Result) -> None:
    report = result.report
    if (report.data, report.split) != (published.data, published.split):
        raise ConfigError(
            f"{result.path} is of {report.data}, split {report.split}; table {published.number} is of "
            f"{published.data}, split {published.split}: give what `score --data {published.data}:DIR --split "
            f"{published.split} --json FILE` wrote"
        )
    missing = [name for name in FIGURES if name not in report.figures]
    if missing:
        raise ConfigError(
            f"{result.path} has no figure {', '.join(missing)}; expected what `score --json` writes for {report.data}"
        )


def _published_row(row: PublishedRow, references: dict[str, int]) -> ComparisonRow:
    texts = (row.source, *(f"read in: {text}" for text in row.checked))
    return ComparisonRow(
        row.method,
        row.backbone or NOT_FOUND,
        tuple(BLANK if name in row.blanks else row.figures.get(name, NOT_FOUND) for name in FIGURES),
        is_measured=False,
        references=tuple(references.setdefault(text, len(references) + 1) for text in texts),
    )


def _measured_row(result: Result, references: dict[str, int]) -> ComparisonRow:
    report = result.report
    text = f"measured here: {printable(str(result.path))}, of the predictions {printable(report.predictions)}"
    if report.deviations:
        text += f"; {len(report.deviations)} deviations, listed there"
    values = (report.figures[name] for name in FIGURES)
    return ComparisonRow(
        result.name,
        "",
        tuple(UNDEFINED if value is None else 100 * value for value in values),
        is_measured=True,
        references=(references.setdefault(text, len(references) + 1),),
    )


def _note_on_missing(rows: Iterable[ComparisonRow]) -> list[str]:
    published = [row for row in rows if not row.is_measured]
    figures = [value for row in published for value in row.figures]
    backbones = sum(row.backbone == NOT_FOUND for row in published)
    missing = figures.count(NOT_FOUND)
    notes = []
    if missing or backbones:
        notes.append(
            f"{NOT_FOUND}: not found in a text that could be read, so whether the paper has it is open; so are "
            f"{missing} of {len(figures)} published figures and {backbones} of {len(published)} backbones."
        )
    if BLANK in figures:
        notes.append(f"{BLANK}: blank in the paper.")
    return notes
