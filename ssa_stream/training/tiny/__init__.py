"""What only `ssa-tiny` needs: stages that train it from nothing, with further losses and on further data.

The rest of `training` knows of none of it. Its stages are entries of the tables in `training.recipe`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ssa_stream.training.config import Stage
from ssa_stream.training.loop.stage_runner import StageContext, StageRunner
from ssa_stream.training.tiny.config import ClipPretrainStage, ClipTextStage, MotionStage, TinyClipsStage
from ssa_stream.training.tiny.runners import ClipPretrainRunner, ClipTextRunner, MotionRunner, TinyClipsRunner

__all__ = ["RUNNERS", "TinyStage"]

TinyStage = ClipPretrainStage | ClipTextStage | TinyClipsStage | MotionStage

RUNNERS: Final[Mapping[type[Stage], Callable[[Any, StageContext, StageRunner | None], StageRunner]]] = {
    ClipPretrainStage: ClipPretrainRunner,
    ClipTextStage: ClipTextRunner,
    TinyClipsStage: TinyClipsRunner,
    MotionStage: MotionRunner,
}
