"""`ssa-stream predict`: masks of a whole data set, in the form in which they are scored."""

import os
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer
from rich.text import Text

from ssa_stream.cli.options.logs import LogFormatOption, LogLevelOption, use_log_options
from ssa_stream.cli.options.model import (
    Checkpoint,
    Clip,
    Device,
    DownloadClip,
    Dtype,
    Engine,
    ModelName,
    Precision,
    RandomWeights,
    Threads,
)
from ssa_stream.cli.views.console import LOGGED_EVERY_S, notice, print_warning, progress_bar, status
from ssa_stream.cli.views.model_words import ModelWords
from ssa_stream.cli.views.terminal import Interrupts
from ssa_stream.errors import ConfigError
from ssa_stream.knowledge import knowledge_of
from ssa_stream.weight_files import DEFAULT_CHECKPOINT, WeightFile

if TYPE_CHECKING:
    from ssa_stream.cli.options.engine import ModelChoice
    from ssa_stream.data import DataKind, DataPlace
    from ssa_stream.evaluation.predict.running import Outcome
    from ssa_stream.evaluation.predict.settings import PredictSettings
    from ssa_stream.evaluation.predict.units import Shard

__all__ = ["predict"]

_RUN, _OUTPUT, _NETWORK = "Run", "Output", "Network"
_PAPER_EDGE_PX, _PAPER_EDGES_PX = 448, {"ref-youtube-vos": 480, "ref-davis17": 480}
"""Shortest edge of the published network, and that of its published runs on other data sets."""


