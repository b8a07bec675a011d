"""A comparison as Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Callable, Mapping
from typing import Final

from ssa_stream.evaluation.tables.comparison import Comparison, ComparisonRow
from ssa_stream.evaluation.tables.published import FIGURES

__all__ = ["LAYOUTS", "to_csv", "to_latex", "to_markdown"]

_HEADINGS: Final = ("Method", "Backbone", *FIGURES.values())
_FORMULA: Final = ("=", "+", "-", "@")
_LATEX: Final = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "<": r"\textless{}"}
)


def to_markdown(table: Comparison) -> str:
    """A table with a title above, and references and notes below."""
    lines = [f"**{_markdown(table.title)}**", "", _line((*_HEADINGS, "Origin"))]
    lines.append(_line(("---", "---", *("---:" for _ in FIGURES), "---")))
    lines += [_line([_markdown(cell) for cell in (*_cells(row), _origin(row))]) for row in table.rows]
    lines.append("")
    lines += [f"- [{number}] {_markdown(text)}" for number, text in enumerate(table.references, start=1)]
    lines += [f"- {_markdown(note)}" for note in table.notes]
    return "\n".join(lines) + "\n"


def to_csv(table: Comparison) -> str:
    """A row of headings, then one line a row, figures with all their digits; the last column says where from.

    A name that begins with `=`, `+`, `-` or `@` gets an apostrophe before it.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow((*_HEADINGS, "Origin", "From"))
    for row in table.rows:
        texts = "; ".join(table.references[number - 1] for number in row.references)
        origin = "measured here" if row.is_measured else "published"
        writer.writerow((_plain_cell(row.method), row.backbone, *row.figures, origin, texts))
    return file.getvalue()


def _plain_cell(name: str) -> str:
    """A name that spreadsheets do not take for a formula: one that begins as formulas do gets an apostrophe."""
    return f"'{name}" if name.startswith(_FORMULA) else name


def to_latex(table: Comparison) -> str:
    """A `table` environment, for the package booktabs."""
    rows = [_latex_row(row) for row in table.rows if not row.is_measured]
    measured = [_latex_row(row) for row in table.rows if row.is_measured]
    if measured:
        rows += ["\\midrule", *measured]
    texts = [f"[{number}] {text}" for number, text in enumerate(table.references, start=1)]
    below = [f"{{[}}{text[1:]}" if text.startswith("[") else text for text in map(_latex, (*texts, *table.notes))]
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{_latex(table.title)}}}",
        f"\\begin{{tabular}}{{ll{'r' * len(FIGURES)}l}}",
        "\\toprule",
        " & ".join(map(_latex, (*_HEADINGS, "Origin"))) + " \\\\",
        "\\midrule",
        *rows,
        "\\bottomrule",
        "\\end{tabular}",
        "",
        "\\footnotesize\\raggedright",
        " \\\\\n".join(below),
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


LAYOUTS: Final[Mapping[str, Callable[[Comparison], str]]] = {
    "markdown": to_markdown,
    "csv": to_csv,
    "latex": to_latex,
}
"""By their names on the command line."""


def _cells(row: ComparisonRow) -> list[str]:
    return [row.method, row.backbone, *(one if isinstance(one, str) else f"{one:.1f}" for one in row.figures)]


def _origin(row: ComparisonRow) -> str:
    origin = "measured here" if row.is_measured else "published"
    return f"{origin} [{', '.join(map(str, row.references))}]"


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;")


def _latex_row(row: ComparisonRow) -> str:
    return " & ".join(map(_latex, (*_cells(row), _origin(row)))) + " \\\\"


def _latex(text: str) -> str:
    return text.translate(_LATEX)
