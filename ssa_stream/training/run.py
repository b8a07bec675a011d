"""From a configuration to a finished training run."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from open_clip.model import CLIP
from torch import nn

from ssa_stream.checkpoints import load_checkpoint, read_clip
from ssa_stream.checkpoints.layout import extend_model
from ssa_stream.configs import load_config
from ssa_stream.errors import CheckpointError, ConfigError
from ssa_stream.files import only_writer
from ssa_stream.model import SSA, SsaConfig
from ssa_stream.model.extensions import extensions_of, with_extensions
from ssa_stream.training.loop.run_folder import RunFolder
from ssa_stream.training.loop.trainer import Observer, Progress, Trainer
from ssa_stream.training.recipe import TrainConfig

__all__ = ["train"]

_LAYER_SCALE = 0.5


def train(
    config: TrainConfig,
    folder: Path,
    *,
    observer: Observer,
    resume: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
    init: Path | None = None,
    clip: Path | None = None,
    accelerator: str = "auto",
    devices: int = 1,
) -> bool:
    """Run or resume a training.

    Args:
        config: What to do.
        folder: Where state, checkpoints and figures go.
        observer: Told of progress.
        resume: Go on with the run in `folder`; begins one if there is none.
        should_stop: Asked after each step; the run then saves its state and ends.
        init: Checkpoint to start from instead of random weights. It may be of a network without mask moments
            or presence.
        clip: CLIP weights to start from: open_clip's own file, or a checkpoint that contains them.
        accelerator: Lightning Fabric's name: `auto`, `cpu`, `cuda`.
        devices: Number of devices; under torchrun all that were started.
    Returns:
        Whether the run is complete; else it was stopped.
    Raises:
        ConfigError: There is a run in `folder` already or a file that this one would replace, it is of another
            configuration, the data is not there, or torchrun started more processes than `devices` says.
        CheckpointError: Weights or state cannot be read.
        SinkError: Another process trains in `folder`, or its figures cannot be written.
        SsaStreamError: The loss is no longer a number.
    """
    with ExitStack() as stack:
        if _is_first() and folder.is_dir():
            stack.enter_context(only_writer(folder))
        return _train(config, folder, stack, observer, resume, should_stop, init, clip, accelerator, devices)


def _train(
    config: TrainConfig,
    folder: Path,
    stack: ExitStack,
    observer: Observer,
    resume: bool,
    should_stop: Callable[[], bool],
    init: Path | None,
    clip: Path | None,
    accelerator: str,
    devices: int,
) -> bool:
    run, is_new = RunFolder(folder), not folder.is_dir()
    run.expect_usable(resume=resume)
    state = run.load_state(config) if run.has_state else None
    fabric = _fabric(config, accelerator, devices)
    fabric.launch()
    model = _build_model(config, init, clip) if state is None else _build_model(config, None, None)
    progress = Progress()
    if state is not None:
        try:
            model.load_state_dict(state["model"])
        except RuntimeError as error:
            raise CheckpointError(f"the state in {folder} is not of {config.model}: {error}") from error
        progress = Progress(state["stage"], state["step"], state["best"])
    if fabric.is_global_zero:
        run.start(config)
        if is_new:
            stack.enter_context(only_writer(folder))
    trainer = Trainer(config, fabric, model.to(fabric.device), run, progress, observer, should_stop)
    within: dict[str, Any] | None = state if state is not None and state["optimizer"] is not None else None
    return trainer.run(within)


def _is_first() -> bool:
    """Whether this is the process that writes, of those that torchrun or Lightning start."""
    return int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0) == 0


def _fabric(config: TrainConfig, accelerator: str, devices: int) -> Fabric:
    started = os.environ.get("LOCAL_WORLD_SIZE")  # set by torchrun
    if started is not None and int(started) != devices:
        raise ConfigError(
            f"torchrun started {started} processes on this machine, but the number of devices is {devices}; expected "
            f"--devices {started}"
        )
    try:
        return Fabric(
            accelerator=accelerator,
            devices=devices,
            strategy="auto" if devices == 1 else "ddp",
            precision=config.precision,
        )
    except (RuntimeError, ValueError) as error:  # Lightning's own errors are of these kinds
        raise ConfigError(f"training cannot run on {devices} x {accelerator}: {error}") from error


def _build_model(config: TrainConfig, init: Path | None, clip: Path | None) -> SSA:
    """The network with its first weights: random by the run's seed, or read."""
    sizes = SsaConfig.from_mapping(load_config("model", config.model))
    weights = None if clip is None else read_clip(clip, sizes)
    if init is not None:
        model = load_checkpoint(init, clip=weights, for_training=True)
        return _with_sizes(model, sizes, f"{init} is a {model.config.name} of other sizes than {config.model}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = SSA(sizes)
        _initialize_trunk(model.clip)
    if weights is not None:
        model.clip.load_state_dict(weights)
    return model


def _with_sizes(model: SSA, sizes: SsaConfig, refusal: str) -> SSA:
    """The same network, with the extensions that it lacks: they change nothing until trained or set."""
    if model.config == sizes:
        return model
    has = extensions_of(model.config)
    if not set(has) <= set(extensions_of(sizes)) or model.config != with_extensions(sizes, has):
        raise ConfigError(refusal)
    return extend_model(model, sizes)


@torch.no_grad()
def _initialize_trunk(clip: CLIP) -> None:
    """Draw weights of the image trunk that keep the size of what goes through, from torch's global generator.

    timm's own first weights let a block add next to nothing at first: layer scales of 1e-6, weights of 0.02. That suits
    hundreds of thousands of steps. Here it costs all that there are; see docs/research/ssa-tiny.md.
    """
    for module in clip.visual.trunk.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            is_depthwise = isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear" if is_depthwise else "relu")
    for name, parameter in clip.visual.trunk.named_parameters():
        if name.endswith(".gamma"):
            nn.init.constant_(parameter, _LAYER_SCALE)
