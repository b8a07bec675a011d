"""`ssa-stream data`: make data sets."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ssa_stream.cli.options.files import Overwrite
from ssa_stream.cli.views.console import notice, progress_bar

__all__ = ["app", "jhmdb_list", "synth"]

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Make data sets.")


@app.callback()
def _group() -> None:
    """Make data sets."""


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
    folder: Annotated[Path, typer.Argument(help="The folder jhmdb_sentences.", exists=True, file_okay=False)],
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
