"""`ssa-stream train`: train a network from a configuration."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssa_stream.cli.options.logs import LogFormatOption, LogLevelOption, use_log_options
from ssa_stream.cli.views.console import LOGGED_EVERY_S, moving_progress, notice, print_warning, shows_progress
from ssa_stream.cli.views.terminal import Interrupts
from ssa_stream.errors import ConfigError
from ssa_stream.input_warnings import InputWarning

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from ssa_stream.training import StepReport, TrainConfig, Validation
    from ssa_stream.training.config import Stage
    from ssa_stream.training.data.batch import BrokenSample

__all__ = ["train"]

_ACCELERATORS = ("auto", "cpu", "cuda")


def train(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="A shipped configuration, such as smoke, or a YAML file.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for state, checkpoints and figures.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder; begins one if there is none.")
    ] = False,
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="Save and end after that time; --resume goes on.")
    ] = None,
    init: Annotated[Path | None, typer.Option(help="Checkpoint to start from instead of random weights.")] = None,
    clip: Annotated[
        Path | None, typer.Option(help="CLIP weights to start from: open_clip's file, or a checkpoint.")
    ] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Number of devices; with torchrun, processes per machine.")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads; default: torch's own choice.")] = None,
    log_format: LogFormatOption = "text",
    log_level: LogLevelOption = "info",
) -> None:
    """Train a network, stage by stage.

    Ctrl-C saves the state and ends; --resume goes on as if nothing had happened.

        ssa-stream train smoke --out runs/smoke

        ssa-stream train ssa-tiny-cpu --out runs/ssa-tiny --resume --max-minutes 60
    """
    use_log_options("train", log_format, log_level)
    from ssa_stream.configs import load_config
    from ssa_stream.training import TrainConfig

    settings = TrainConfig.from_mapping(load_config("train", config))
    _check(settings, out, resume=resume, init=init, clip=clip, accelerator=accelerator)
    import torch  # after all that can be told without it

    from ssa_stream.training import train as run_training

    if threads is not None:
        torch.set_num_threads(threads)
    with Interrupts() as interrupts, _display() as observer:
        is_complete = run_training(
            settings,
            out,
            observer=observer,
            resume=resume,
            should_stop=_stopper(interrupts, max_minutes),
            init=init,
            clip=clip,
            accelerator=accelerator,
            devices=devices,
        )
    if is_complete:
        best, last = out / "best.safetensors", out / "last.safetensors"
        notice(f"done: best {best}, last {last}", event="done", best=best, last=last)
    else:
        resumed = f"ssa-stream train {config} --out {out} --resume"
        notice(f"stopped, state saved; go on with: {resumed}", event="stopped", resume=resumed)


def _check(
    settings: "TrainConfig", out: Path, *, resume: bool, init: Path | None, clip: Path | None, accelerator: str
) -> None:
    """Refuse what the training would refuse, as far as it can be told without torch.

    Raises:
        ConfigError: The model is not known, a data set is not there, or the folder holds something already.
        CheckpointError: A file to start from is not there, or is no checkpoint.
    """
    from ssa_stream.checkpoints import read_info
    from ssa_stream.cli.options.model import check_clip
    from ssa_stream.configs import load_config
    from ssa_stream.model import SsaConfig
    from ssa_stream.training.config import SegmentStage
    from ssa_stream.training.data.samples import open_held_out, open_sets
    from ssa_stream.training.data.settings import ReferringSets
    from ssa_stream.training.loop.run_paths import RunPaths

    if accelerator not in _ACCELERATORS:
        raise ConfigError(f"--accelerator is {accelerator!r}; expected {', '.join(_ACCELERATORS)}")
    SsaConfig.from_mapping(load_config("model", settings.model))
    RunPaths(out).expect_usable(resume=resume)
    check_clip(clip, None)
    if init is not None:
        read_info(init)
    for stage in settings.stages:
        if isinstance(stage, SegmentStage) and isinstance(stage.data, ReferringSets):
            open_sets(stage.data, stage.name)
    open_held_out(settings.validation)


def _stopper(interrupts: Interrupts, max_minutes: float | None) -> Callable[[], bool]:
    """Whether to stop: a signal came, or the time is over."""
    ends_at = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    return lambda: interrupts.requested or (ends_at is not None and time.monotonic() >= ends_at)


class _LogDisplay:
    """For a log: when a stage begins, each validation, and in between a line every few minutes."""

    def __init__(self) -> None:
        self._stage = ""
        self._told_s = 0.0

    def on_step(self, report: "StepReport") -> None:
        """Tell it now and then."""
        stage, begins = report.stage, report.stage.name != self._stage
        if not begins and time.monotonic() - self._told_s < LOGGED_EVERY_S:
            return
        self._stage, self._told_s = stage.name, time.monotonic()
        notice(
            f"{stage.name} {report.step}/{stage.steps}  {_figures(report)}",
            event="stage begins" if begins else "progress",
            stage=stage.name,
            step=report.step,
            steps=stage.steps,
            figures=report.figures,
        )

    def on_validation(self, stage: "Stage", step: int, validation: "Validation", *, is_best: bool) -> None:
        """Tell all figures."""
        self._told_s = time.monotonic()
        _tell_judgement(stage, step, validation, is_best=is_best)

    def on_broken(self, stage: "Stage", sample: "BrokenSample") -> None:
        """Name it."""
        _tell_broken(stage, sample)


class _BarDisplay:
    """A progress bar a stage, for terminals."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def on_step(self, report: "StepReport") -> None:
        """Move the stage's bar."""
        stage = report.stage
        if stage.name not in self._tasks:
            self._tasks[stage.name] = self._progress.add_task(stage.name, total=stage.steps, figures="")
        self._progress.update(self._tasks[stage.name], completed=report.step, figures=_figures(report))

    def on_validation(self, stage: "Stage", step: int, validation: "Validation", *, is_best: bool) -> None:
        """Print all figures above the bars."""
        _tell_judgement(stage, step, validation, is_best=is_best, console=self._progress.console)

    def on_broken(self, stage: "Stage", sample: "BrokenSample") -> None:
        """Name it above the bars."""
        _tell_broken(stage, sample, console=self._progress.console)


def _figures(report: "StepReport") -> str:
    values = report.figures
    return f"loss {values['loss']:.3f}  lr {values['lr']:.1e}  {values['step_ms']:.0f} ms/step"


def _tell_judgement(
    stage: "Stage", step: int, validation: "Validation", *, is_best: bool, console: "Console | None" = None
) -> None:
    figures = "  ".join(f"{name} {value:.3f}" for name, value in validation.figures.items())
    notice(
        f"{stage.name} {step}: {figures}{'  (best so far)' if is_best else ''}",
        event="validation",
        console=console,
        stage=stage.name,
        step=step,
        figures=validation.figures,
        is_best=is_best,
    )


def _tell_broken(stage: "Stage", sample: "BrokenSample", console: "Console | None" = None) -> None:
    print_warning(InputWarning(f"stage {stage.name}, {sample.sample}", f"skipped: {sample.reason}"), console)


@contextmanager
def _display() -> Iterator["_LogDisplay | _BarDisplay"]:
    if not shows_progress():
        yield _LogDisplay()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
    )
    with moving_progress(*columns) as progress:
        yield _BarDisplay(progress)
