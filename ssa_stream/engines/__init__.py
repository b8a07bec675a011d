"""Engines: what runs the stages of the network. `torch` is the reference, which the others are compared with."""

from ssa_stream.engines.names import ENGINES, EngineChoice, EngineName

__all__ = ["ENGINES", "EngineChoice", "EngineName"]
