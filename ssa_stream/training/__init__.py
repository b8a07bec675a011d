"""Training of SSA: stages of one configuration, resumable at any step."""

from ssa_stream.training.loop.trainer import Observer, StepReport
from ssa_stream.training.loop.validation import Validation
from ssa_stream.training.recipe import TrainConfig
from ssa_stream.training.run import train

__all__ = ["Observer", "StepReport", "TrainConfig", "Validation", "train"]
