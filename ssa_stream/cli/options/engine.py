"""From command-line options to a model that is ready to run."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ssa_stream.cli.checks.arguments import check_model
from ssa_stream.cli.options.model import clip_weights
from ssa_stream.cli.views.console import notice, status
from ssa_stream.cores import usable_cores
from ssa_stream.extras import install_command

if TYPE_CHECKING:
    import torch

    from ssa_stream.engines import Engine
    from ssa_stream.model import SSA, OperatorChoice, SsaConfig

__all__ = ["ModelChoice", "all_cores_but_one", "open_model", "with_engine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """Which network, and how it is to run, as the options of a command say it.

    Attributes:
        model: Shipped configuration name or YAML path; used with random weights only, a checkpoint says what it is.
        checkpoint: Weight file, or the name of a shipped one; None takes the default, unless weights are random.
        random_weights: Make meaningless weights instead.
        clip: File with CLIP's weights, for a checkpoint without them.
        download_clip: Tag of the weights that open_clip shall download for such a checkpoint.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        dtype: `auto`, `float32` or `bfloat16`.
        precision: `auto`, `published` or `fast`.
        engine: One of `ssa_stream.engines.ENGINES`.
    """

    model: str
    checkpoint: str | None
    random_weights: bool
    clip: Path | None
    download_clip: str | None
    device: str
    dtype: str
    precision: str = "auto"
    engine: str = "auto"

    def check(self) -> None:
        """Refuse what can be told to be wrong without torch.

        Raises:
            ConfigError: Both checkpoint and random weights, or an unknown device, dtype, precision or engine.
            CheckpointError: A file is not there, or is no checkpoint that runs.
        """
        check_model(
            self.model,
            self.checkpoint,
            random_weights=self.random_weights,
            clip=self.clip,
            download_clip=self.download_clip,
            device=self.device,
            dtype=self.dtype,
            precision=self.precision,
            engine=self.engine,
        )


def open_model(choice: ModelChoice, *, threads: int | None = None) -> "SSA":
    """Load or make a network.

    Args:
        choice: Which; checked.
        threads: Processor threads of torch in this process; None leaves them.
    Raises:
        ConfigError: The device is not there.
        CheckpointError: The checkpoint does not load.
    """
    import torch

    from ssa_stream.checkpoints import DEFAULT_CHECKPOINT, choose_device, open_network, read_info
    from ssa_stream.configs import load_config
    from ssa_stream.model import SsaConfig, build_operator, use_operator
    from ssa_stream.model.precision import checked_precision

    if threads is not None:
        torch.set_num_threads(threads)
    where = choose_device(choice.device, "--device")
    if choice.device == "auto":
        notice(f"device: {where}", event="device", device=str(where))
    if choice.random_weights:
        config = SsaConfig.from_mapping(load_config("model", choice.model))
    else:
        config = read_info(choice.checkpoint or DEFAULT_CHECKPOINT).config
    kind = _dtype(choice.dtype, config, torch.device(where))
    precision = checked_precision(None if choice.precision == "auto" else choice.precision, torch.device(where), kind)
    if where == "cpu":
        with status("preparing deformable attention; on a new machine it is compiled once"):
            build_operator()
    if choice.random_weights:
        network = open_network(random_weights=choice.model, device=where, dtype=kind, precision=precision)
    else:
        name = choice.checkpoint or DEFAULT_CHECKPOINT
        with status(f"loading {name}"):
            weights = clip_weights(config, choice.clip, choice.download_clip)
            network = open_network(name, clip=weights, device=where, dtype=kind, precision=precision)
    _tell_operator(use_operator(network))
    return network


def _dtype(name: str, config: "SsaConfig", device: "torch.device") -> "torch.dtype":
    """The type of a name; `auto` is measured, and said."""
    import torch

    from ssa_stream.model.dtype_choice import choose_dtype

    if name != "auto":
        return torch.bfloat16 if name == "bfloat16" else torch.float32
    with status("measuring float32 against bfloat16"):
        chosen = choose_dtype(config, device)
    notice(f"dtype: {chosen.name} ({chosen.reason})", event="dtype", dtype=chosen.name, ratio=round(chosen.ratio, 2))
    return chosen.dtype


def with_engine(network: "SSA", engine: str, *, window: int | None, whole_clips: bool = False) -> "Engine":
    """Let an engine run a network, and say which it is and why.

    Args:
        network: Loaded.
        engine: As `--engine` says; checked.
        window: Frames of a full window of the sessions that will use it; None where windows have any length.
        whole_clips: Whether many frames come at once, as offline.
    Raises:
        ConfigError: The engine is not installed, or not for this device.
    """
    from ssa_stream.engines import open_engine
    from ssa_stream.engines.opening import FULL_WINDOW

    opened = open_engine(network, engine, say=_say_engine, window=window or FULL_WINDOW, whole_clips=whole_clips)
    name, reason = opened.choice
    words = f"engine: {name}{f' ({reason})' if reason else ''}"
    if "not installed" in reason:
        words += f"; to install it: {install_command('openvino')}"
    notice(words, event="engine", engine=name, reason=reason)
    return opened


def _say_engine(words: str) -> None:
    notice(words, event="engine")


def _tell_operator(operator: "OperatorChoice") -> None:
    """Say what deformable attention runs by where it is the slow way, and that a first start took its time."""
    if operator.reason:
        words = f"deformable attention: torch, without a fused kernel ({operator.reason})"
        if "not installed" in operator.reason:
            words += f"; it is several times as fast after: {install_command('fast')}"
        notice(words, event="operator", operator=operator.name, reason=operator.reason)
    elif operator.compiled_s:
        words = f"deformable attention was compiled for this processor in {operator.compiled_s:.0f} s, and is kept"
        notice(words, event="operator", operator=operator.name, compiled_s=round(operator.compiled_s, 1))


def all_cores_but_one() -> int:
    """Threads for a model that shares its cores with decoding, drawing and other programs; at least one."""
    return max(1, usable_cores() - 1)
