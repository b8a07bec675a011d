"""What is wrong with the arguments of a command, told before torch is imported and a network is loaded.

What only torch can tell comes later: whether there is a GPU, whether tensors have the right shapes.
"""

import importlib.util
import re
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssa_stream.checkpoints import DEFAULT_CHECKPOINT, read_info
from ssa_stream.checkpoints.info import CLIP_WAYS, expect_trained
from ssa_stream.cli.options.model import check_clip
from ssa_stream.configs import load_config
from ssa_stream.engines import split_engine
from ssa_stream.errors import CheckpointError, ConfigError, SourceError, TransportError
from ssa_stream.extras import extra_of, install_command
from ssa_stream.model import SsaConfig
from ssa_stream.sources import check_source
from ssa_stream.streaming import SessionConfig
from ssa_stream.streaming.prompts import PromptBook

if TYPE_CHECKING:
    from ssa_stream.nodes.pipeline import PipelineConfig

__all__ = ["check_device", "check_engine", "check_free", "check_graph", "check_model", "check_prompts", "http_places"]

_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?")
_DTYPES = ("auto", "float32", "bfloat16")
_PRECISIONS = ("auto", "published", "fast")
_TCP = re.compile(r"tcp://(?P<host>.*):(?P<port>[0-9]+)")


def check_prompts(config: SessionConfig, *prompts: Sequence[str]) -> None:
    """Refuse prompts that a session would refuse.

    Args:
        config: Of the session.
        prompts: The first ones, and those of each change.
    Raises:
        ConfigError: One is empty or has hidden characters, or there are too many at a time.
    """
    for texts in prompts:
        PromptBook().set(texts, max_prompts=config.max_prompts)


def check_device(device: str, option: str = "--device") -> None:
    """Refuse what is the name of no device.

    Raises:
        ConfigError: It is none.
    """
    if _DEVICE.fullmatch(device) is None:
        raise ConfigError(f"{option} is {device!r}; expected auto, cpu, cuda or cuda:N, such as cuda:0")


def check_engine(engine: str, option: str = "--engine") -> None:
    """Refuse what is no engine, and one whose library is not installed.

    Raises:
        ConfigError: It is that.
    """
    name, _ = split_engine(engine, option)
    extra = extra_of(name)
    if extra is not None and importlib.util.find_spec(name) is None:
        raise ConfigError(
            f"{option} is {name}, which is not installed; install it with: {install_command(extra)}; or leave the "
            f"choice to auto"
        )


def check_model(
    model: str,
    checkpoint: str | None,
    *,
    random_weights: bool,
    clip: Path | None = None,
    download_clip: str | None = None,
    device: str = "auto",
    dtype: str = "float32",
    precision: str = "auto",
    engine: str = "auto",
) -> None:
    """Refuse what `open_model` would refuse, as far as it can be told without torch; of a file the header is read.

    Args:
        model: As for `open_model`; so are the others.
        checkpoint: Weight file, or the name of a shipped one.
        random_weights: Whether weights are made instead.
        clip: File with CLIP's weights.
        download_clip: Tag of the weights to download.
        device: Name of a device.
        dtype: Name of a type.
        precision: Name of a precision.
        engine: Name of an engine.
    Raises:
        ConfigError: Options that do not go together, an unknown model, device, type, precision or engine; or the extra
            of the engine is not installed.
        CheckpointError: A file is not there, is no checkpoint, or lacks CLIP's weights and none are given.
    """
    if random_weights and checkpoint is not None:
        raise ConfigError(f"give either --checkpoint {checkpoint} or --random-weights, not both")
    check_device(device)
    if dtype not in _DTYPES:
        raise ConfigError(f"--dtype is {dtype!r}; expected one of {', '.join(_DTYPES)}")
    if precision not in _PRECISIONS:
        raise ConfigError(f"--precision is {precision!r}; expected one of {', '.join(_PRECISIONS)}")
    check_engine(engine)
    check_clip(clip, download_clip)
    if random_weights:
        SsaConfig.from_mapping(load_config("model", model))
        return
    info = read_info(checkpoint or DEFAULT_CHECKPOINT)
    expect_trained(info)
    if not info.contains_clip and clip is None and download_clip is None:
        raise CheckpointError(f"{info.path} holds no CLIP weights. {CLIP_WAYS}")


def check_graph(config: "PipelineConfig", *further: tuple[str, int]) -> None:
    """Refuse a graph whose model, sources or addresses are wrong; its files are for `check_pipeline_files`.

    Args:
        config: The graph.
        further: Other hosts and ports that the command listens at.
    Raises:
        ConfigError: A setting is wrong.
        CheckpointError: The checkpoint cannot be used.
        SourceError: A source is not there or is none. Where nodes are processes, a file is not decoded here: that one
            breaks a decoder may cost a node, not the graph.
        TransportError: Somebody listens at an address already.
    """
    section = config.model
    check_model(
        section.name,
        section.checkpoint,
        random_weights=section.random_weights,
        device=section.device,
        dtype=section.dtype,
        precision=section.precision,
        engine=section.engine,
    )
    for name, stream in config.streams.items():
        _check_stream(name, stream.source, stream.live, decodes=config.placement == "fused")
    if config.public.keys is not None:
        from ssa_stream.keys import ServerKeys

        ServerKeys.load(config.public.keys)
    check_free(*_places((config.public.publish, config.public.requests)), *further)


def check_free(*places: tuple[str, int]) -> None:
    """Refuse addresses at which somebody listens already.

    Args:
        places: Hosts and ports; port 0 is always free.
    Raises:
        TransportError: One is taken, or this machine has no such address.
    """
    for host, port in places:
        try:
            found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, kind, protocol, _, address in found[:1]:
                with socket.socket(family, kind, protocol) as one:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    one.bind(address)
                    one.listen(1)
        except socket.gaierror:  # the name of a network interface, perhaps: whoever listens there knows
            continue
        except OSError as error:
            raise TransportError(
                f"cannot listen at {host}:{port} ({error.strerror}); is another graph running there? End it, or choose "
                f"another address"
            ) from error


def http_places(address: str | None, *, insecure: bool) -> list[tuple[str, int]]:
    """Where health and metrics are to be served, for `check_graph`; nothing if they are not.

    Args:
        address: `HOST:PORT`.
        insecure: Whether other machines may reach it.
    Raises:
        ConfigError: It is no address, or other machines could reach it.
    """
    if address is None:
        return []
    from ssa_stream.nodes.health.server import HttpAddress

    place = HttpAddress.parse(address, insecure=insecure)
    return [(place.host, place.port)]


def _check_stream(name: str, source: str, live: bool | None, *, decodes: bool) -> None:
    try:
        check_source(source, live=live, decodes=decodes)
    except (ConfigError, SourceError) as error:
        error.args = (f"stream {name}: {error}",)
        raise


def _places(addresses: Iterable[str]) -> list[tuple[str, int]]:
    """Hosts and ports of ZeroMQ's addresses; one that leaves the port open is left out."""
    found = [match for address in addresses if (match := _TCP.fullmatch(address))]
    return [("" if match["host"] == "*" else match["host"].strip("[]"), int(match["port"])) for match in found]
