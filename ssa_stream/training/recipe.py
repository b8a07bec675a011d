"""A recipe: all that a training run does, and which stages there are to choose from. Checking one loads no torch.

This is the one module that knows of `training.tiny`: its stages are entries of the union and of the table here.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ssa_stream.errors import ConfigError
from ssa_stream.training import tiny
from ssa_stream.training.config import ClipsStage, Stage, ValidationConfig
from ssa_stream.training.settings import Settings, require

if TYPE_CHECKING:
    from ssa_stream.training.loop.stage_runner import StageContext, StageRunner

__all__ = ["TrainConfig", "prepare_stage"]


def prepare_stage(stage: Stage, context: "StageContext", previous: "StageRunner | None" = None) -> "StageRunner":
    """Make a stage ready to be run.

    Args:
        stage: Its settings.
        context: Where it is run.
        previous: The stage before it, which may have made what this one needs; None for the first, and after a resume.
    """
    from ssa_stream.training.loop.stage_runner import ClipsRunner
    from ssa_stream.training.tiny.runners import RUNNERS, MakeRunner

    runners: Mapping[type[Stage], MakeRunner] = {ClipsStage: ClipsRunner, **RUNNERS}
    return runners[type(stage)](stage, context, previous)


class TrainConfig(Settings, frozen=True, kw_only=True):
    """A whole training run.

    Attributes:
        name: Name of the run.
        model: A shipped model configuration, or the path of one.
        stages: Done in order.
        validation: How progress is judged.
        seed: All chance follows from it.
        precision: Lightning Fabric's name of the number format: `32-true`, `bf16-mixed` or `16-mixed`.
        save_every: Steps between saved states.
        log_every: Steps between lines in the log.
        workers: Processes that prepare data; 0 does it between steps.
        ema_decay: Checkpoints and validation take an exponential moving average of the weights, in which each step's
            average weighs so much in the next; 0 for the weights themselves. A stage ends with its average.
    """

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    model: Annotated[str, Meta(min_length=1, max_length=4096)]
    stages: Annotated[tuple[ClipsStage | tiny.TinyStage, ...], Meta(max_length=1000)]
    validation: ValidationConfig
    seed: Annotated[int, Meta(ge=0, le=2**53)] = 0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    save_every: Annotated[int, Meta(ge=1, le=10**9)] = 500
    log_every: Annotated[int, Meta(ge=1, le=10**9)] = 20
    workers: Annotated[int, Meta(ge=0, le=256)] = 0
    ema_decay: Annotated[float, Meta(ge=0, lt=1)] = 0.0

    def __post_init__(self) -> None:
        require(0 <= self.ema_decay < 1, f"ema_decay is {self.ema_decay}; expected 0 or more, below 1")
        require(len(self.stages) > 0, "stages is empty; expected at least one")
        names = [stage.name for stage in self.stages]
        require(len(set(names)) == len(names), f"stages are named {names}; expected different names")

    @classmethod
    def from_mapping(cls, mapping: object) -> "TrainConfig":
        """Build a config from decoded YAML.

        Raises:
            ConfigError: Unknown or missing keys, wrong types, or values out of range.
        """
        try:
            return msgspec.convert(mapping, cls)
        except (msgspec.ValidationError, ValueError, RecursionError) as error:
            raise ConfigError(f"training configuration is not valid: {error}") from error

    def to_mapping(self) -> dict[str, Any]:
        """The same config as plain dictionaries."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built
