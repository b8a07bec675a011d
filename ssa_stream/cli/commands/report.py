"""`ssa-stream report`: tables and pictures of results, as the paper has them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ssa_stream.cli.options.files import Overwrite, named
from ssa_stream.cli.options.summary import write_or_print
from ssa_stream.cli.views.console import notice, output
from ssa_stream.outputs import NamedPath, check_outputs

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Make the paper's tables and pictures, with one's own results."
)

Results = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME=]FILE...",
        help="What `ssa-stream score --json FILE` wrote; each is a row below the published ones.",
        show_default=False,
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option("--name", metavar="NAME", help="Of a row without NAME=, in order. [default: the file's name]"),
]
Layout = Annotated[Literal["markdown", "csv", "latex"], typer.Option("--format", help="How the table is written.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Write it there and not to standard output.", rich_help_panel="Output"),
]


@app.callback()
def _group() -> None:
    """Make the paper's tables and pictures, with one's own results."""


@app.command()
def table8(
    results: Results = None,
    name: Names = None,
    layout: Layout = "markdown",
    out: Out = None,
    overwrite: Overwrite = False,
) -> None:
    """Compare results on A2D-Sentences with the published ones (table 8 of the supplement).

    ssa-stream report table8 "mine=a2d.json" -o table8.md
    """
    _table("table8", results or [], name or [], layout, out, overwrite)


@app.command()
def table9(
    results: Results = None,
    name: Names = None,
    layout: Layout = "markdown",
    out: Out = None,
    overwrite: Overwrite = False,
) -> None:
    """Compare results on JHMDB-Sentences with the published ones (table 9 of the supplement).

    ssa-stream report table9 "mine=jhmdb.json" --format latex
    """
    _table("table9", results or [], name or [], layout, out, overwrite)


def _table(table: str, results: list[str], names: list[str], layout: str, out: Path | None, overwrite: bool) -> None:
    from ssa_stream.evaluation.tables.comparison import compare, read_results
    from ssa_stream.evaluation.tables.layouts import LAYOUTS
    from ssa_stream.evaluation.tables.published import published_table

    read = read_results(results, names)
    check_outputs(named(out=out), [NamedPath("a result", str(one.path)) for one in read], overwrite=overwrite)
    text = LAYOUTS[layout](compare(published_table(table), read))
    if out is None:
        output().print(text, end="", soft_wrap=True)
        return
    write_or_print(out, text, overwrite=overwrite)
    notice(f"wrote {out}")
