"""Settings of the stages that teach motion."""

from typing import Literal

from ssa_stream.training.config import require
from ssa_stream.training.tiny.config import TinySegmentStage

__all__ = ["MotionStage"]


class MotionStage(TinySegmentStage, frozen=True, kw_only=True, tag="motion", tag_field="kind"):
    """Teach the video decoder how things move: many sentences about clips whose frames are computed once and kept.

    Each step cuts `batch` windows out of the kept clips and plays half of them backwards. Of `data`, `sentences` is the
    number of sentences about each clip, which differ in the movement that they name.

    Attributes:
        clips: Clips that are kept, over all devices.
        kept_frames: Their length; `frames` is that of the windows.
        teaches: `slots` trains temporal enhancer and pooling to tell what each object does, whatever was asked;
            `decisions` trains all of the video decoder to find what a sentence means.
        ordinary: Other clips in each step of `decisions`, over all devices, with two sentences each of all kinds and
            with the losses of `tiny_clips`.
        ordinary_batches: How many steps' other clips are kept with their frames and come again; 0 computes them anew
            each time.
        velocity_weight: Weight of telling velocities from slots, beside `loss.location_weight`.
        action_weight: Weight of telling from each slot which movements its object makes.
        state_weight: The same of each state of the video queries.
        decision_weight: Weight of deciding whether an object is meant.
        absent_share: How much sentences that mean nothing in a window count together, in `decisions`; there are far
            more of them than in ordinary clips, and left so, they would teach to deny motion.
        noise: Of frame queries, relative to their standard deviation.
        retimed: Part of the windows from clips whose objects rest, stop, start, pause and return where they did not.
        recast: Part of the windows from clips whose objects move as those of other scenes; for networks that are told
            where masks are.
        cast_scenes: How many scenes these movements are from, over all devices.
    """

    clips: int
    kept_frames: int
    teaches: Literal["slots", "decisions"]
    ordinary: int = 0
    ordinary_batches: int = 0
    velocity_weight: float = 30.0
    action_weight: float = 20.0
    state_weight: float = 60.0
    decision_weight: float = 24.0
    absent_share: float = 0.4
    noise: float = 0.05
    retimed: float = 0.0
    recast: float = 0.0
    cast_scenes: int = 4000

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            0 <= self.retimed and 0 <= self.recast and self.retimed + self.recast <= 1,
            f"stage {self.name}: retimed is {self.retimed} and recast {self.recast}; expected 0..1 in sum",
        )
        require(
            0 < self.absent_share < 1,
            f"stage {self.name}: absent_share is {self.absent_share}; expected more than 0 and less than 1",
        )
        require(
            (self.ordinary >= 1) == (self.teaches == "decisions"),
            f"stage {self.name}: ordinary is {self.ordinary}; expected 1 or more where decisions are taught, which "
            f"would be forgotten for other sentences, and 0 where slots are",
        )
        require(
            self.frames[1] <= self.kept_frames,
            f"stage {self.name}: frames are {self.frames} and kept_frames {self.kept_frames}; windows must fit in",
        )
        require(
            self.clips >= 1 and self.ordinary_batches >= 0,
            f"stage {self.name}: clips is {self.clips} and ordinary_batches {self.ordinary_batches}; expected 1 or "
            f"more, and 0 or more",
        )
        require(
            self.loss.frame_layers == 1,
            f"stage {self.name}: loss.frame_layers is {self.loss.frame_layers}; the last layer's queries are all that "
            f"is kept, so set it to 1",
        )
