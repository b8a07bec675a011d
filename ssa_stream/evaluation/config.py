"""Settings of an evaluation."""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from ssa_stream.errors import ConfigError
from ssa_stream.streaming import SessionConfig

__all__ = ["Control", "EvaluationConfig", "EvaluationMode", "check_mode"]

EvaluationMode = Literal["offline", "windowed", "causal", "realtime"]
"""`offline`: the whole clip at once. `windowed`: windows of `session.window` frames that know nothing of each other.
`causal`: a session, frame by frame. `realtime`: a session that gets the newest frame whenever it is free."""

Control = Literal["none", "shuffle", "object"]
"""`shuffle`: each sentence is replaced by one of another video. `object`: each is replaced by the word "object"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
    """How a model is run and scored.

    Attributes:
        session: Selection, network size, window; for `causal` and `realtime` also memory and tracking.
        control: Whether sentences are replaced, to see how much the model uses them.
        limit: Evaluate only the first so many sentences; None for all.
        etas: Offsets in frames for which `realtime` reports streaming J&F.
        model_ms: `realtime`: time that each frame takes; None measures it, and results then depend on the machine.
        prompts_per_session: `causal`: sentences of a video that run together; changes speed, not what is measured.
    """

    session: SessionConfig = field(default_factory=SessionConfig)
    control: Control = "none"
    limit: int | None = None
    etas: tuple[float, ...] = (0.0,)
    model_ms: float | None = None
    prompts_per_session: int = 4

    def __post_init__(self) -> None:
        if self.control not in get_args(Control):
            raise ConfigError(f"control is {self.control!r}; expected one of {', '.join(get_args(Control))}")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit is {self.limit}; expected at least 1, or none")
        if not self.etas or not all(math.isfinite(eta) for eta in self.etas):
            raise ConfigError(f"etas are {self.etas}; expected at least one number of frames")
        if self.model_ms is not None and not 0 <= self.model_ms < math.inf:
            raise ConfigError(f"model_ms is {self.model_ms}; expected 0 or more milliseconds, or none to measure it")
        if self.prompts_per_session < 1:
            raise ConfigError(f"prompts_per_session is {self.prompts_per_session}; expected at least 1")


def check_mode(mode: str) -> None:
    """Raise ConfigError if there is no such mode."""
    if mode not in get_args(EvaluationMode):
        raise ConfigError(f"mode is {mode!r}; expected one of {', '.join(get_args(EvaluationMode))}")
