"""Names of the engines; importing this loads no torch."""

import re
from typing import Literal, NamedTuple, cast, get_args

from ssa_stream.errors import ConfigError

__all__ = ["ENGINES", "EngineChoice", "EngineName", "split_engine"]

EngineName = Literal["auto", "torch", "openvino", "onnxruntime", "cuda-graph"]
ENGINES: tuple[str, ...] = get_args(EngineName)


_PROVIDER = re.compile(r"[A-Za-z0-9]{1,64}")


def split_engine(engine: str, option: str = "engine") -> tuple[EngineName, str | None]:
    """The engine that a text names, and which of ONNX Runtime's providers: `onnxruntime:Tensorrt`; None if none.

    Args:
        engine: The text.
        option: Of what it is the value, for errors.
    Raises:
        ConfigError: There is no such engine, or it has no providers.
    """
    name, colon, provider = engine.partition(":")
    if name not in ENGINES:
        raise ConfigError(f"{option} is {engine!r}; expected one of {', '.join(ENGINES)}")
    if colon and (name != "onnxruntime" or _PROVIDER.fullmatch(provider) is None):
        raise ConfigError(
            f"{option} is {engine!r}; expected {name}"
            + (", or a provider behind the colon, such as onnxruntime:Tensorrt" if name == "onnxruntime" else "")
        )
    return cast(EngineName, name), provider or None


class EngineChoice(NamedTuple):
    """What runs the stages.

    Attributes:
        name: One of `ENGINES` but `auto`.
        reason: Why it was taken, for a line that says so; empty if it was asked for and works.
    """

    name: str
    reason: str = ""
