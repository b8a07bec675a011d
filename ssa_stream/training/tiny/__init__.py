"""What only `ssa-tiny` needs: stages that train it from nothing, with further losses and on further data.

The rest of `training` knows of none of it, but for `training.recipe`.
"""

from ssa_stream.training.tiny.config import ClipPretrainStage, ClipTextStage, MotionStage, TinyClipsStage

__all__ = ["TinyStage"]

TinyStage = ClipPretrainStage | ClipTextStage | TinyClipsStage | MotionStage
