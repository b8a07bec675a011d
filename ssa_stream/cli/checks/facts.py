"""What `ssa-stream doctor` looks at: plain facts about this machine, gathered without judging them."""

import importlib.util
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ssa_stream.cores import usable_cores
from ssa_stream.engines import ENGINES
from ssa_stream.errors import SsaStreamError
from ssa_stream.extras import extra_of

if TYPE_CHECKING:
    from ssa_stream.cli.checks.trials import Trial
    from ssa_stream.nodes.pipeline import PipelineConfig

__all__ = ["PACKAGES", "Camera", "Facts", "Gpu", "PipelineFacts", "gather"]

PACKAGES = {
    "client": ("zmq", "msgpack", "msgspec", "lz4", "numpy"),
    "engine": ("torch", "open_clip", "timm", "av", "cv2", "PIL", "scipy", "safetensors", "pycocotools"),
    "webrtc": ("aiohttp", "aiortc", "prometheus_client"),
}
"""Import names by the extra that installs them."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """What torch says of CUDA.

    Attributes:
        name: Of the first device; None if torch can use none.
        memory_bytes: Of that device.
        driver: Whether the system has a driver for one.
        problem: Why torch cannot use it, as it says itself.
    """

    name: str | None = None
    memory_bytes: int = 0
    driver: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Camera:
    """A device of this machine.

    Attributes:
        path: Of the device.
        name: Of the camera.
        is_usable: Whether this user may open it.
    """

    path: str
    name: str
    is_usable: bool


@dataclass(frozen=True, slots=True)
class PipelineFacts:
    """What was seen of what a pipeline reads and writes.

    Attributes:
        trials: What each source gave when it was tried.
        outputs_problem: Why its outputs cannot be written, or would destroy something; empty if they can.
        long_prompts: Prompts that are not read to their end, each with what is wrong.
        disk_bytes: Free space by the folder that is written to.
    """

    trials: "tuple[Trial, ...]" = ()
    outputs_problem: str = ""
    long_prompts: tuple[str, ...] = ()
    disk_bytes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """This machine, and the pipeline that it is to run.

    Attributes:
        pipeline: The pipeline; None if it could not be read.
        pipeline_problem: Why it could not.
        python: Version of Python.
        missing: Packages that are not installed, by extra.
        engines: Libraries that can run the network's stages in the place of torch, if they are installed.
        has_curve: Whether ZeroMQ can encrypt.
        cores: That this process may use.
        memory_bytes: Free memory; None if not known.
        open_files: Most files that a program may open here once it has raised its limit, as a graph does at its start.
        open_files_now: The limit before that.
        gpu: CUDA; None if torch is missing.
        cameras: Of this machine.
        taken: Addresses of the pipeline at which nobody can listen, each with the reason.
        shared_bytes: Free shared memory; None where the system has none.
        shared_folder: Where that is.
        temp_folder: Where sockets will lie.
        temp_problem: Why they cannot.
        checkpoint: What the weights are; empty if they cannot be read.
        checkpoint_problem: Why not.
        keys_problem: Why the pipeline's keys cannot be used; empty if they can, or there are none.
        open_secrets: Files with secret keys that others can read.
        tried: What the pipeline reads and writes; None if it was not tried.
    """

    pipeline: "PipelineConfig | None" = None
    pipeline_problem: str = ""
    python: tuple[int, int] = (3, 11)
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    engines: tuple[str, ...] = ()
    has_curve: bool = True
    cores: int = 4
    memory_bytes: int | None = None
    open_files: int = 1024
    open_files_now: int = 1024
    gpu: Gpu | None = None
    cameras: tuple[Camera, ...] = ()
    taken: Mapping[str, str] = field(default_factory=dict)
    shared_bytes: int | None = None
    shared_folder: str = "/dev/shm"
    temp_folder: str = "/tmp"
    temp_problem: str = ""
    checkpoint: str = ""
    checkpoint_problem: str = ""
    keys_problem: str = ""
    open_secrets: tuple[str, ...] = ()
    tried: PipelineFacts | None = None


def gather(pipeline: str, tried_s: float | None = None) -> Facts:
    """Look at this machine; nothing on it is changed.

    Args:
        pipeline: Shipped name or file of the pipeline that it is to run.
        tried_s: Seconds for which each of its sources is read; None does not try what it reads and writes.
    """
    config, problem = _pipeline(pipeline)
    missing = {extra: tuple(name for name in names if _is_missing(name)) for extra, names in PACKAGES.items()}
    checkpoint, checkpoint_problem = ("", "") if missing["engine"] else _checkpoint(config)
    keys_problem, open_secrets = _keys(config)
    limits = _file_limits()
    return Facts(
        pipeline=config,
        pipeline_problem=problem,
        python=sys.version_info[:2],
        missing={extra: names for extra, names in missing.items() if names},
        engines=tuple(name for name in ENGINES if extra_of(name) is not None and not _is_missing(name)),
        has_curve="zmq" not in missing["client"] and _has_curve(),
        cores=usable_cores(),
        memory_bytes=_free_memory(),
        open_files=limits[1],
        open_files_now=limits[0],
        gpu=None if "torch" in missing["engine"] else _gpu(),
        cameras=_cameras(),
        taken={} if config is None else _taken(config),
        shared_bytes=shutil.disk_usage("/dev/shm").free if Path("/dev/shm").is_dir() else None,
        temp_folder=tempfile.gettempdir(),
        temp_problem=_temp_problem(),
        checkpoint=checkpoint,
        checkpoint_problem=checkpoint_problem,
        keys_problem=keys_problem,
        open_secrets=open_secrets,
        tried=None if config is None or tried_s is None or missing["engine"] else _tried(config, tried_s),
    )


def _tried(config: "PipelineConfig", seconds: float) -> PipelineFacts:
    from ssa_stream.cli.checks.outputs import free_space, outputs_problem
    from ssa_stream.cli.checks.trials import try_sources

    return PipelineFacts(
        trials=try_sources(config, seconds),
        outputs_problem=outputs_problem(config),
        long_prompts=_long_prompts(config),
        disk_bytes=free_space(config),
    )


def _long_prompts(config: "PipelineConfig") -> tuple[str, ...]:
    from ssa_stream.nodes.ingest.prompt_check import length_warning

    texts = {
        f"stream {name}: {text!r}": text
        for name, stream in config.streams.items()
        for prompts in (stream.prompts, *(change.prompts for change in stream.changes))
        for text in (prompts.values() if isinstance(prompts, dict) else prompts)
    }
    try:
        said = {where: length_warning(config.model, text) for where, text in texts.items()}
    except SsaStreamError:  # of a checkpoint that cannot be read, which its own check tells
        return ()
    return tuple(f"{where[:60]}: {warning}" for where, warning in said.items() if warning is not None)


def _is_missing(name: str) -> bool:
    return importlib.util.find_spec(name) is None


def _pipeline(name: str) -> "tuple[PipelineConfig | None, str]":
    try:
        from ssa_stream.nodes.pipeline import load_pipeline

        return load_pipeline(name), ""
    except (SsaStreamError, ModuleNotFoundError) as error:
        return None, str(error)


def _has_curve() -> bool:
    from ssa_stream.keys import can_encrypt

    return can_encrypt()


def _free_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    available = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(available[0]) * 1024 if available else None


def _file_limits() -> tuple[int, int]:
    from ssa_stream.nodes.runtime.descriptors import file_limits

    return file_limits()


def _gpu() -> Gpu:
    driver = Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists()
    import torch

    if not torch.cuda.is_available():
        return Gpu(driver=driver, problem="" if torch.version.cuda else "this build of torch has no CUDA")
    try:
        about = torch.cuda.get_device_properties(0)
    except RuntimeError as error:
        return Gpu(driver=driver, problem=str(error).splitlines()[0])
    return Gpu(name=about.name, memory_bytes=about.total_memory, driver=True)


def _cameras() -> tuple[Camera, ...]:
    from ssa_stream.sources.camera import list_cameras

    return tuple(Camera(path, name, os.access(path, os.R_OK | os.W_OK)) for path, name in list_cameras().items())


def _taken(config: "PipelineConfig") -> dict[str, str]:
    found = {}
    for address in (config.public.publish, config.public.requests):
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        if not port.isdecimal() or port == "0":
            continue
        host = "0.0.0.0" if host == "*" else host.strip("[]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as ZeroMQ does
            try:
                probe.bind((host, int(port)))
                probe.listen(1)
            except OSError as error:
                found[address] = error.strerror or str(error)
    return found


def _temp_problem() -> str:
    try:
        with tempfile.TemporaryDirectory(prefix="ssa-doctor-"):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _checkpoint(config: "PipelineConfig | None") -> tuple[str, str]:
    """What the pipeline's weights are, and what is wrong with them."""
    if config is not None and config.model.random_weights:
        return "random weights, as the pipeline says", ""
    from ssa_stream.checkpoints import DEFAULT_CHECKPOINT, located, read_info

    name = (config.model.checkpoint if config is not None else None) or DEFAULT_CHECKPOINT
    try:
        info = read_info(located(name))
    except (SsaStreamError, OSError) as error:
        return "", str(error)
    return f"{name}: {info.config.name}, {info.size_bytes / 2**20:.0f} MiB", ""


def _keys(config: "PipelineConfig | None") -> tuple[str, tuple[str, ...]]:
    if config is None or config.public.keys is None:
        return "", ()
    from ssa_stream.keys import ServerKeys

    try:
        ServerKeys.load(config.public.keys)
    except SsaStreamError as error:
        return str(error), ()
    secrets = Path(config.public.keys).rglob("*.key_secret")
    return "", tuple(str(path) for path in secrets if path.stat().st_mode & 0o077)
