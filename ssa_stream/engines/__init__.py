"""Engines: what runs the stages of the network. `torch` is the reference, which the others are compared with."""

from typing import TYPE_CHECKING

from ssa_stream.engines.names import ENGINES, EngineChoice, EngineName, split_engine
from ssa_stream.lazy_names import lazy_names

if TYPE_CHECKING:
    from ssa_stream.engines.cache import EngineCache
    from ssa_stream.engines.engine import Engine
    from ssa_stream.engines.opening import build_engines, open_engine
else:
    __getattr__ = lazy_names(__name__, cache="EngineCache", engine="Engine", opening="build_engines open_engine")

__all__ = [
    "ENGINES",
    "Engine",
    "EngineCache",
    "EngineChoice",
    "EngineName",
    "build_engines",
    "open_engine",
    "split_engine",
]
