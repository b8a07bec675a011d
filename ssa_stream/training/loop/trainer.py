"""The training loop: stages in order, every step a pure function of the state before it, so that any run can go on."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

import torch
from lightning.fabric import Fabric
from torch import nn
from torch.utils.data import DataLoader

from ssa_stream.checkpoints import save_checkpoint
from ssa_stream.errors import CheckpointError, SsaStreamError
from ssa_stream.model import SSA
from ssa_stream.training.config import SegmentStage, Stage
from ssa_stream.training.data.batch import BrokenSample, ClipBatch
from ssa_stream.training.data.clip_batches import step_seed
from ssa_stream.training.data.settings import ReferringSets
from ssa_stream.training.loop.broken_samples import BrokenSamples
from ssa_stream.training.loop.ema import Ema
from ssa_stream.training.loop.optimizer import set_learning_rate
from ssa_stream.training.loop.run_folder import RunFolder, RunLog
from ssa_stream.training.loop.stage_runner import StageContext, StageRunner
from ssa_stream.training.loop.validation import Validation
from ssa_stream.training.objectives.objective import StepLoss
from ssa_stream.training.recipe import TrainConfig, prepare_stage

__all__ = ["Observer", "Progress", "StepReport", "Trainer"]


@dataclass(frozen=True)
class StepReport:
    """One step, for who watches.

    Attributes:
        stage: The stage.
        step: Steps done in it.
        figures: `loss`, parts of the loss, `lr`, `grad_norm`, `step_ms`, `data_ms`.
    """

    stage: Stage
    step: int
    figures: dict[str, float]


class Observer(Protocol):
    """Who watches a run."""

    def on_step(self, report: StepReport) -> None:
        """A step is done."""

    def on_validation(self, stage: Stage, step: int, validation: Validation, *, is_best: bool) -> None:
        """The weights were judged."""

    def on_broken(self, stage: Stage, sample: BrokenSample) -> None:
        """A sample was skipped; told once, by each device that came upon it."""


@dataclass
class Progress:
    """Where a run is.

    Attributes:
        stage: Number of the present stage.
        step: Steps done in it.
        best: Best score so far.
    """

    stage: int = 0
    step: int = 0
    best: float = -1.0


class Trainer:
    """Runs the stages of a configuration on one or several devices.

    Args:
        config: What to do.
        fabric: Devices and number format; launched.
        model: The network, trained in place.
        folder: Where everything is kept.
        progress: Where to begin.
        observer: Told of each step and each validation, on the first device.
        should_stop: Asked after each step; the run then saves its state and ends.
    """

    def __init__(
        self,
        config: TrainConfig,
        fabric: Fabric,
        model: SSA,
        folder: RunFolder,
        progress: Progress,
        observer: Observer,
        should_stop: Callable[[], bool],
    ) -> None:
        self._config, self._fabric, self._model, self._folder = config, fabric, model, folder
        self._observer, self._should_stop = observer, should_stop
        self._runner: StageRunner | None = None
        self.progress = progress
        self._log = RunLog(folder.path, self._steps_done()) if fabric.is_global_zero else None

    def run(self, resumed: dict[str, Any] | None = None) -> bool:
        """Go through the stages that are left.

        Args:
            resumed: State of optimiser and number format within the present stage.
        Returns:
            Whether the run is complete; else it was stopped and its state saved.
        Raises:
            CheckpointError: State or weights cannot be written; the last ones stay.
            ConfigError: The data is not there, or too much of it is broken.
            SinkError: Figures cannot be written.
            SsaStreamError: The loss is no longer a number.
        """
        try:
            while self.progress.stage < len(self._config.stages):
                if not self._run_stage(self._config.stages[self.progress.stage], resumed):
                    return False
                resumed = None
            return True
        finally:
            if self._log is not None:
                self._log.close()

    def _steps_done(self) -> int:
        return sum(stage.steps for stage in self._config.stages[: self.progress.stage]) + self.progress.step

    def _run_stage(self, stage: Stage, resumed: dict[str, Any] | None) -> bool:
        """Run one stage to its end or to a stop; whether it came to its end."""
        fabric, config, progress = self._fabric, self._config, self.progress
        self._runner = runner = prepare_stage(stage, self._context(), self._runner)
        bare = runner.optimizer(fused=config.precision != "16-mixed")
        ema = Ema(self._model, config.ema_decay)
        objective, optimizer = fabric.setup(runner.objective, bare)
        if resumed is not None:
            try:
                optimizer.load_state_dict(resumed["optimizer"])
                fabric.strategy.precision.load_state_dict(resumed["precision"])
                if runner.extra is not None:
                    runner.extra.load_state_dict(resumed["extra"])
                ema.load_state_dict(resumed["ema"])
            except (KeyError, IndexError, TypeError, AttributeError, ValueError, RuntimeError) as error:
                raise CheckpointError(
                    f"the state in {self._folder.path} does not fit stage {stage.name} ({type(error).__name__}: "
                    f"{error}); start another run from its weights: --init {self._folder.last}"
                ) from error
        objective.train()
        batches, broken = self._loader(runner), BrokenSamples(stage.name, partial(self._observer.on_broken, stage))
        for step in range(progress.step, stage.steps):
            started = time.perf_counter()
            loaded_batch = next(batches)
            if isinstance(loaded_batch, ClipBatch):
                broken.add(loaded_batch.broken)
            batch = _to_device(loaded_batch, fabric.device)
            loaded = time.perf_counter()
            figures = self._step(stage, objective, optimizer, batch, step, runner.parts)
            ema.update()
            progress.step = step + 1
            ended = time.perf_counter()
            figures |= {"step_ms": 1e3 * (ended - loaded), "data_ms": 1e3 * (loaded - started)}
            self._tell(stage, figures)
            is_last = progress.step == stage.steps
            if is_last or progress.step % config.validation.every == 0:
                with ema.applied():
                    self._validate(runner, stage)
            stops = self._stops() and not is_last
            if stops or (progress.step % config.save_every == 0 and not is_last):
                self._save(optimizer, runner.extra, ema)
            if stops:
                return False
        progress.stage, progress.step = progress.stage + 1, 0
        ema.keep()
        self._save(None, None, ema)
        return True

    def _context(self) -> StageContext:
        fabric, config = self._fabric, self._config
        return StageContext(
            model=self._model,
            validation=config.validation,
            number=self.progress.stage,
            seed=config.seed,
            rank=fabric.global_rank,
            world_size=fabric.world_size,
            reduce=self._mean,
        )

    def _loader(self, runner: StageRunner) -> Any:
        """Batches from the present step on."""
        fabric, workers = self._fabric, self._config.workers if runner.loads_aside else 0
        steps = range(self.progress.step, self._config.stages[self.progress.stage].steps)
        return iter(
            DataLoader(
                runner.batches(),
                batch_size=None,
                sampler=steps,
                num_workers=workers,
                pin_memory=fabric.device.type == "cuda",
                multiprocessing_context="spawn" if workers else None,
                worker_init_fn=_leave_signals_to_parent,
                prefetch_factor=4 if workers else None,
            )
        )

    def _step(
        self,
        stage: Stage,
        objective: Any,
        optimizer: Any,
        batch: Any,
        step: int,
        parts: tuple[str, ...],
    ) -> dict[str, float]:
        """One optimiser step; its figures."""
        fabric, settings = self._fabric, stage.optimizer
        torch.manual_seed(step_seed(self._config.seed, self.progress.stage, step, fabric.global_rank))
        rate = set_learning_rate(optimizer, settings, step, stage.steps)
        loss: StepLoss = objective(batch)
        total = float(loss.total.detach())
        if not torch.isfinite(loss.total.detach()):
            raise SsaStreamError(
                f"the loss of stage {stage.name} is {total} at step {step + 1}; resume from the last saved state with "
                f"a smaller optimizer.lr or optimizer.clip_norm, in another run"
            )
        fabric.backward(loss.total)
        norm = fabric.clip_gradients(objective, optimizer, max_norm=settings.clip_norm, error_if_nonfinite=False)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        by_part = dict(zip(parts, loss.parts.tolist(), strict=True))
        return {"loss": total, **by_part, "lr": rate, "grad_norm": float("nan" if norm is None else norm)}

    def _tell(self, stage: Stage, figures: dict[str, float]) -> None:
        if self._log is None:
            return
        step = self.progress.step
        self._observer.on_step(StepReport(stage, step, figures))
        if step % self._config.log_every == 0 or step == stage.steps:
            self._log.write("train", stage.name, self._steps_done(), figures)

    def _validate(self, runner: StageRunner, stage: Stage) -> None:
        """Judge on the first device, while the others wait."""
        if self._log is not None:
            validation = runner.validate(self._fabric.device)
            is_best = runner.chooses_best and validation.score > self.progress.best
            if is_best:
                self.progress.best = validation.score
                self._save_weights(self._folder.best, stage.name, validation)
            self._log.write("validation", stage.name, self._steps_done(), validation.figures)
            self._observer.on_validation(stage, self.progress.step, validation, is_best=is_best)
        self._fabric.barrier()

    def _stops(self) -> bool:
        """Whether any device wants to stop."""
        wants = torch.tensor(float(self._should_stop()), device=self._fabric.device)
        return bool(self._mean(wants) > 0)

    def _mean(self, value: torch.Tensor) -> torch.Tensor:
        if self._fabric.world_size == 1:
            return value
        return cast(torch.Tensor, self._fabric.all_reduce(value, reduce_op="mean"))

    def _save(self, optimizer: Any | None, extra: nn.Module | None, ema: Ema) -> None:
        if self._log is not None:
            self._folder.save_state(
                self._config,
                {
                    "stage": self.progress.stage,
                    "step": self.progress.step,
                    "best": self.progress.best,
                    "model": self._model.state_dict(),
                    "optimizer": None if optimizer is None else optimizer.state_dict(),
                    "extra": None if extra is None else extra.state_dict(),
                    "ema": ema.state_dict(),
                    "precision": self._fabric.strategy.precision.state_dict(),
                },
            )
            with ema.applied():
                self._save_weights(self._folder.last, str(self.progress.stage), None)
        self._fabric.barrier()

    def _sets_so_far(self) -> list[str]:
        """The public data sets of the stages up to the present one."""
        stages = self._config.stages[: self.progress.stage + (self.progress.step > 0)]
        data = [stage.data for stage in stages if isinstance(stage, SegmentStage)]
        sets = [str(part) for one in data if isinstance(one, ReferringSets) for part in one.sets]
        return list(dict.fromkeys(sets))

    def _save_weights(self, path: Any, stage: str, validation: Validation | None) -> None:
        notes = {"run": self._config.name, "stage": stage, "steps": str(self._steps_done())}
        if sets := self._sets_so_far():
            notes["trained on"] = "; ".join(sets)
        if validation is not None:
            notes |= {name: f"{value:.4f}" for name, value in validation.figures.items()}
        save_checkpoint(path, self._model, self._model.config, notes=notes)


def _leave_signals_to_parent(_worker: int) -> None:
    """What a terminal sends to all its processes is for the one that saves the state; its workers end with it."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _to_device(batch: Any, device: torch.device) -> Any:
    """Batches are named tuples of tensors, of such tuples, and of what stays where it is."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(_to_device(field, device) for field in batch))
    return batch
