"""`ssa-stream checkpoint`: verify, import, convert, inspect and export weights."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from ssa_stream.cli.options.files import Overwrite, existing, named
from ssa_stream.cli.options.model import Clip, DownloadClip, OptionalTag, check_clip, clip_weights
from ssa_stream.cli.options.summary import write_or_print
from ssa_stream.cli.views.console import output, print_error, progress_bar, shown, status
from ssa_stream.errors import CheckpointError, ConfigError, SinkError
from ssa_stream.outputs import NamedPath, check_outputs

if TYPE_CHECKING:
    from ssa_stream.checkpoints import CheckpointInfo, TrainingStart, VerifyReport

__all__ = ["app"]

_BEYOND_TOLERANCE = 1
_UNUSABLE = 2
_LISTED = 12
_COLOURS = {"agrees": "green", "deviates": "bold red", "flipped": "yellow", "after a flip": "yellow"}

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Verify, import, convert, inspect and export weights."
)

File = Annotated[
    str,
    typer.Argument(
        metavar="FILE|NAME", help="A checkpoint of ssa_stream, or a shipped one's name.", show_default=False
    ),
]
FileType = Annotated[
    Literal["float32", "float16", "bfloat16"] | None,
    typer.Option("--dtype", help="Type in the file; default: as it is."),
]


@app.command(epilog="Exit codes: 0 all agree, 1 beyond tolerance, 2 unusable folder or checkpoint.")
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A golden folder: config.json, keys.json, *.npz.")],
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Use this checkpoint's weights, not the seeded ones.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    dtype: Annotated[
        Literal["float32", "bfloat16"], typer.Option(help="bfloat16 is compared loosely, for information.")
    ] = "float32",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write every comparison there.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Compare every stage of the network with recorded numbers, and name the stage that deviates first."""
    check_outputs(
        named(json=json_file),
        [*existing(checkpoint=checkpoint), *(NamedPath(str(folder), str(path)) for path in folder.glob("*"))],
        overwrite=overwrite,
    )
    from ssa_stream.checkpoints import read_info
    from ssa_stream.checkpoints.golden_folder import read_folder
    from ssa_stream.cli.checks.arguments import check_device

    try:
        check_device(device)
        read_folder(folder)
        if checkpoint is not None:
            read_info(checkpoint)
        import torch  # after all that can be told without it

        from ssa_stream.checkpoints import verify_folder

        with progress_bar() as progress:
            task = progress.add_task("building the network", total=None)
            report = verify_folder(
                folder,
                checkpoint=checkpoint,
                device=device,
                dtype=getattr(torch, dtype),
                on_case=lambda done, of: progress.update(task, description="cases", completed=done, total=of),
            )
    except (CheckpointError, ConfigError, OSError) as error:
        print_error(str(error))
        raise typer.Exit(_UNUSABLE) from error
    _print_report(report)
    if json_file is not None:
        try:
            write_or_print(json_file, json.dumps(report.to_mapping(), indent=1) + "\n", overwrite=overwrite)
        except SinkError as error:
            print_error(str(error))
            raise typer.Exit(_UNUSABLE) from error
    if not report.passed:
        raise typer.Exit(_BEYOND_TOLERANCE)


