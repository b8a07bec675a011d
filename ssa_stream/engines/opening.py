"""From a name to an engine that is ready, or to torch with the reason for it."""

import importlib.util
from collections.abc import Callable

from ssa_stream.engines.cache import EngineCache
from ssa_stream.engines.engine import Engine, GraphEngine
from ssa_stream.engines.names import ENGINES, EngineChoice, EngineName
from ssa_stream.engines.runtime import Runtime
from ssa_stream.engines.stage_runner import StageRunner
from ssa_stream.errors import ConfigError
from ssa_stream.model import SSA

__all__ = ["build_engines", "open_engine"]

FULL_WINDOW = 8
"""Frames of a window unless a session asks for another number."""


def open_engine(
    network: SSA,
    engine: EngineName = "auto",
    *,
    say: Callable[[str], None] | None = None,
    window: int = FULL_WINDOW,
    cache: EngineCache | None = None,
) -> Engine:
    """Choose what runs the stages of a network.

    Args:
        network: On its device.
        engine: `torch`; `openvino`, which is built when a size comes that it was not built for; `auto` takes openvino
            where it is installed and was built for these weights, else torch.
        say: Is told what is being built, and what is left to torch.
        window: Frames of a full window of the sessions that will use it.
        cache: Where graphs are kept; None takes the user's cache.
    Returns:
        `Stages`; its `choice` says which engine it is and why.
    Raises:
        ConfigError: There is no such engine, it is not installed, or not for this device.
    """
    tell = say or (lambda words: None)
    if engine not in ENGINES:
        raise ConfigError(f"engine is {engine!r}; expected one of {', '.join(ENGINES)}")
    if engine == "torch":
        return Engine(network, EngineChoice("torch"))
    if engine == "auto":
        return _chosen(network, tell, window, cache)
    runner = StageRunner(
        network, _runtime(engine, network), cache or EngineCache(), builds=True, window=window, say=tell
    )
    return GraphEngine(network, EngineChoice(engine), runner)


def build_engines(
    network: SSA,
    engine: EngineName,
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
        engine: `openvino`.
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


def _chosen(network: SSA, say: Callable[[str], None], window: int, cache: EngineCache | None) -> Engine:
    if network.device.type != "cpu":
        return Engine(
            network, EngineChoice("torch", f"engines of their own are for processors; this is {network.device}")
        )
    if not _is_installed("openvino"):
        return Engine(network, EngineChoice("torch", "openvino is not installed"))
    place = cache or EngineCache()
    if not place.root.is_dir():
        return Engine(network, EngineChoice("torch", _NOT_BUILT))
    runner = StageRunner(network, _runtime("openvino", network), place, builds=False, window=window, say=say)
    sizes = runner.has_any()
    if not sizes:
        return Engine(network, EngineChoice("torch", _NOT_BUILT))
    return GraphEngine(network, EngineChoice("openvino", f"it is built for {', '.join(sizes)}"), runner)


_NOT_BUILT = "openvino is installed, but not built for these weights; to build it: ssa-stream engine build"


def _is_installed(package: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in (package, "onnx"))


def _runtime(engine: str, network: SSA) -> Runtime:
    if engine != "openvino":
        raise ConfigError(f"engine {engine!r} is not there yet; choose openvino or torch")
    if network.device.type != "cpu":
        raise ConfigError(f"engine 'openvino' is for processors; the network is on {network.device}: choose device cpu")
    if not _is_installed("openvino"):
        raise ConfigError("engine 'openvino' is not installed; install the extra `openvino`, or choose torch")
    from ssa_stream.engines.openvino import OpenvinoRuntime

    return OpenvinoRuntime()
