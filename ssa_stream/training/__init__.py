"""Training of SSA: stages of one configuration, resumable at any step."""

from ssa_stream.training.config import TrainConfig
from ssa_stream.training.run import train
from ssa_stream.training.trainer import Observer, StepReport
from ssa_stream.training.validation import Validation

__all__ = ["Observer", "StepReport", "TrainConfig", "Validation", "train"]
