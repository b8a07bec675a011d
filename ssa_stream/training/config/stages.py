"""Settings of one stage of a run, and of its validation."""

from typing import Literal

from ssa_stream.training.config import Settings, require
from ssa_stream.training.config.data import MevisData, SyntheticData
from ssa_stream.training.config.loss import LossConfig
from ssa_stream.training.config.optimizer import OptimizerConfig

__all__ = ["ClipsStage", "SegmentStage", "Stage", "ValidationConfig"]


class Stage(Settings, frozen=True, kw_only=True):
    """What every stage has.

    Attributes:
        name: Its name in logs.
        steps: Number of optimiser steps.
        batch: Clips per step, over all devices.
        optimizer: Optimiser and schedule, started anew with the stage.
    """

    name: str
    steps: int
    batch: int
    optimizer: OptimizerConfig

    def __post_init__(self) -> None:
        require(self.steps >= 1 and self.batch >= 1, f"stage {self.name}: steps and batch must be 1 or more")


class SegmentStage(Stage, frozen=True, kw_only=True):
    """Train SSA on clips; CLIP is frozen.

    Attributes:
        frames: Fewest and most frames of a clip, no more than the window; the length is drawn anew for each step. A
            clip of one frame is an image.
        data: Where clips come from.
        loss: Losses.
        dropout: Dropout instead of the model's own; None keeps that. Clips that are never seen twice need none.
    """

    frames: tuple[int, int]
    data: SyntheticData | MevisData
    loss: LossConfig = LossConfig()
    dropout: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.frames[0] <= self.frames[1], f"stage {self.name}: frames are {self.frames}; need 1 <= a <= b")


class ClipsStage(SegmentStage, frozen=True, kw_only=True, tag="clips", tag_field="kind"):
    """Train SSA as published.

    Attributes:
        stochastic_depth: Leave the frozen CLIP in training mode, so that its stochastic depth is active; a quirk of
            the published training.
    """

    stochastic_depth: bool = False


class ValidationConfig(Settings, frozen=True, kw_only=True):
    """How progress is judged: always on the same clips, so that all stages can be compared.

    Attributes:
        every: Steps between validations; also done at the end of a stage.
        clips: Number of clips of the validation split; for CLIP, of captioned images.
        frames: Their length.
        size: Their height and width.
        split: `val`, or `train` to look at the very clips that are trained on.
        min_objects: Fewest objects in a scene.
        max_objects: Most objects in a scene.
    """

    every: int
    clips: int = 50
    frames: int = 6
    size: tuple[int, int] = (96, 160)
    split: Literal["train", "val"] = "val"
    min_objects: int = 2
    max_objects: int = 6
