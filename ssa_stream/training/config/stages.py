"""What a training run does: stages one after the other, each with its data, sizes, losses and optimiser."""

from typing import Any, Literal

import msgspec

from ssa_stream.errors import ConfigError
from ssa_stream.training.config.data import MevisData, SyntheticData
from ssa_stream.training.config.loss import LossConfig
from ssa_stream.training.config.optimizer import OptimizerConfig

__all__ = [
    "ClipPretrainStage",
    "ClipTextStage",
    "ClipsStage",
    "ImagesStage",
    "LongClipsStage",
    "MotionStage",
    "SegmentStage",
    "Stage",
    "TrainConfig",
    "ValidationConfig",
]


class _Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, keyword-only, unknown keys refused."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


class _Stage(_Config, frozen=True, kw_only=True):
    """What every stage has.

    Attributes:
        name: Its name in logs.
        steps: Number of optimiser steps.
        batch: Images or clips per step, over all devices.
        optimizer: Optimiser and schedule, started anew with the stage.
    """

    name: str
    steps: int
    batch: int
    optimizer: OptimizerConfig

    def __post_init__(self) -> None:
        _require(self.steps >= 1 and self.batch >= 1, f"stage {self.name}: steps and batch must be 1 or more")


class ClipPretrainStage(_Stage, frozen=True, kw_only=True, tag="clip_pretrain", tag_field="kind"):
    """Train CLIP contrastively on objects of generated pictures with captions; `batch` counts pictures.

    Attributes:
        view: `crops` shows each object alone, in the middle of a small square; `pictures` shows whole pictures, where
            the features of an object are those within its mask, as SSA finds them. Shapes are learned on crops.
        sizes: Heights and widths of the pictures, in turn; crops are as large in proportion.
        attribute_weight: Weight of naming shape, colour and texture from each trunk stage.
        paraphrases: Pairs of sentences in each step, over all devices, that say the same in other words and are told
            apart from those that say something else. Captions of pictures name looks only: this is how the text tower
            learns of motion, relations and numbers.
        paraphrase_scenes: Scenes that these sentences are about.
        freeze_images: Train the text tower only, so that what was learned on its images stays of use.
    """

    view: Literal["crops", "pictures"] = "crops"
    sizes: tuple[tuple[int, int], ...] = ((96, 160),)
    attribute_weight: float = 1.0
    paraphrases: int = 0
    paraphrase_scenes: int = 1000
    freeze_images: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(
            self.paraphrases >= 0 and self.paraphrase_scenes >= 1,
            f"stage {self.name}: paraphrases is {self.paraphrases} and paraphrase_scenes {self.paraphrase_scenes}; "
            f"expected 0 or more, and 1 or more",
        )
        _require(
            len(self.sizes) >= 1 and all(min(size) >= 64 and size[0] % 32 == size[1] % 32 == 0 for size in self.sizes),
            f"stage {self.name}: sizes are {self.sizes}; expected multiples of 32 from 64 on",
        )


class ClipTextStage(_Stage, frozen=True, kw_only=True, tag="clip_text", tag_field="kind"):
    """Teach CLIP's text tower to pass over unknown words and forms; what it says of all other sentences stays.

    So it can come after any stage; nothing else has to be trained again. `batch` counts sentences.

    Attributes:
        scenes: Scenes that the sentences are about.
    """

    scenes: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.scenes >= 1, f"stage {self.name}: scenes is {self.scenes}; expected 1 or more")


