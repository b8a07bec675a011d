"""Settings of the published training, decoded once and checked on the way in: losses, optimiser, stages.

A whole run is a `recipe.TrainConfig`. Settings of the data are in `training.data.settings`, those of the stages that
only `ssa-tiny` has in `training.tiny`.
"""

import math
from typing import Annotated, Literal

from msgspec import Meta

from ssa_stream.training.data.settings import ReferringSets, SyntheticData
from ssa_stream.training.settings import EdgePx, Frames, Objects, Settings, Steps, Weight, Whole, require

__all__ = [
    "ClipsStage",
    "LossConfig",
    "OptimizerConfig",
    "SegmentStage",
    "Stage",
    "ValidationConfig",
]

StageName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")]
"""It becomes part of file names."""


class LossConfig(Settings, frozen=True, kw_only=True):
    """The losses of the published training.

    Attributes:
        class_weight: Weight of the class loss, and of the class in matching.
        mask_weight: Weight of the mask's cross-entropy, in loss and matching.
        dice_weight: Weight of the dice loss, in loss and matching.
        similarity_weight: Weight of the similarity loss. The published code multiplies by 1 where 0.5 is configured.
        no_object_weight: Weight of unmatched queries in the class loss.
        num_points: Points at which masks are compared.
        frame_layers: Last layers of the frame decoder whose queries go through the video decoder, as extra batch.
        misordered_similarity: Take the embeddings of the similarity loss by indices of another order, as the
            published code does.
    """

    class_weight: Weight = 2.0
    mask_weight: Weight = 5.0
    dice_weight: Weight = 5.0
    similarity_weight: Weight = 0.5
    no_object_weight: Weight = 0.1
    num_points: Annotated[int, Meta(ge=1, le=10**6)] = 12544
    frame_layers: Annotated[int, Meta(ge=1, le=64)] = 3
    misordered_similarity: bool = False

    def __post_init__(self) -> None:
        require(self.num_points >= 1, f"loss.num_points is {self.num_points}; expected 1 or more")
        require(self.frame_layers >= 1, f"loss.frame_layers is {self.frame_layers}; expected 1 or more")


class OptimizerConfig(Settings, frozen=True, kw_only=True):
    """AdamW, clipping and schedule.

    Attributes:
        lr: Base learning rate.
        adapter_lr_factor: Factor on the rate of the stage adapters; 0.1 in the published fine-tuning.
        weight_decay: Of all but normalisation parameters and embedding tables.
        clip_norm: Limit of the total gradient norm.
        warmup_steps: Steps in which the rate rises linearly from `warmup_factor`.
        warmup_factor: Factor at the first step.
        schedule: `steps` multiplies by `factor` at each milestone; `cosine` falls to `final_factor` at the stage's end.
        milestones: Steps of `steps`.
        factor: Of `steps`.
        final_factor: Of `cosine`.
    """

    lr: Weight
    adapter_lr_factor: Weight = 1.0
    weight_decay: Weight = 0.05
    clip_norm: Weight = 1.0
    warmup_steps: Whole = 0
    warmup_factor: Weight = 0.0
    schedule: Literal["cosine", "steps"] = "cosine"
    milestones: Annotated[tuple[Whole, ...], Meta(max_length=1000)] = ()
    factor: Weight = 0.1
    final_factor: Weight = 0.02

    def __post_init__(self) -> None:
        require(
            self.lr > 0 and self.clip_norm > 0 and self.weight_decay >= 0 and self.warmup_steps >= 0,
            f"optimizer: lr {self.lr} and clip_norm {self.clip_norm} must be positive, weight_decay "
            f"{self.weight_decay} and warmup_steps {self.warmup_steps} not negative",
        )

    def lr_factor(self, step: int, steps: int) -> float:
        """Factor on the learning rate.

        Args:
            step: Number of optimiser steps done before this one.
            steps: Length of the stage.
        """
        factor = 1.0
        if step < self.warmup_steps:
            factor = self.warmup_factor + (1 - self.warmup_factor) * (step + 1) / self.warmup_steps
            factor = min(1.0, factor)
        if self.schedule == "steps":
            return factor * self.factor ** sum(step >= milestone for milestone in self.milestones)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
        return factor * (self.final_factor + (1 - self.final_factor) * cosine)


class Stage(Settings, frozen=True, kw_only=True):
    """What every stage has.

    Attributes:
        name: Its name in logs.
        steps: Number of optimiser steps.
        batch: Clips per step, over all devices.
        optimizer: Optimiser and schedule, started anew with the stage.
    """

    name: StageName
    steps: Steps
    batch: Annotated[int, Meta(ge=1, le=65_536)]
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

    frames: tuple[Frames, Frames]
    data: SyntheticData | ReferringSets
    loss: LossConfig = LossConfig()
    dropout: Annotated[float, Meta(ge=0, lt=1)] | None = None

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
        data: A public data set, `KIND:DIR`, of which a fixed part is taken; None for clips of the generator.
        clips: Number of clips of the validation split; for CLIP, of captioned images.
        frames: Their length; of a public video, so many frames in a row from its middle, or one annotated frame where
            not all are.
        size: Their height and width; those of a public data set are resized to such edges.
        split: `val`, or `train` to look at the very clips that are trained on; of a public data set, one of its own.
        min_objects: Fewest objects in a scene of the generator.
        max_objects: Most objects in a scene of the generator.
    """

    every: Steps
    data: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    clips: Annotated[int, Meta(ge=1, le=100_000)] = 50
    frames: Frames = 6
    size: tuple[EdgePx, EdgePx] = (96, 160)
    split: Annotated[str, Meta(min_length=1, max_length=100)] = "val"
    min_objects: Objects = 2
    max_objects: Objects = 6

    def __post_init__(self) -> None:
        require(
            self.data is not None or self.split in ("train", "val"),
            f"validation.split is {self.split!r}; expected train or val, or validation.data with a split of that name",
        )
