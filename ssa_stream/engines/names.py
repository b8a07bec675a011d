"""Names of the engines; importing this loads no torch."""

from typing import Literal, NamedTuple, get_args

__all__ = ["ENGINES", "EngineChoice", "EngineName"]

EngineName = Literal["auto", "torch", "openvino", "onnxruntime", "cuda-graph"]
ENGINES: tuple[str, ...] = get_args(EngineName)


class EngineChoice(NamedTuple):
    """What runs the stages.

    Attributes:
        name: One of `ENGINES` but `auto`.
        reason: Why it was taken, for a line that says so; empty if it was asked for and works.
    """

    name: str
    reason: str = ""
