"""From command-line options to a model that is ready to run."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ssa_stream.cli.options.model import clip_weights
from ssa_stream.cli.views.console import errors, status
from ssa_stream.errors import ConfigError

if TYPE_CHECKING:
    from ssa_stream.model import SSA

__all__ = ["all_cores_but_one", "open_model"]

_RANDOM_SEED = 0


def open_model(
    model: str,
    checkpoint: str | None,
    *,
    random_weights: bool,
    clip: Path | None = None,
    download_clip: str | None = None,
    device: str = "auto",
    dtype: str = "float32",
    threads: int | None = None,
) -> "SSA":
    """Load or make the network.

    Args:
        model: Shipped configuration name or YAML path; used with random weights only, a checkpoint says what it is.
        checkpoint: Weight file, or the name of a shipped one; None takes the default, unless weights are random.
        random_weights: Make meaningless weights instead.
        clip: File with CLIP's weights, for a checkpoint without them.
        download_clip: Tag of the weights that open_clip shall download for such a checkpoint.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        dtype: `float32` or `bfloat16`.
        threads: Processor threads of torch in this process; None leaves them.
    Raises:
        ConfigError: Both checkpoint and random weights, or an unknown device or dtype.
        CheckpointError: The checkpoint does not load.
    """
    if random_weights and checkpoint is not None:
        raise ConfigError(f"give either --checkpoint {checkpoint} or --random-weights, not both")
    import torch

    from ssa_stream.checkpoints import DEFAULT_CHECKPOINT, load_checkpoint, read_info

    if threads is not None:
        torch.set_num_threads(threads)
    where = _device(device)
    if dtype not in ("float32", "bfloat16"):
        raise ConfigError(f"--dtype is {dtype!r}; expected float32 or bfloat16")
    kind = torch.bfloat16 if dtype == "bfloat16" else torch.float32
    if random_weights:
        errors().print("[bold yellow]random weights:[/] the masks mean nothing; they show that the pipeline runs")
        return _random_model(model).to(where).cast(kind)
    name = checkpoint or DEFAULT_CHECKPOINT
    with status(f"loading {name}"):
        weights = clip_weights(read_info(name).config, clip, download_clip)
        return load_checkpoint(name, device=where, dtype=kind, clip=weights)


def all_cores_but_one() -> int:
    """Threads for a model that shares its cores with decoding, drawing and other programs; at least one."""
    return max(1, len(os.sched_getaffinity(0)) - 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 2) - 1)


def _device(name: str) -> str:
    """The device to use. `auto` is the only choice made for the user, and it is printed."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        errors().print(f"device: {name}")
    elif name != "cpu" and not (name.startswith("cuda") and torch.cuda.is_available()):
        raise ConfigError(f"--device is {name!r} but this machine offers: cpu{', cuda' * torch.cuda.is_available()}")
    return name


def _random_model(name: str) -> "SSA":
    import torch

    from ssa_stream.configs import load_config
    from ssa_stream.model import SSA, SsaConfig

    with torch.random.fork_rng():
        torch.manual_seed(_RANDOM_SEED)
        return SSA(SsaConfig.from_mapping(load_config("model", name))).eval()
