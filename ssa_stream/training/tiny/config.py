"""Settings of the stages that only `ssa-tiny` has, of their data and of their losses."""

from typing import Literal

from ssa_stream.training.config import LossConfig, SegmentStage, Stage
from ssa_stream.training.data.settings import SyntheticData
from ssa_stream.training.settings import require

__all__ = [
    "ClipPretrainStage",
    "ClipTextStage",
    "MotionStage",
    "TinyClipsStage",
    "TinyData",
    "TinyLoss",
    "TinySegmentStage",
]


class ClipPretrainStage(Stage, frozen=True, kw_only=True, tag="clip_pretrain", tag_field="kind"):
    """Train CLIP contrastively on objects of generated pictures with captions; `batch` counts pictures.

    Attributes:
        view: `crops` shows each object alone, in the middle of a small square; `pictures` shows whole pictures, where
            the features of an object are those within its mask, as SSA finds them. Shapes are learned on crops.
        sizes: Heights and widths of the pictures, in turn; crops are as large in proportion.
        paraphrases: Pairs of sentences in each step, over all devices, that say the same in other words and are told
            apart from those that say something else. Captions of pictures name looks only: this is how the text tower
            learns of motion, relations and numbers.
        paraphrase_scenes: Scenes that these sentences are about.
        freeze_images: Train the text tower only, so that what was learned on its images stays of use.
    """

    view: Literal["crops", "pictures"] = "crops"
    sizes: tuple[tuple[int, int], ...] = ((96, 160),)
    paraphrases: int = 0
    paraphrase_scenes: int = 1000
    freeze_images: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.paraphrases >= 0 and self.paraphrase_scenes >= 1,
            f"stage {self.name}: paraphrases is {self.paraphrases} and paraphrase_scenes {self.paraphrase_scenes}; "
            f"expected 0 or more, and 1 or more",
        )
        require(
            len(self.sizes) >= 1 and all(min(size) >= 64 and size[0] % 32 == size[1] % 32 == 0 for size in self.sizes),
            f"stage {self.name}: sizes are {self.sizes}; expected multiples of 32 from 64 on",
        )


class ClipTextStage(Stage, frozen=True, kw_only=True, tag="clip_text", tag_field="kind"):
    """Teach CLIP's text tower to pass over unknown words and forms; what it says of all other sentences stays.

    So it can come after any stage; nothing else has to be trained again. `batch` counts sentences.

    Attributes:
        scenes: Scenes that the sentences are about.
    """

    scenes: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.scenes >= 1, f"stage {self.name}: scenes is {self.scenes}; expected 1 or more")


class TinyData(SyntheticData, frozen=True, kw_only=True, tag="synthetic", tag_field="source"):
    """Clips from the generator, of which it is known what all objects look like, and what single frames leave open.

    Attributes:
        spread: Frames are drawn at random out of so many consecutive ones, in order: a few frames then show an object
            in places far apart. Sentences are true of all of them. 0 for consecutive frames.
    """

    spread: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.spread >= 0, f"data.spread is {self.spread}; expected 0 or more")


class TinyLoss(LossConfig, frozen=True, kw_only=True):
    """The published losses and further ones, without which a short training from nothing does not get there.

    Attributes:
        location_weight: Weight of telling locations from features and from objects' frame queries, and motion from
            slots. The published queries come from a pre-trained segmenter; without it there is no sense of motion.
        outline_weight: Weight of telling, from objects' frame queries, which way they are turned and how large they
            are; what spins and grows cannot be told without.
        token_weight: Weight of telling from the pixel decoder's features what all objects look like, and which tokens
            are meant.
        slot_weight: Weight, in matching objects to video queries, of the part of frames in which the query's slot
            holds the object's frame query: each video query is then asked about the object that it starts from. The
            published video decoder is free to look for objects in all slots.
        all_objects: Ask queries for the masks of all objects of a clip, and by their class for those that are meant.
            The published training asks for the meant ones alone and starts from a segmenter that knows things.
        duplicate_iou: An unmatched video query whose mask overlaps an object's by more than this is a duplicate, and
            has the object's class and a weight of 1; a stream drops duplicates by their masks. 0 asks of duplicates to
            be told apart by their class, as published.
        video_weight: Factor on the losses of the video decoder's classes and masks.
    """

    location_weight: float = 0.0
    outline_weight: float = 0.0
    token_weight: float = 0.0
    slot_weight: float = 0.0
    all_objects: bool = False
    duplicate_iou: float = 0.0
    video_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.duplicate_iou < 1, f"loss.duplicate_iou is {self.duplicate_iou}; expected 0..1")


class TinySegmentStage(SegmentStage, frozen=True, kw_only=True):
    """Train SSA on generated clips, with further losses.

    Attributes:
        unknown_words: Part of the sentences into which words are put that mean nothing. A text tower that passes over
            phrases it was never told does not do so without a trace, and the network has to bear with that.
    """

    data: TinyData
    loss: TinyLoss = TinyLoss()
    unknown_words: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            0 <= self.unknown_words <= 1, f"stage {self.name}: unknown_words is {self.unknown_words}; expected 0..1"
        )
        most = self.frames[1]
        require(
            self.data.spread == 0 or self.data.spread >= most,
            f"stage {self.name}: data.spread is {self.data.spread}; expected {most} or more, from which {most} "
            f"frames can be drawn, or 0 for consecutive frames",
        )


class TinyClipsStage(TinySegmentStage, frozen=True, kw_only=True, tag="tiny_clips", tag_field="kind"):
    """Train SSA on clips; CLIP is frozen.

    Attributes:
        freeze_video: Leave the video decoder as it is, so that better frames stay what it knows how to read.
    """

    freeze_video: bool = False


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
