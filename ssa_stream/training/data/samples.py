"""The samples of data sets: a sentence about a video, or about one annotated frame of it. Loads no torch."""

from typing import NamedTuple

import numpy as np

from ssa_stream.data import DataPlace, ReferringData, ReferringExpression, ReferringVideo, open_data, parse_data
from ssa_stream.errors import ConfigError
from ssa_stream.training.config import ValidationConfig
from ssa_stream.training.data.settings import ReferringSets, TrainingSet

__all__ = ["Sample", "SampleIndex", "open_held_out", "open_sets"]

_NO_FRAME = -1


class Sample(NamedTuple):
    """What a clip is made of.

    Attributes:
        data: Reads its frames and masks.
        place: The data set.
        video: The video.
        expression: The sentence.
        frame: The frame that has to be in the clip; None for any.
    """

    data: ReferringData
    place: DataPlace
    video: ReferringVideo
    expression: ReferringExpression
    frame: int | None

    @property
    def text(self) -> str:
        """The sentence as the network is given it; those about pictures of COCO in lower case, as published."""
        return self.expression.text.lower() if self.place.kind.name.startswith("refcoco") else self.expression.text

    def __str__(self) -> str:
        frame = "" if self.frame is None else f", frame {self.video.frames[self.frame]}"
        return (
            f"{self.place.kind.name}:{self.place.root}, video {self.video.name!r}, sentence "
            f"{self.expression.expression_id!r}{frame}"
        )


class SampleIndex:
    """All samples of one set; small, as frames and masks are read when they are asked for.

    Where only some frames have masks, each of them is a sample of its own.

    Args:
        part: The set.
    Raises:
        ConfigError: A data set is not there or not in its format, or no sentence has masks.
    """

    def __init__(self, part: TrainingSet) -> None:
        places = [parse_data(text) for text in part.places]
        self._opened = [(place, open_data(place, part.split)) for place in places]
        self._names = [data.videos for _, data in self._opened]
        rows = [
            (number, v, e, frame)
            for number, (_, data) in enumerate(self._opened)
            for v, name in enumerate(data.videos)
            for e, expression in enumerate(data.video(name).expressions)
            if expression.has_targets
            for frame in ((_NO_FRAME,) if expression.annotated is None else expression.annotated)
        ]
        if not rows:
            raise ConfigError(
                f"{', '.join(part.places)}: split {part.split} has no sentence with masks; expected one with "
                "public masks"
            )
        self._rows = np.array(rows, np.int32)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        """A sample by its number."""
        number, v, e, frame = self._rows[index].tolist()
        place, data = self._opened[number]
        video = data.video(self._names[number][v])
        return Sample(data, place, video, video.expressions[e], None if frame == _NO_FRAME else frame)


def open_held_out(config: ValidationConfig) -> SampleIndex | None:
    """Open the public data set that progress is judged on; None if it is the generator.

    Raises:
        ConfigError: It is not there or not in its format, or its masks are not public.
    """
    if config.data is None:
        return None
    try:
        return SampleIndex(TrainingSet(data=config.data, split=config.split))
    except ConfigError as error:
        raise ConfigError(f"validation: {error}") from error


def open_sets(data: ReferringSets, stage: str) -> list[SampleIndex]:
    """Open all sets of a stage.

    Args:
        data: Their settings.
        stage: The stage's name, for messages.
    Raises:
        ConfigError: A data set is not there or not in its format, or has nothing to train on.
    """
    try:
        return [SampleIndex(part) for part in data.sets]
    except ConfigError as error:
        raise ConfigError(f"stage {stage}: {error}") from error
