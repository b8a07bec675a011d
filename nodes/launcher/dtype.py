"""`model.dtype: auto` of a graph: measured once, before its nodes are there, so that all of them have the same type."""

import json
import subprocess
import sys
from collections.abc import Callable

import msgspec

from ssa_stream.errors import SsaStreamError
from ssa_stream.nodes.pipeline import ModelSection, PipelineConfig
from ssa_stream.nodes.runtime.signals import end_with_parent
from ssa_stream.nodes.runtime.weights import network_config

__all__ = ["measured_dtype", "with_measured_dtype"]

_LONGEST_S = 120.0
"""Of the process that measures: it imports torch, and may run on a machine that is busy."""


def with_measured_dtype(config: PipelineConfig, say: Callable[[str], None]) -> PipelineConfig:
    """The graph with the type that is faster here, if its settings leave the choice; else as it is.

    A process of its own measures: this one may be a launcher, which imports no torch.

    Args:
        config: The graph.
        say: Told which type it is, and why.
    Raises:
        SsaStreamError: Measuring failed, or took too long.
    """
    if config.model.dtype != "auto":
        return config
    command = [
        sys.executable,
        "-P",
        "-m",
        "ssa_stream.nodes.launcher.dtype",
        msgspec.json.encode(config.model).decode(),
    ]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LONGEST_S)
    except subprocess.TimeoutExpired:
        raise SsaStreamError(f"model.dtype auto was not measured within {_LONGEST_S:g} s; name a type") from None
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise SsaStreamError(f"model.dtype auto could not be measured ({words[0]}); name a type: float32 or bfloat16")
    found = json.loads(done.stdout)
    say(f"dtype: {found['dtype']} ({found['reason']})")
    model = msgspec.structs.replace(config.model, dtype=found["dtype"])
    return msgspec.structs.replace(config, model=model)


def measured_dtype(section: ModelSection) -> dict[str, str]:
    """Measure, for about a second; `dtype` and `reason`.

    Raises:
        ConfigError: There is no such configuration or device.
        CheckpointError: The checkpoint cannot be read.
    """
    import torch

    from ssa_stream.checkpoints import choose_device
    from ssa_stream.model.dtype_choice import choose_dtype

    if section.threads is not None:
        torch.set_num_threads(section.threads)
    device = torch.device(choose_device(section.device, "model.device"))
    chosen = choose_dtype(network_config(section), device)
    return {"dtype": chosen.name, "reason": chosen.reason}


def _main() -> None:
    """Print what is measured for the settings in the argument."""
    end_with_parent()
    try:
        found = measured_dtype(msgspec.json.decode(sys.argv[1], type=ModelSection))
    except SsaStreamError as error:
        sys.exit(str(error))
    sys.stdout.write(json.dumps(found))  # read by `with_measured_dtype`, not by people


if __name__ == "__main__":
    _main()
