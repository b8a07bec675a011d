"""Settings of the published training, decoded once and checked on the way in: data, losses, optimiser, stages.

A whole run is a `recipe.TrainConfig`; settings of the stages that only `ssa-tiny` has are in `training.tiny`.
"""

import math
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ssa_stream.data import ExpressionType

__all__ = [
    "ClipsStage",
    "LossConfig",
    "MevisData",
    "OptimizerConfig",
    "SegmentStage",
    "Settings",
    "Stage",
    "SyntheticData",
    "ValidationConfig",
    "require",
]

StageName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")]
"""It becomes part of file names."""
_Whole = Annotated[int, Meta(ge=0, le=2**53)]
_Steps = Annotated[int, Meta(ge=1, le=10**9)]
_EdgePx = Annotated[int, Meta(ge=1, le=4096)]
_EdgesPx = Annotated[tuple[_EdgePx, ...], Meta(min_length=1, max_length=100)]
_Frames = Annotated[int, Meta(ge=1, le=1000)]
_Objects = Annotated[int, Meta(ge=1, le=32)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Weight = Annotated[float, Meta(ge=-1e6, le=1e6)]
"""Finite by its limits."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, keyword-only, unknown keys refused."""


def require(condition: bool, message: str) -> None:
    """Refuse settings; `TrainConfig.from_mapping` makes a ConfigError of it.

    Raises:
        ValueError: The condition does not hold.
    """
    if not condition:
        raise ValueError(message)


class SyntheticData(Settings, frozen=True, kw_only=True, tag="synthetic", tag_field="source"):
    """Clips from the generator.

    Attributes:
        size: Height and width in pixels.
        num_clips: Number of distinct clips, repeated in new order; None never repeats one.
        sentences: Sentences per clip, about different objects where there are any; they share the clip's pixels.
        min_objects: Fewest objects in a scene.
        max_objects: Most objects in a scene.
        type_weights: How often each type of sentence is asked for; None takes the generator's own. Of a picture,
            sentences about motion are among the further ones only, and mean every object that looks as they say.
        first_seed: Seed of the first clip.
    """

    size: tuple[_EdgePx, _EdgePx]
    num_clips: _Whole | None = None
    sentences: Annotated[int, Meta(ge=1, le=64)] = 1
    min_objects: _Objects = 2
    max_objects: _Objects = 6
    type_weights: dict[ExpressionType, _Weight] | None = None
    first_seed: _Whole = 0

    def __post_init__(self) -> None:
        require(min(self.size) >= 32, f"data.size is {self.size}; expected (height, width) of at least 32 each")
        require(
            self.num_clips is None or self.num_clips >= 1, f"data.num_clips is {self.num_clips}; expected 1 or more"
        )
        require(self.sentences >= 1, f"data.sentences is {self.sentences}; expected 1 or more")
        require(
            1 <= self.min_objects <= self.max_objects <= 32,
            f"data objects are {self.min_objects} to {self.max_objects}; expected 1 <= min <= max <= 32",
        )


class MevisData(Settings, frozen=True, kw_only=True, tag="mevis", tag_field="source"):
    """Clips of a data set in the MeViS format, sampled and augmented as the paper does.

    Attributes:
        folder: The split's directory, relative to the working directory.
        frame_range: The other frames are drawn within this distance of the reference frame.
        crop_probability: Chance that a clip is cropped by a drifting window.
        flip_probability: Chance of a horizontal flip of clips whose sentence names no side.
        flip_sided: Whether clips whose sentence says left or right are flipped too, with the words left as they are.
        short_edges_px: The shortest edge is resized to one of these.
        long_edge_px: Limit of the longest edge.
    """

    folder: Annotated[str, Meta(min_length=1, max_length=4096)]
    frame_range: Annotated[int, Meta(ge=0, le=10_000)] = 10
    crop_probability: _Share = 0.5
    flip_probability: _Share = 0.5
    flip_sided: bool = False
    short_edges_px: _EdgesPx = (288, 320, 352, 384, 416, 448, 480, 512)
    long_edge_px: _EdgePx = 768


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

    class_weight: _Weight = 2.0
    mask_weight: _Weight = 5.0
    dice_weight: _Weight = 5.0
    similarity_weight: _Weight = 0.5
    no_object_weight: _Weight = 0.1
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

    lr: _Weight
    adapter_lr_factor: _Weight = 1.0
    weight_decay: _Weight = 0.05
    clip_norm: _Weight = 1.0
    warmup_steps: _Whole = 0
    warmup_factor: _Weight = 0.0
    schedule: Literal["cosine", "steps"] = "cosine"
    milestones: Annotated[tuple[_Whole, ...], Meta(max_length=1000)] = ()
    factor: _Weight = 0.1
    final_factor: _Weight = 0.02

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
    steps: _Steps
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

    frames: tuple[_Frames, _Frames]
    data: SyntheticData | MevisData
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
        clips: Number of clips of the validation split; for CLIP, of captioned images.
        frames: Their length.
        size: Their height and width.
        split: `val`, or `train` to look at the very clips that are trained on.
        min_objects: Fewest objects in a scene.
        max_objects: Most objects in a scene.
    """

    every: _Steps
    clips: Annotated[int, Meta(ge=1, le=100_000)] = 50
    frames: _Frames = 6
    size: tuple[_EdgePx, _EdgePx] = (96, 160)
    split: Literal["train", "val"] = "val"
    min_objects: _Objects = 2
    max_objects: _Objects = 6
