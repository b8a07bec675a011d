"""`ssa-stream report`: tables and pictures of results, as the paper has them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ssa_stream.cli.options.files import Overwrite, named
from ssa_stream.cli.options.summary import write_or_print
from ssa_stream.cli.views.console import notice, output, print_warning
from ssa_stream.errors import ConfigError, SinkError, content_errors, misnamed
from ssa_stream.files import replacing
from ssa_stream.outputs import NamedPath, check_outputs
from ssa_stream.printable import printable
from ssa_stream.texts import brief

if TYPE_CHECKING:
    from ssa_stream.evaluation.tables.frames import AskedSentence, System

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
    write_or_print(out, text, overwrite=overwrite, option="--out")
    notice(f"wrote {out}")


@app.command()
def frames(
    row: Annotated[
        list[str],
        typer.Option(
            "--row",
            metavar="NAME=PLACE",
            help="A row: what `score --predictions` takes, under a name. `truth` alone is a row of the data's masks.",
        ),
    ],
    data: Annotated[str, typer.Option(metavar="KIND:DIR", help="Data set and its root, such as mevis:data/mevis.")],
    sentence: Annotated[str, typer.Option(metavar="VIDEO/EXPRESSION", help="Whose masks are shown.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A .png or .pdf file.", rich_help_panel="Output")],
    split: Annotated[str | None, typer.Option(help="Split of the data set. [default: the one that is scored]")] = None,
    chosen: Annotated[
        str | None, typer.Option("--frames", metavar="N,N,...", help="Frames to show, counted from 0.")
    ] = None,
    columns: Annotated[
        int, typer.Option(min=1, max=20, help="How many frames, where --frames does not say which.")
    ] = 5,
    most_different: Annotated[
        bool,
        typer.Option("--most-different", help="The frames in which the rows differ most. [default: evenly spread]"),
    ] = False,
    width: Annotated[
        float, typer.Option(min=1.0, max=40.0, help="Of the figure, inches: 3.3 is a column of a paper, 6.9 a page.")
    ] = 3.3,
    truth: Annotated[
        Path | None,
        typer.Option(help="Folder of masks that the data set lacks: Ref-YouTube-VOS' valid split.", show_default=False),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw what systems found in some frames, as figure 7 of the paper does: a row each, and the sentence below.

    ssa-stream report frames --row truth --row ssa=out --data mevis:data/mevis --sentence VIDEO/0 -o figure.pdf
    """
    from ssa_stream.data.kinds import open_data, parse_data, split_of
    from ssa_stream.evaluation.tables.frames import find_sentence, open_system

    rows = [_row(text) for text in row]
    if out.suffix.lower() not in (".png", ".pdf"):
        raise ConfigError(f"--out {out}: a figure has no ending {out.suffix!r}; give a .png or .pdf file")
    if chosen is not None and most_different:
        raise ConfigError("--frames says which frames, and so does --most-different; give one of them")
    inputs = [NamedPath("--row", str(place)) for _, place in rows if place is not None]
    check_outputs(named(out=out), inputs, overwrite=overwrite)
    place = parse_data(data)
    split = split_of(place.kind, split)
    with content_errors():
        asked = find_sentence(open_data(place, split, truth), place.kind, split, sentence)
        systems = [open_system(asked, name, where) for name, where in rows]
        indices = _indices(asked, systems, chosen, columns, most_different=most_different)
    _draw(asked, systems, [where is None for _, where in rows], indices, out, width, overwrite=overwrite)
    notice(f"wrote {out}: frames {', '.join(map(str, indices))} of {sentence}")


def _row(text: str) -> tuple[str, Path | None]:
    """A row's name and place; the truth has none.

    Raises:
        ConfigError: It is neither.
    """
    name, equals, place = text.partition("=")
    if text == "truth":
        return text, None
    if not equals or not name.strip() or not place:
        raise ConfigError(f"--row {brief(text)}: expected NAME=PLACE, or truth")
    return printable(name), Path(place)


def _indices(
    asked: "AskedSentence", systems: "list[System]", chosen: str | None, columns: int, *, most_different: bool
) -> list[int]:
    """Which frames are shown."""
    from ssa_stream.evaluation.tables.frames import differing_frames

    there = asked.frames
    if chosen is not None:
        numbers = [number.strip() for number in chosen.split(",")]
        wrong = [number for number in numbers if not number.isdecimal() or int(number) not in there]
        if wrong:
            shown = ", ".join(map(str, there[:10])) + (", ..." if len(there) > 10 else "")
            told = ConfigError(f"--frames has {brief(wrong[0])}; expected numbers of frames with masks: {shown}")
            raise misnamed(told)
        return [int(number) for number in numbers]
    if most_different:
        return differing_frames(systems, there, asked.data.size(asked.video.name), columns)
    count = min(columns, len(there))
    return [there[round(i * (len(there) - 1) / max(1, count - 1))] for i in range(count)]


def _draw(
    asked: "AskedSentence",
    systems: "list[System]",
    are_truth: list[bool],
    indices: list[int],
    out: Path,
    width: float,
    *,
    overwrite: bool,
) -> None:
    from ssa_stream.evaluation.tables.frames import sized_mask
    from ssa_stream.evaluation.tables.frames_picture import PictureRow, draw_frames, save_figure

    name = asked.video.name
    with content_errors():
        pictures = asked.data.frames(name, indices)
        size = (pictures.shape[1], pictures.shape[2])
        rows = [
            PictureRow(system.name, [sized_mask(system, index, size) for index in indices], is_truth)
            for system, is_truth in zip(systems, are_truth, strict=True)
        ]
    for drawn in rows:
        lacking = [str(index) for index, mask in zip(indices, drawn.masks, strict=True) if mask is None]
        if lacking:
            print_warning(f"row {drawn.name} has no mask of frame {', '.join(lacking)}")
    frame_names = [asked.video.frames[index] for index in indices]
    figure = draw_frames(pictures, frame_names, rows, asked.expression.text, width_in=width)
    try:
        with replacing(out, overwrite=overwrite) as partial:
            save_figure(figure, partial, out.suffix.lower())
    except OSError as error:
        raise SinkError(f"cannot write {out} ({error.strerror or error}); give another file with --out") from error
