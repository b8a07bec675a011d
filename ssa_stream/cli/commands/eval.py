"""`ssa-stream eval`: score a model on a data set."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import msgspec
import typer
from rich.text import Text

from ssa_stream.cli.options.files import Overwrite, existing, named
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
from ssa_stream.cli.options.pictures import check_picture_name, write_picture
from ssa_stream.cli.options.summary import Strict, write_or_print
from ssa_stream.cli.views.console import LOGGED_EVERY_S, notice, print_warning, progress_bar
from ssa_stream.cli.views.eval_tables import print_report
from ssa_stream.cli.views.model_words import ModelWords
from ssa_stream.cli.views.terminal import Interrupts
from ssa_stream.errors import ConfigError
from ssa_stream.input_warnings import InputWarning, require_complete
from ssa_stream.knowledge import knowledge_of
from ssa_stream.outputs import NamedPath, check_outputs

if TYPE_CHECKING:
    from ssa_stream.data.kinds import DataPlace
    from ssa_stream.evaluation import (
        EvaluationConfig,
        EvaluationMode,
        EvaluationReport,
        ReferringDataset,
        SingleObjectReport,
    )
    from ssa_stream.evaluation.sheet import ClipSheet
    from ssa_stream.model import Stages

__all__ = ["evaluate"]

_Item = TypeVar("_Item")
_RUN, _OUTPUT, _SESSION = "Run", "Output", "Session"


def evaluate(
    data: Annotated[
        str,
        typer.Option(
            metavar="FOLDER|KIND:DIR",
            help="Folder in the MeViS format, with masks (see: ssa-stream data synth); or a public data set and its "
            "root, such as a2d-sentences:data/a2d_sentences.",
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(help="Split of a public data set. [default: the one that is scored]", show_default=False),
    ] = None,
    mode: Annotated[
        Literal["offline", "windowed", "causal", "realtime"],
        typer.Option(
            help="offline: the whole clip at once. windowed: independent windows. causal: a live session, frame by "
            "frame. realtime: the same against a clock, with late frames dropped.",
            rich_help_panel=_RUN,
        ),
    ] = "offline",
    protocol: Annotated[
        Literal["mevis", "a2d"] | None,
        typer.Option(
            help="mevis: J&F, presence, identity. a2d: P@K, IoU and mAP of single objects, all queries scored. "
            "[default: mevis, or a2d where single frames are annotated]",
            show_default=False,
            rich_help_panel=_RUN,
        ),
    ] = None,
    control: Annotated[
        Literal["none", "shuffle", "object"],
        typer.Option(
            help="Does the model use the sentences? shuffle: each becomes another video's. object: becomes that word.",
            rich_help_panel=_RUN,
        ),
    ] = "none",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many sentences.", rich_help_panel=_RUN)
    ] = None,
    fps: Annotated[
        float, typer.Option(help="Frames per second of the videos; the format does not tell.", rich_help_panel=_RUN)
    ] = 12.0,
    model_ms: Annotated[
        float | None,
        typer.Option(help="realtime: time that each frame takes; measured if not given.", rich_help_panel=_RUN),
    ] = None,
    eta: Annotated[
        list[float] | None,
        typer.Option(
            help="realtime: offset in frames of the streaming score; negative forgives latency. Repeat it for several. "
            "[default: 0]",
            rich_help_panel=_RUN,
        ),
    ] = None,
    strict: Strict = False,
    json: Annotated[Path | None, typer.Option(help="Write the report there.", rich_help_panel=_OUTPUT)] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(help="Write a picture of the best, median and worst clips there.", rich_help_panel=_OUTPUT),
    ] = None,
    overwrite: Overwrite = False,
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
    window: Annotated[
        int, typer.Option(min=1, help="Frames of a window; not used by offline.", rich_help_panel=_SESSION)
    ] = 8,
    half_life: Annotated[float, typer.Option(min=0, help="As in: ssa-stream run.", rich_help_panel=_SESSION)] = 16.0,
    lookahead: Annotated[int, typer.Option(min=0, help="As in: ssa-stream run.", rich_help_panel=_SESSION)] = 0,
    threshold: Annotated[
        float, typer.Option(help="Least probability of a selected object.", rich_help_panel=_SESSION)
    ] = 0.5,
    single: Annotated[
        bool, typer.Option("--single", help="At most the one best object per sentence.", rich_help_panel=_SESSION)
    ] = False,
    short_edge: Annotated[
        int | None, typer.Option(min=32, help="Shortest edge at the network in pixels.", rich_help_panel=_SESSION)
    ] = None,
    batch: Annotated[
        int, typer.Option(min=1, help="causal: sentences of a video that run together.", rich_help_panel=_SESSION)
    ] = 4,
    log_format: LogFormatOption = "text",
    log_level: LogLevelOption = "info",
) -> None:
    """Score a model on videos with sentences and masks.

    Prints a table by type of sentence; docs/evaluation.md defines every figure. Ctrl-C ends early and prints what is
    done so far; the report then says that it is not complete.

        ssa-stream data synth --split val --videos 20 --out val

        ssa-stream eval --data val --checkpoint ssa.safetensors --mode causal --json val.json --sheet val.png

        ssa-stream eval --data a2d-sentences:data/a2d_sentences --checkpoint a2d.safetensors --window 1
    """
    use_log_options("eval", log_format, log_level)
    if mode != "realtime" and (model_ms is not None or eta):
        raise ConfigError(f"--model-ms and --eta belong to --mode realtime; the mode is {mode}")
    place = _place(data, split)
    if protocol is None:
        protocol = "a2d" if place is not None and place.kind.results == "objects" else "mevis"
    if protocol == "a2d" and (sheet or mode not in ("offline", "windowed")):
        raise ConfigError("--protocol a2d takes --mode offline or windowed, and makes no --sheet")
    if sheet is not None:
        check_picture_name(sheet, "--sheet")
    root = Path(data) if place is None else place.root
    data_files = ("meta_expressions.json", "mask_dict.json", "JPEGImages")
    check_outputs(
        named(json=json, sheet=sheet),
        [
            *(NamedPath("--data", str(root / name)) for name in data_files),
            *existing(checkpoint=checkpoint, clip=clip, model=model),
        ],
        overwrite=overwrite,
    )
    from ssa_stream.cli.options.engine import ModelChoice, open_model, with_engine
    from ssa_stream.evaluation import EvaluationConfig, ReferringDataset, plan_questions
    from ssa_stream.streaming import SessionConfig

    session = SessionConfig(
        window=window,
        half_life_frames=half_life,
        lookahead=lookahead,
        threshold=threshold,
        mode="single" if single else "multi",
        short_edge_px=short_edge,
    )
    config = EvaluationConfig(
        session=session,
        control=control,
        limit=limit,
        etas=tuple(dict.fromkeys(eta or [0.0])),
        model_ms=model_ms,
        prompts_per_session=batch,
    )
    if batch > session.max_prompts:
        config = replace(config, session=replace(session, max_prompts=batch))
    if place is None:
        opened = ReferringDataset.of_folder(root, fps=fps)
    else:
        opened = ReferringDataset.of_place(place, split, fps=fps)
    plan_questions(opened.videos, control, limit)
    choice = ModelChoice(
        model=model,
        checkpoint=checkpoint,
        random_weights=random_weights,
        clip=clip,
        download_clip=download_clip,
        device=device,
        dtype=dtype,
        precision=precision,
        engine=engine,
    )
    choice.check()
    ModelWords(knowledge_of(checkpoint, random_weights=random_weights), is_synthetic=place is None).introduce()
    whole_clips = mode in ("offline", "windowed")
    network = with_engine(open_model(choice, threads=threads), choice.engine, window=window, whole_clips=whole_clips)
    pictures = _new_sheet() if sheet else None
    report = (
        _objects(network, opened, mode, config)
        if protocol == "a2d"
        else _clips(network, opened, mode, config, pictures)
    )
    print_report(report)
    if json is not None:
        _write_json(json, report, overwrite)
    if sheet is not None and pictures is not None:
        write_picture(sheet, pictures.draw(), "--sheet", overwrite=overwrite)
    if strict:
        require_complete(report.warnings)


def _place(data: str, split: str | None) -> "DataPlace | None":
    """The public data set that is meant; None for a folder.

    Raises:
        ConfigError: It is not there, has no such split, or a folder was given a split.
    """
    from ssa_stream.data.kinds import KINDS, parse_data, split_of

    if data.partition(":")[0] in KINDS:
        place = parse_data(data)
        split_of(place.kind, split)
        return place
    if split is not None:
        raise ConfigError(f"--split belongs to a public data set, KIND:DIR; --data is the folder {data}")
    return None


def _new_sheet() -> "ClipSheet":
    from ssa_stream.evaluation.sheet import ClipSheet

    return ClipSheet()


def _clips(
    model: "Stages",
    data: "ReferringDataset",
    mode: "EvaluationMode",
    config: "EvaluationConfig",
    sheet: "ClipSheet | None",
) -> "EvaluationReport":
    from ssa_stream.evaluation import RunSettings, predictor_for, score_clips, summarise

    total, warnings = _count(data, config), _Warnings(data)
    warnings.add_long_sentences(model, data, config)
    results = []
    for clip in _shown(score_clips(predictor_for(model, mode, config), data, config, warnings.add), total):
        results.append(clip.result)
        if sheet is not None:
            sheet.add(clip)
    settings = RunSettings.of(mode, config, model=model.config.name, data=data.name, fps=data.fps)
    with warnings.explained():
        return msgspec.structs.replace(summarise(settings, results, total), warnings=tuple(warnings.all))


def _objects(
    model: "Stages", data: "ReferringDataset", mode: "EvaluationMode", config: "EvaluationConfig"
) -> "SingleObjectReport":
    from ssa_stream.evaluation import RunSettings, sample_objects, summarise_objects

    total, warnings = _count(data, config), _Warnings(data)
    warnings.add_long_sentences(model, data, config)
    settings = RunSettings.of(mode, config, model=model.config.name, data=data.name, fps=data.fps)
    samples = _shown(sample_objects(model, data, mode, config, warnings.add), total)
    with warnings.explained():
        report = summarise_objects(settings, samples, total)
        return msgspec.structs.replace(report, warnings=tuple(warnings.all))


class _Warnings:
    """What is incomplete: parts of the data that were left out, sentences that are too long. Each is told at once."""

    def __init__(self, data: "ReferringDataset") -> None:
        self.all: list[InputWarning] = []
        for warning in data.left_out:
            self.add(warning)

    def add(self, warning: InputWarning) -> None:
        self.all.append(warning)
        print_warning(warning)

    def add_long_sentences(self, model: "Stages", data: "ReferringDataset", config: "EvaluationConfig") -> None:
        """Sentences that are longer than CLIP reads."""
        from ssa_stream.evaluation import plan_questions

        for plan in plan_questions(data.videos, config.control, config.limit):
            for question in plan.questions:
                if (text := model.cut_off(question.asked)) is not None:
                    self.add(InputWarning(f"expression {question.sentence.expression_id} of {plan.video}", text))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """If nothing is left to report on, say why."""
        try:
            yield
        except ConfigError as error:
            if not self.all:
                raise
            raise ConfigError(f"{error}; what was left out: {'; '.join(map(str, self.all))}") from error


def _count(data: "ReferringDataset", config: "EvaluationConfig") -> int:
    """How many sentences there are to evaluate."""
    from ssa_stream.evaluation import plan_questions

    return sum(len(plan.questions) for plan in plan_questions(data.videos, config.control, config.limit))


def _shown(items: Iterator[_Item], total: int) -> Iterator[_Item]:
    """Pass items on and show progress, until they or the user's patience end."""
    done, told_s = 0, -math.inf
    notice(f"evaluating {total} sentences", event="begins", total=total)
    with Interrupts() as interrupts, progress_bar() as progress:
        task = progress.add_task("evaluating", total=total)
        while not interrupts.requested:
            item = interrupts.cut_short(lambda: next(items, None))
            if item is None:
                break
            done += 1
            progress.update(task, completed=done)
            if progress.disable and time.monotonic() - told_s >= LOGGED_EVERY_S:
                told_s = time.monotonic()
                notice(f"evaluated {done} of {total} sentences", event="progress", done=done, total=total)
            yield item
    if interrupts.requested:
        text = Text.assemble(("ended by Ctrl-C:", "bold yellow"), f" {done} of {total} sentences are done")
        notice(text, event="interrupted", done=done, total=total)


def _write_json(path: Path, report: "EvaluationReport | SingleObjectReport", overwrite: bool) -> None:
    from ssa_stream.evaluation import report_to_json

    write_or_print(path, report_to_json(report).decode(), overwrite=overwrite)
    notice(f"wrote {path}", event="written", file=path)