class SegmentStage(_Stage, frozen=True, kw_only=True):
    """Train SSA on clips; CLIP is frozen.

    Attributes:
        data: Where clips come from.
        loss: Losses.
        stochastic_depth: Leave the frozen CLIP in training mode, so that its stochastic depth is active; a quirk of
            the published training.
        dropout: Dropout instead of the model's own; None keeps that. Clips that are never seen twice need none.
        unknown_words: Part of the sentences into which words are put that mean nothing. A text tower that passes over
            phrases it was never told does not do so without a trace, and the network has to bear with that.
    """

    data: SyntheticData | MevisData
    loss: LossConfig = LossConfig()
    stochastic_depth: bool = False
    dropout: float | None = None
    unknown_words: float = 0.0

    @property
    def frame_range(self) -> tuple[int, int]:
        """Fewest and most frames of a clip; one step has clips of one length."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(
            0 <= self.unknown_words <= 1, f"stage {self.name}: unknown_words is {self.unknown_words}; expected 0..1"
        )
        if isinstance(self.data, SyntheticData):
            most = self.frame_range[1]
            _require(
                self.data.spread == 0 or self.data.spread >= most,
                f"stage {self.name}: data.spread is {self.data.spread}; expected {most} or more, from which {most} "
                f"frames can be drawn, or 0 for consecutive frames",
            )
        else:
            _require(
                not (self.loss.all_objects or self.loss.token_weight),
                f"stage {self.name}: loss.all_objects is {self.loss.all_objects} and loss.token_weight "
                f"{self.loss.token_weight}, but a data set in the MeViS format knows only what sentences mean; leave "
                f"both out, or take synthetic data",
            )


class ImagesStage(SegmentStage, frozen=True, kw_only=True, tag="images", tag_field="kind"):
    """Single images."""

    @property
    def frame_range(self) -> tuple[int, int]:
        """One frame."""
        return 1, 1


class ClipsStage(SegmentStage, frozen=True, kw_only=True, tag="clips", tag_field="kind"):
    """Clips that fit into the window.

    Attributes:
        frames: Fewest and most frames; the length is drawn anew for each step.
        freeze_video: Leave the video decoder as it is, so that better frames stay what it knows how to read.
    """

    frames: tuple[int, int]
    freeze_video: bool = False

    @property
    def frame_range(self) -> tuple[int, int]:
        """Fewest and most frames of a clip."""
        return self.frames

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(
            1 <= self.frames[0] <= self.frames[1], f"stage {self.name}: frames are {self.frames}; need 1 <= a <= b"
        )


class MotionStage(ClipsStage, frozen=True, kw_only=True, tag="motion", tag_field="kind"):
    """Teach the video decoder how things move: many sentences about clips whose frames are computed once and kept.

    Each step cuts `batch` windows out of the kept clips and plays half of them backwards. Of `data`, `sentences` is the
    number of sentences about each clip, which differ in the movement that they name.

    Attributes:
        clips: Clips that are kept, over all devices.
        kept_frames: Their length; `frames` is that of the windows.
        teaches: `slots` trains temporal enhancer and pooling to tell what each object does, whatever was asked;
            `decisions` trains all of the video decoder to find what a sentence means.
        ordinary: Other clips in each step of `decisions`, over all devices, with all kinds of sentences and with the
            losses of ordinary stages.
        ordinary_sentences: Sentences about each of them.
        ordinary_batches: How many steps' other clips are kept with their frames and come again; 0 computes them anew
            each time.
        velocity_weight: Weight of telling velocities from slots, beside `loss.location_weight`.
        action_weight: Weight of telling from each slot which movements its object makes.
        state_weight: The same of each state of the video queries.
        asked_weight: Weight of telling from each state of the video queries which movement was asked for.
        decision_weight: Weight of deciding whether an object is meant.
        absent_share: How much sentences that mean nothing in a window count together, in `decisions`; there are far
            more of them than in ordinary clips, and left so, they would teach to deny motion.
        noise: Of frame queries, relative to their standard deviation.
        retimed: Part of the windows from clips whose objects rest, stop, start, pause and return where they did not.
        recast: Part of the windows from clips whose objects move as those of other scenes; for networks that are told
            where masks are.
        cast_scenes: How many scenes these movements are from, over all devices.
    """

    data: SyntheticData
    clips: int
    kept_frames: int
    teaches: Literal["slots", "decisions"]
    ordinary: int = 0
    ordinary_sentences: int = 2
    ordinary_batches: int = 0
    velocity_weight: float = 30.0
    action_weight: float = 20.0
    state_weight: float = 60.0
    asked_weight: float = 1.0
    decision_weight: float = 24.0
    absent_share: float = 0.4
    noise: float = 0.05
    retimed: float = 0.0
    recast: float = 0.0
    cast_scenes: int = 4000

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(
            0 <= self.retimed and 0 <= self.recast and self.retimed + self.recast <= 1,
            f"stage {self.name}: retimed is {self.retimed} and recast {self.recast}; expected 0..1 in sum",
        )
        _require(
            0 < self.absent_share < 1,
            f"stage {self.name}: absent_share is {self.absent_share}; expected more than 0 and less than 1",
        )
        _require(
            (self.ordinary >= 1) == (self.teaches == "decisions"),
            f"stage {self.name}: ordinary is {self.ordinary}; expected 1 or more where decisions are taught, which "
            f"would be forgotten for other sentences, and 0 where slots are",
        )
        _require(
            not self.freeze_video,
            f"stage {self.name}: freeze_video is set; nothing but the video decoder is trained, so leave it out",
        )
        _require(
            self.frames[1] <= self.kept_frames,
            f"stage {self.name}: frames are {self.frames} and kept_frames {self.kept_frames}; windows must fit in",
        )
        _require(
            self.clips >= 1 and self.ordinary_sentences >= 1 and self.ordinary_batches >= 0,
            f"stage {self.name}: clips is {self.clips}, ordinary_sentences {self.ordinary_sentences} and "
            f"ordinary_batches {self.ordinary_batches}; expected 1 or more, and 0 or more batches",
        )
        _require(
            self.loss.frame_layers == 1,
            f"stage {self.name}: loss.frame_layers is {self.loss.frame_layers}; the last layer's queries are all that "
            f"is kept, so set it to 1",
        )


class LongClipsStage(ClipsStage, frozen=True, kw_only=True, tag="long_clips", tag_field="kind"):
    """Clips longer than the window: the frames before it come in through the carried pool, without gradient.

    Attributes:
        window: Frames that the video decoder sees at once.
        half_life_frames: After how many frames the influence of a frame that has left the window halves.
    """

    window: int = 8
    half_life_frames: float = 16.0

    @property
    def decay(self) -> float:
        """Factor on the weight of frames that have left the window, per frame."""
        return 0.0 if self.half_life_frames == 0 else float(0.5 ** (1 / self.half_life_frames))

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.window >= 1, f"stage {self.name}: window is {self.window}; expected 1 or more")


Stage = ClipPretrainStage | ClipTextStage | ImagesStage | ClipsStage | MotionStage | LongClipsStage


class ValidationConfig(_Config, frozen=True, kw_only=True):
    """How progress is judged: always on the same clips, so that all stages can be compared.

    Attributes:
        every: Steps between validations; also done at the end of a stage.
        clips: Number of clips of the validation split; for CLIP, of captioned images.
        frames: Their length.
        size: Their height and width.
        mode: How clips are run, see `ssa_stream.evaluation.EvaluationMode`; `causal` is what a stream does.
        split: `val`, or `train` to look at the very clips that are trained on.
        min_objects: Fewest objects in a scene.
        max_objects: Most objects in a scene.
    """

    every: int
    clips: int = 50
    frames: int = 6
    size: tuple[int, int] = (96, 160)
    mode: Literal["offline", "windowed", "causal"] = "offline"
    split: Literal["train", "val"] = "val"
    min_objects: int = 2
    max_objects: int = 6


class TrainConfig(_Config, frozen=True, kw_only=True):
    """A whole training run.

    Attributes:
        name: Name of the run.
        model: A shipped model configuration, or the path of one.
        stages: Done in order.
        validation: How progress is judged.
        seed: All chance follows from it.
        precision: Lightning Fabric's name of the number format: `32-true`, `bf16-mixed` or `16-mixed`.
        save_every: Steps between saved states.
        log_every: Steps between lines in the log.
        workers: Processes that prepare data; 0 does it between steps.
        ema_decay: Checkpoints and validation take a running mean of the weights, in which each step's mean weighs so
            much in the next; 0 for the weights themselves. A stage ends with its mean.
    """

    name: str
    model: str
    stages: tuple[Stage, ...]
    validation: ValidationConfig
    seed: int = 0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    save_every: int = 500
    log_every: int = 20
    workers: int = 0
    ema_decay: float = 0.0

    def __post_init__(self) -> None:
        _require(0 <= self.ema_decay < 1, f"ema_decay is {self.ema_decay}; expected 0 or more, below 1")
        _require(len(self.stages) > 0, "stages is empty; expected at least one")
        names = [stage.name for stage in self.stages]
        _require(len(set(names)) == len(names), f"stages are named {names}; expected different names")

    @classmethod
    def from_mapping(cls, mapping: object) -> "TrainConfig":
        """Build a config from decoded YAML.

        Raises:
            ConfigError: Unknown or missing keys, wrong types, or values out of range.
        """
        try:
            return msgspec.convert(mapping, cls)
        except (msgspec.ValidationError, ValueError) as error:
            raise ConfigError(f"training configuration is not valid: {error}") from error

    def to_mapping(self) -> dict[str, Any]:
        """The same config as plain dictionaries."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built
