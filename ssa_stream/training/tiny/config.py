"""Settings of the stages that only `ssa-tiny` has, but for those of `motion`."""

from typing import Literal

from ssa_stream.training.config import require
from ssa_stream.training.config.data import SyntheticData
from ssa_stream.training.config.loss import LossConfig
from ssa_stream.training.config.stages import SegmentStage, Stage

__all__ = ["ClipPretrainStage", "ClipTextStage", "TinyClipsStage", "TinyData", "TinyLoss", "TinySegmentStage"]


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
