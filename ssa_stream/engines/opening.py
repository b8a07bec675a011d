"""From a name to an engine that is ready, or to torch with the reason for it."""

import importlib.util
from collections.abc import Callable

from ssa_stream.engines.cache import EngineCache
from ssa_stream.engines.cuda_graphs import open_cuda_graphs
from ssa_stream.engines.engine import Engine, GraphEngine
from ssa_stream.engines.graphs import STAGES, weights_of
from ssa_stream.engines.names import EngineChoice, split_engine
from ssa_stream.engines.runtime import Runtime
from ssa_stream.engines.stage_runner import FULL_WINDOW, StageRunner, build_command
from ssa_stream.errors import ConfigError
from ssa_stream.model import SSA

__all__ = ["FULL_WINDOW", "build_engines", "open_engine"]


def open_engine(
    network: SSA,
    engine: str = "auto",
    *,
    say: Callable[[str], None] | None = None,
    window: int = FULL_WINDOW,
    builds: bool = True,
    whole_clips: bool = False,
    cache: EngineCache | None = None,
) -> Engine:
    """Choose what runs the stages of a network.

    Args:
        network: On its device.
        engine: `torch`; `openvino` or `onnxruntime`, which are built when a size comes that they were not built for;
            `auto` takes the first of these that is installed and was built for these weights, else torch.
        say: Is told what is being built, and what is left to torch.
        window: Frames of a full window of the sessions that will use it.
        builds: Whether an engine that is asked for by name is built when a size comes; else torch runs what was not
            built ahead. A graph of nodes cannot wait for minutes.
        whole_clips: Whether many frames come at once, as offline: they are run in pieces where shapes are fixed. A
            stream has many only when a prompt is new, and torch runs these.
        cache: Where graphs are kept; None takes the user's cache.
    Returns:
        `Stages`; its `choice` says which engine it is and why.
    Raises:
        ConfigError: There is no such engine, it is not installed, or not for this device.
    """
    tell = say or (lambda words: None)
    name, _ = split_engine(engine)
    if name == "torch":
        return Engine(network, EngineChoice("torch"))
    if name == "auto":
        return _chosen(network, tell, window, whole_clips, cache)
    if name == "cuda-graph":
        return open_cuda_graphs(network, tell)
    place, runtime = cache or EngineCache(), _runtime(engine, network)
    runner = StageRunner(network, runtime, place, builds=builds, window=window, say=tell, in_pieces=whole_clips)
    return GraphEngine(network, EngineChoice(engine), runner)


def build_engines(
    network: SSA,
    engine: str,
    size: tuple[int, int],
    *,
    rows: int = 1,
    window: int = FULL_WINDOW,
    say: Callable[[str], None],
    cache: EngineCache | None = None,
) -> bool:
    """Build an engine ahead, for all later starts.

    Args:
        network: On the processor.
        engine: `openvino` or `onnxruntime`.
        size: Height and width of the padded pictures at the network.
        rows: Prompts of a stream: it is built for so many and for each smaller number.
        window: Frames of a full window.
        say: Is told what is being done.
        cache: Where graphs are kept; None takes the user's cache.
    Returns:
        Whether all of it is proven; what is not was told to `say`.
    Raises:
        ConfigError: The engine is not installed, or not for this device.
        OSError: The cache cannot be written.
    """
    runner = StageRunner(
        network, _runtime(engine, network), cache or EngineCache(), builds=True, window=window, say=say
    )
    return all([runner.build(size, count) for count in range(1, rows + 1)])


def _chosen(
    network: SSA, say: Callable[[str], None], window: int, whole_clips: bool, cache: EngineCache | None
) -> Engine:
    if network.device.type != "cpu":
        reason = (
            "cuda-graph is there, too, but was never measured" if network.device.type == "cuda" else "no other runs"
        )
        return Engine(network, EngineChoice("torch", f"{reason} on {network.device}"))
    if not any(weights_of(network, stage) for stage in STAGES):
        return Engine(network, EngineChoice("torch", "no stage of an engine runs here"))
    installed = [name for name in _FASTEST_FIRST if _is_installed(name)]
    if not installed:
        return Engine(network, EngineChoice("torch", f"neither {' nor '.join(_FASTEST_FIRST)} is installed"))
    place = cache or EngineCache()
    for name in installed if place.root.is_dir() else []:
        runtime = _runtime(name, network)
        runner = StageRunner(network, runtime, place, builds=False, window=window, say=say, in_pieces=whole_clips)
        if sizes := runner.has_any():
            return GraphEngine(network, EngineChoice(name, f"it is built for {', '.join(sizes)}"), runner)
    command = build_command(network, installed[0], window=window)
    reason = f"{installed[0]} is installed, but not built for these weights as they are loaded; to build it: {command}"
    return Engine(network, EngineChoice("torch", reason))


_FASTEST_FIRST = ("openvino", "onnxruntime")
"""What `auto` chooses from."""


def _is_installed(package: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in (package, "onnx"))


def _runtime(engine: str, network: SSA) -> Runtime:
    name, provider = split_engine(engine)
    if name not in _FASTEST_FIRST:
        raise ConfigError(f"engine {name!r} is not there yet; choose {', '.join(_FASTEST_FIRST)} or torch")
    if network.device.type != "cpu":
        raise ConfigError(
            f"engine {name!r} needs the network on the processor, and it is on {network.device}: choose device cpu"
            + ("; a GPU is named by its provider, such as onnxruntime:CUDA" if name == "onnxruntime" else "")
        )
    if not _is_installed(name):
        raise ConfigError(f"engine {name!r} is not installed; install the extra `{name}`, or choose torch")
    if name == "openvino":
        from ssa_stream.engines.openvino import OpenvinoRuntime

        return OpenvinoRuntime()
    from ssa_stream.engines.onnxruntime import OnnxRuntime

    return OnnxRuntime(provider)