@app.command("import", cls=OptionalTag)
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.pth", help="A checkpoint of the reference implementation.")],
    model: Annotated[str, typer.Option(help="Which network it is: a shipped name, or a .yaml file.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The checkpoint to write.")],
    clip: Clip = None,
    download_clip: DownloadClip = None,
    dtype: FileType = None,
    include_clip: Annotated[bool, typer.Option(help="Write the frozen CLIP's weights too.")] = True,
    for_training: Annotated[
        bool,
        typer.Option(
            "--for-training",
            help="Take what fits and initialise the rest, for ssa-stream train --init: of the authors' CLIP-based "
            "segmenter of COCO, or of another size.",
        ),
    ] = False,
    list_all: Annotated[
        bool,
        typer.Option(
            "--list", help="With --for-training: name every tensor that stays random, and every one that is left out."
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of what --for-training initialises.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Turn a checkpoint of the reference implementation into one of ours.

    [dim]ssa-stream checkpoint import published.pth --model ssa-large -o ssa-large.safetensors[/]

    [dim]ssa-stream checkpoint import coco.pth --model ssa-large --for-training -o start.safetensors[/]
    """
    _check_output(out, file, overwrite=overwrite, clip=clip, model=model)
    if list_all and not for_training:
        raise ConfigError("--list names what stays random; expected --for-training with it, as an import takes all")
    from ssa_stream.configs import load_config
    from ssa_stream.model import SsaConfig
    from ssa_stream.weight_files import check_torch_file, existing_file

    config = SsaConfig.from_mapping(load_config("model", model))
    check_torch_file(existing_file(file))
    check_clip(clip, download_clip)
    import torch  # after all that can be told without it

    from ssa_stream.checkpoints import import_reference, save_checkpoint, training_start

    weights = clip_weights(config, clip, download_clip)
    with progress_bar() as progress:
        task = progress.add_task(f"reading {file.name}", total=2)
        start = training_start(file, config, clip=weights, seed=seed) if for_training else None
        state = import_reference(file, config, clip=weights) if start is None else start.state
        progress.update(task, description=f"writing {out.name}", advance=1)
        info = save_checkpoint(
            out,
            state,
            config,
            include_clip=include_clip,
            dtype=None if dtype is None else getattr(torch, dtype),
            notes={"imported from": file.name} | ({} if start is None else {"seed of the rest": str(seed)}),
            is_trained=start is None,
        )
    _print_info(info)
    if start is not None:
        _print_start(start, list_all=list_all)


@app.command()
def info(file: File) -> None:
    """Show what a checkpoint holds; no weights are loaded."""
    from ssa_stream.checkpoints import read_info

    _print_info(read_info(file))


@app.command()
def convert(
    file: File,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The checkpoint to write.")],
    dtype: FileType = None,
    include_clip: Annotated[bool, typer.Option(help="Write the frozen CLIP's weights too.")] = True,
    overwrite: Overwrite = False,
) -> None:
    """Write a checkpoint anew: smaller, by another type of numbers or without CLIP.

    [dim]ssa-stream checkpoint convert best.safetensors --dtype float16 -o ssa-tiny.safetensors[/]
    """
    _check_output(out, file, overwrite=overwrite)
    from ssa_stream.checkpoints import read_info
    from ssa_stream.knowledge import knowledge_of

    old = read_info(file)
    import torch  # after all that can be told without it

    from ssa_stream.checkpoints.store import read_tensors, save_checkpoint

    with status(f"writing {out.name}"):
        new = save_checkpoint(
            out,
            read_tensors(file),
            old.config,
            include_clip=include_clip,
            dtype=None if dtype is None else getattr(torch, dtype),
            notes=old.notes,
            is_trained=old.is_trained,
            knowledge=knowledge_of(file),
        )
    _print_info(new)


@app.command(cls=OptionalTag)
def export(
    file: File,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.pth", help="The file to write.")],
    clip: Clip = None,
    download_clip: DownloadClip = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a checkpoint as the reference implementation reads it."""
    _check_output(out, file, overwrite=overwrite, clip=clip)
    from ssa_stream.checkpoints import read_info
    from ssa_stream.checkpoints.info import CLIP_WAYS

    info = read_info(file)
    check_clip(clip, download_clip)
    if not info.contains_clip and clip is None and download_clip is None:
        raise CheckpointError(f"{info.path} holds no CLIP weights, which the reference's checkpoints do. {CLIP_WAYS}")
    weights = clip_weights(info.config, clip, download_clip)
    from ssa_stream.checkpoints import export_reference  # imports torch: after all that can be told without it

    with status(f"writing {out.name}"):
        export_reference(file, out, clip=weights)
    output().print(f"wrote {out}", soft_wrap=True)


def _check_output(out: Path, file: str | Path, *, overwrite: bool, **others: str | Path | None) -> None:
    """Refuse to write over what is read, and over a file that may not be replaced."""
    check_outputs(named(out=out), [NamedPath("the checkpoint", str(file)), *existing(**others)], overwrite=overwrite)


def _print_info(info: "CheckpointInfo") -> None:
    """A checkpoint as a table."""
    from ssa_stream.knowledge import knowledge_of

    knowledge = knowledge_of(info.path)
    parameters = sum(info.parameters.values())
    table = Table(title=shown(info.path.name), show_header=False, title_justify="left")
    table.add_row("model", shown(info.config.name))
    table.add_row("size", f"{info.size_bytes / 1e6:,.1f} MB, {', '.join(sorted(info.dtypes))}")
    table.add_row("parameters", f"{parameters:,}")
    for part, count in info.parameters.items():
        table.add_row(f"  {part}", f"{count:,}")
    table.add_row("CLIP weights", "inside" if info.contains_clip else f"not inside ({info.config.clip.name})")
    if not info.is_trained:
        table.add_row("use", "a start for training only")
    if knowledge.domain is not None:
        words = len(knowledge.words or ())
        table.add_row("knows", shown(f"{knowledge.domain}, {words} words; such as: {'; '.join(knowledge.examples)}"))
    table.add_row("written by", shown(f"{info.created_by}, format {info.format_version}"))
    for heading, text in info.notes.items():
        table.add_row(shown(heading), shown(text))
    output().print(table)


def _print_start(start: "TrainingStart", *, list_all: bool) -> None:
    """What was taken from a file and what was not."""
    table = Table(title="tensors", title_justify="left")
    for column in ("part", "taken", "initialised"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part in dict.fromkeys([*start.taken, *start.initialised]):
        table.add_row(part, str(start.taken.get(part, 0)), str(start.initialised.get(part, 0)))
    console = output()
    console.print(table)
    if list_all:
        for key in start.random:
            console.print(shown(f"random: {key} {list(start.state[key].shape)}"), soft_wrap=True)
    elif start.random:
        console.print(f"random: {len(start.random)} tensors; --list names them", soft_wrap=True)
    most = len(start.left_out) if list_all else _LISTED
    for text in start.left_out[:most]:
        console.print(shown(f"left out: {text}"), soft_wrap=True)
    if len(start.left_out) > most:
        console.print(f"left out: {len(start.left_out) - most} more", soft_wrap=True)


def _print_report(report: "VerifyReport") -> None:
    """A verification as a table of stages, and one line that says what came of it."""
    console = output()
    measure = "largest error" if report.is_binding else "rms error"
    names = ", ".join(case.name for case in report.cases)
    title = f"{report.folder}: {report.weights} weights, {report.dtype} on {report.device}"
    table = Table(title=shown(title), caption=shown(f"cases: {names}"), title_justify="left", caption_justify="left")
    columns: list[tuple[str, JustifyMethod]] = [
        ("stage", "left"),
        (measure, "right"),
        ("tolerance", "right"),
        ("case", "left"),
    ]
    for column, justify in columns:
        table.add_column(column, justify=justify, no_wrap=True)
    table.add_column("verdict")
    for result in report.stages():
        worst = result.worst
        verdict = Text(worst.verdict, _COLOURS[worst.verdict])
        if worst.verdict != "agrees" and worst.detail:
            verdict.append(shown(f" ({worst.detail})"))
        table.add_row(
            worst.name if worst.error else result.stage,
            f"{worst.error:.1e}",
            f"{worst.tolerance:g}",
            shown(result.case),
            verdict,
        )
    console.print(table)
    for case in report.cases:
        for note in case.notes:
            console.print(f"note: {case.name}: {note}", soft_wrap=True)
    for note in report.notes:
        console.print(f"note: {note}", soft_wrap=True)
    first = report.first_deviation
    if first is None:
        console.print("all stages of all cases agree", style="green")
    else:
        what = "first deviation" if report.is_binding else "first deviation (for information)"
        words = Text.assemble((f"{what}: {first[1].name}", "bold red"), f" in case {first[0].name}")
        console.print(words, soft_wrap=True)
