"""`ssa-stream data`: make data sets, and look at those that are there."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ssa_stream.cli.options.files import Overwrite
from ssa_stream.cli.options.pictures import check_picture_name, write_picture
from ssa_stream.cli.options.summary import JsonFile, write_json
from ssa_stream.cli.views.console import notice, progress_bar
from ssa_stream.cli.views.data_tables import print_check
from ssa_stream.errors import content_errors
from ssa_stream.outputs import NamedPath, check_outputs

if TYPE_CHECKING:
    from ssa_stream.data import DataPlace

__all__ = ["app", "check", "jhmdb_list", "show", "synth"]

_Kind = Annotated[str, typer.Argument(metavar="KIND", help="Which data set: a kind of docs/data-sets.md.")]

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Make and check data sets.")


@app.callback()
def _group() -> None:
    """Make and check data sets."""


@app.command()
def synth(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; it may hold other files.")],
    split: Annotated[
        Literal["train", "val", "test", "demo"],
        typer.Option(help="Scenes of two splits never meet; val and test also have held-out looks and phrases."),
    ] = "val",
    seed: Annotated[int, typer.Option(min=0, help="Number of the first scene within its split.")] = 0,
    videos: Annotated[int, typer.Option(min=1, help="How many videos.")] = 20,
    frames: Annotated[int, typer.Option(min=1, help="Frames of each video.")] = 24,
    per_type: Annotated[int, typer.Option(min=1, help="Most sentences of each type for each video.")] = 1,
    height: Annotated[int, typer.Option(min=16, help="Height of the frames in pixels.")] = 128,
    width: Annotated[int, typer.Option(min=16, help="Width of the frames in pixels.")] = 224,
    overwrite: Overwrite = False,
) -> None:
    """Write synthetic videos with sentences and exact masks, in the MeViS format.

    Equal options give equal files on every machine.

        ssa-stream data synth --split val --videos 20 --out val
    """
    from ssa_stream.data import SceneConfig, write_mevis

    with progress_bar() as progress:
        task = progress.add_task(f"writing {out}", total=videos)
        write_mevis(
            out,
            split,
            seed,
            videos,
            num_frames=frames,
            per_type=per_type,
            config=SceneConfig(size=(height, width)),
            overwrite=overwrite,
            on_progress=lambda done, _: progress.update(task, completed=done),
        )
    notice(f"wrote {videos} videos of {frames} frames to {out}")


@app.command("jhmdb-list")
def jhmdb_list(
    folder: Annotated[Path, typer.Argument(help="The folder jhmdb_sentences.")],
) -> None:
    """List samples of JHMDB-Sentences anew, where the frozen list of the published figures cannot be had.

    Three frames of each video, in the middle of each third. Figures on them cannot be compared with published ones.

        ssa-stream data jhmdb-list data/jhmdb_sentences
    """
    from ssa_stream.data.jhmdb_list import derive_jhmdb_list

    samples = derive_jhmdb_list(folder)
    notice(
        f"listed {samples} samples of {folder}. They are not those of the frozen list: figures cannot be compared with "
        f"published ones"
    )


@app.command()
def check(
    kind: _Kind,
    folder: Annotated[str | None, typer.Argument(metavar="DIR", help="Its root; or give KIND:DIR as one.")] = None,
    split: Annotated[str | None, typer.Option(help="Only this split. [default: all that are there]")] = None,
    all_files: Annotated[
        bool, typer.Option("--all", help="Read every frame and mask, not a few of each split.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that read all. [default: one a core]", show_default=False)
    ] = None,
    json: JsonFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Say what is there of a public data set, what is missing and what cannot be read.

    Counts are shown beside published ones where these differ. Exit code 1 if something that is there cannot be read;
    missing splits and other counts are warnings.

        ssa-stream data check refcoco data --split val
    """
    from ssa_stream.data.checking import check_data

    place = _place(kind, folder)
    _check_output("--json", None if json == "-" else json, place, overwrite=overwrite)
    with progress_bar() as progress:
        task = progress.add_task("reading", total=None)
        found = check_data(
            place,
            split,
            reads_all=all_files,
            workers=workers,
            on_progress=lambda name, done, total: progress.update(
                task, description=f"reading {name}", completed=done, total=total
            ),
        )
    if json != "-":
        print_check(found)
    if json is not None:
        import msgspec

        write_json(msgspec.to_builtins(found), json, overwrite=overwrite)
    if not found.is_usable:
        raise typer.Exit(1)


@app.command()
def show(
    kind: _Kind,
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Its root; or give KIND:DIR as one.")],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="ID", help="VIDEO/SENTENCE, a video, or a sample as results name it; after -- if it begins with -."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture to write, .png or .jpg.")] = Path("shown.png"),
    split: Annotated[str | None, typer.Option(help="Its split. [default: the one that is evaluated]")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw frames of a public data set with the targets of a sentence outlined.

    ssa-stream data show mevis data/mevis VIDEO/0 -o shown.png
    """
    if name is None:
        name, place = folder, _place(kind, None)
    else:
        place = _place(kind, folder)
    check_picture_name(out, "--out")
    _check_output("--out", str(out), place, overwrite=overwrite)
    from ssa_stream.data import open_data
    from ssa_stream.evaluation.target_sheet import target_sheet

    with content_errors():
        sheet = target_sheet(open_data(place, split), name)
    write_picture(out, sheet, "--out", overwrite=overwrite)


def _place(kind: str, folder: str | None) -> "DataPlace":
    """Of `KIND DIR`, or `KIND:DIR` in one."""
    from ssa_stream.data import parse_data

    return parse_data(kind if folder is None else f"{kind}:{folder}")


def _check_output(option: str, path: str | None, place: "DataPlace", *, overwrite: bool) -> None:
    """Refuse an output that is there; one in the folder of the data set, whatever else was asked for."""
    if path is not None:
        inputs = [NamedPath("the data set", str(place.root))] if os.path.exists(path) else []
        check_outputs([NamedPath(option, path)], inputs, overwrite=overwrite)
