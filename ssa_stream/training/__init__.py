"""Training of SSA: stages of one configuration, resumable at any step."""

from typing import TYPE_CHECKING

from ssa_stream.lazy_names import lazy_names
from ssa_stream.training.recipe import TrainConfig

if TYPE_CHECKING:
    from ssa_stream.training.loop.trainer import Observer, StepReport
    from ssa_stream.training.loop.validation import Validation
    from ssa_stream.training.run import train
else:
    __getattr__ = lazy_names(
        __name__,
        **{"loop.trainer": "Observer StepReport", "loop.validation": "Validation", "run": "train"},
    )

__all__ = ["Observer", "StepReport", "TrainConfig", "Validation", "train"]