def predict(
    data: Annotated[
        str,
        typer.Option(
            metavar="KIND:DIR",
            help="Data set and its root: a2d-sentences, jhmdb-sentences, mevis, ref-youtube-vos, ref-davis17, refcoco, "
            "refcoco+ or refcocog.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the masks.")],
    split: Annotated[
        str | None, typer.Option(help="Split of the data set; default: the one that is reported.", rich_help_panel=_RUN)
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many sentences.", rich_help_panel=_RUN)
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with what is in the folder; begins if it is empty.", rich_help_panel=_RUN),
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Do the part I of N (from 0) only; the last part to end puts all together. torchrun sets it.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, max=64, help="Processes that read frames ahead.", rich_help_panel=_RUN)
    ] = 2,
    tolerate: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Share of sentences (or samples) that may be broken: these are named and left out. More is an error.",
            rich_help_panel=_RUN,
        ),
    ] = 0.01,
    make_zip: Annotated[
        bool | None,
        typer.Option(
            "--zip/--no-zip",
            help="Pack masks for the data set's server. Default: where a server scores the split.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    mode: Annotated[
        Literal["multi", "single"] | None,
        typer.Option(
            help="multi: all objects that are probable enough, or none. single: the most probable one. Default: as "
            "published, multi for mevis, single for the others. Where all queries are answers there is no mode.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            help="Frames that the network sees together. Default: as published, the whole clip; 1, the annotated "
            "frame, for a2d-sentences, jhmdb-sentences and refcoco.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    short_edge: Annotated[
        int | None,
        typer.Option(
            min=32,
            help="Shortest edge at the network in pixels. Default: the network's own; as published, 480 for a network "
            "of 448 on ref-youtube-vos and ref-davis17.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    checkpoint: Checkpoint = None,
    clip: Clip = None,
    download_clip: DownloadClip = None,
    random_weights: RandomWeights = False,
    model: ModelName = "ssa-tiny",
    device: Device = "auto",
    dtype: Dtype = "float32",
    precision: Precision = "published",
    engine: Engine = "auto",
    threads: Threads = None,
    log_format: LogFormatOption = "text",
    log_level: LogLevelOption = "info",
) -> None:
    """Write masks of every sentence of a data set, in its own submission form.

    Ctrl-C ends it early; with --resume it goes on where it was. docs/evaluation.md says what is written where.

        ssa-stream predict --data mevis:MeViS --split valid_u -c ssa.safetensors -o masks

        ssa-stream score --data mevis:MeViS --split valid_u --predictions masks

        torchrun --nproc-per-node 8 .venv/bin/ssa-stream predict --data mevis:MeViS -c ssa.safetensors -o masks
    """
    use_log_options("predict", log_format, log_level)
    from ssa_stream.cli.options.engine import ModelChoice, open_model, with_engine
    from ssa_stream.data import open_data, parse_data
    from ssa_stream.data.kinds import split_of
    from ssa_stream.data.mevis import MevisReader
    from ssa_stream.evaluation.predict.folder import PredictionFolder
    from ssa_stream.evaluation.predict.submission import has_server
    from ssa_stream.evaluation.predict.units import plan_units

    part = _shard(shard)
    choice = ModelChoice(
        model=model,
        checkpoint=checkpoint,
        random_weights=random_weights,
        clip=clip,
        download_clip=download_clip,
        device=_device(device),
        dtype=dtype,
        precision=precision,
        engine=engine,
    )
    if dtype == "auto":
        raise ConfigError(
            "--dtype is auto, but all predictions of a folder have one type, on whatever machine the work goes on; "
            "expected float32 or bfloat16"
        )
    choice.check()
    place = parse_data(data)
    split = split_of(place.kind, split)
    if place.kind.results == "objects" and (mode or make_zip):
        raise ConfigError(f"answers for {place.kind.title} are a list of all queries; it takes no --mode and no --zip")
    if make_zip is None:
        make_zip = has_server(place.kind, split)
    folder = PredictionFolder(out, part)
    folder.check(resume=resume)
    with status(f"reading the index of {place.kind.title}"):
        opened = open_data(place, split)
        plan = plan_units(place.kind, opened, limit)
    settings = _settings(place, split, choice, mode=mode, window=window, short_edge=short_edge, limit=limit)
    if isinstance(opened, MevisReader):
        settings = msgspec.structs.replace(settings, mevis_version=opened.version)
    from ssa_stream.evaluation.predict.running import Prediction  # imports torch, after all that can be told without

    with Interrupts() as interrupts, folder.opened(settings, plan.fingerprints, resume=resume):
        work = Prediction(place.kind, opened, folder, settings, plan, shard=part, workers=workers, tolerate=tolerate)
        left = work.remaining()
        done = work.total - sum(sum(len(unit.expressions) for unit in video.units) for video in left)
        notice(
            f"predicting {work.total} sentences of {place.kind.title} {split}"
            + (f", part {part}" if part.count > 1 else "")
            + (f", {done} of them are done" if done else ""),
            event="begins",
            total=work.total,
            done=done,
        )
        if left:
            ModelWords(knowledge_of(checkpoint, random_weights=random_weights), is_synthetic=False).introduce()
            loaded = open_model(choice, threads=threads)
            network = with_engine(loaded, choice.engine, window=settings.window, whole_clips=True)
            for size in _shown(work.run(network, left, print_warning), interrupts, work.total, done):
                done += size
        if done < work.total:
            resumed = shlex.join(["ssa-stream", *(word for word in sys.argv[1:] if word != "--resume"), "--resume"])
            text = f" {done} of {work.total} sentences are done; go on with: {resumed}"
            notice(
                Text.assemble(("stopped:", "bold yellow"), text),
                event="stopped",
                done=done,
                total=work.total,
                resume=resumed,
            )
            return
        _tell(work.finish(with_zip=make_zip), place.kind, data, split, out, can_be_scored=plan.has_targets)


def _shard(text: str | None) -> "Shard":
    """Which part this process does, by its option or as torchrun says."""
    from ssa_stream.evaluation.predict.units import Shard

    rank, size = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    if rank is None or size is None:
        return Shard() if text is None else Shard.parse(text)
    if text is not None:
        raise ConfigError(f"--shard {text} is given, and torchrun says part {rank} of {size}; give one of them")
    return Shard.parse(f"{rank}/{size}")


def _device(device: str) -> str:
    """The device by its name; with torchrun each process of a machine gets a GPU of its own."""
    local = os.environ.get("LOCAL_RANK")
    if local is None or device not in ("auto", "cuda"):
        return device
    import torch

    return f"cuda:{local}" if torch.cuda.is_available() or device == "cuda" else device


def _settings(
    place: "DataPlace",
    split: str,
    choice: "ModelChoice",
    *,
    mode: Literal["multi", "single"] | None,
    window: int | None,
    short_edge: int | None,
    limit: int | None,
) -> "PredictSettings":
    """What masks depend on."""
    from ssa_stream.checkpoints import read_info
    from ssa_stream.configs import load_config
    from ssa_stream.evaluation.predict.settings import PredictSettings, random_fingerprint
    from ssa_stream.model import SsaConfig

    kind = place.kind
    if choice.random_weights:
        config = SsaConfig.from_mapping(load_config("model", choice.model))
        network, name = random_fingerprint(config), f"random weights of {choice.model}"
    else:
        name = choice.checkpoint or DEFAULT_CHECKPOINT
        with status(f"reading {name}"):
            config, network = read_info(name).config, WeightFile.read(name).fingerprint
    if short_edge is None and config.short_edge_px == _PAPER_EDGE_PX:
        short_edge = _PAPER_EDGES_PX.get(kind.name)
    short_px, long_px = config.edges_px(short_edge)
    by_sample = kind.results == "objects"
    return PredictSettings(
        data=kind.name,
        split=split,
        network=network,
        network_name=str(name),
        clip=choice.download_clip if choice.clip is None else WeightFile.read(choice.clip).fingerprint,
        clip_name="" if choice.clip is None else str(choice.clip),
        dtype=choice.dtype,
        precision=choice.precision,
        mode=None if by_sample else mode or ("multi" if kind.name == "mevis" else "single"),
        window=window or (1 if by_sample else None),
        short_edge_px=short_px,
        long_edge_px=long_px,
        limit=limit,
    )


def _shown(steps: Iterator[int], interrupts: Interrupts, total: int, done: int) -> Iterator[int]:
    """Pass steps on and show progress, until they or the user's patience end."""
    told_s = time.monotonic()
    with progress_bar() as progress:
        task = progress.add_task("predicting", total=total, completed=done)
        while (size := interrupts.cut_short(lambda: next(steps, None))) is not None:
            done += size
            progress.update(task, completed=done)
            if progress.disable and time.monotonic() - told_s >= LOGGED_EVERY_S:
                told_s = time.monotonic()
                notice(f"predicted {done} of {total} sentences", event="progress", done=done, total=total)
            yield size


def _tell(outcome: "Outcome", kind: "DataKind", data: str, split: str, out: Path, *, can_be_scored: bool) -> None:
    """Say what there is, and what comes next."""
    if outcome.skipped:
        names = ", ".join(one.about for one in outcome.skipped[:3]) + ", ..." * (len(outcome.skipped) > 3)
        print_warning(f"{len(outcome.skipped)} have no answer, as they are broken: {names}; --resume tries them again")
    if outcome.results is None:
        notice(
            f"this part is done; {outcome.missing} sentences of other parts are missing: the last part to end puts all "
            f"together",
            event="part done",
            missing=outcome.missing,
        )
        return
    from ssa_stream.evaluation.predict.submission import has_server

    on_server = has_server(kind, split)
    scored = shlex.join(["ssa-stream", "score", "--data", data, "--split", split, "--predictions", str(out)])
    if outcome.zip is not None:
        notice(f"{'for the server' if on_server else 'packed'}: {outcome.zip}", event="zip", file=outcome.zip)
    if can_be_scored:
        text, following = f"score it with: {scored}", scored
    else:
        text, following = f"the masks of {kind.title} {split} are not in {data.partition(':')[2]}", None
        if on_server:
            text += ": send the zip to the server" if outcome.zip else ": pack a zip for the server by --resume --zip"
        if kind.name == "ref-youtube-vos":
            following = f"{scored} --truth FOLDER"
            text += f"; or, with the masks in a folder, score it with: {following}"
    notice(f"done: {outcome.results}; {text}", event="done", results=outcome.results, next=following)
