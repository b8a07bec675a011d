"""Data sets on disk, as an evaluation takes them: the public ones by kind, and folders in the MeViS format."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssa_stream.data import MevisReader
from ssa_stream.data.kinds import DataPlace, open_data, split_of
from ssa_stream.data.referring import ReferringData, ReferringExpression, ReferringVideo
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.dataset import DEFAULT_FPS, Sentence, VideoEntry, checked_fps, tolerated
from ssa_stream.input_warnings import InputWarning

__all__ = ["ReferringDataset"]


class ReferringDataset:
    """A data set on disk: a public one, or ours.

    Args:
        data: Its reader.
        name: What the report calls it.
        fps: Frames per second; the data sets do not tell.
    Attributes:
        left_out: Videos whose annotations are broken.
    Raises:
        ConfigError: The data set holds no targets, all of it is broken, or `fps` is not positive.
    """

    def __init__(self, data: ReferringData, *, name: str, fps: float = DEFAULT_FPS) -> None:
        self.fps = checked_fps(fps)
        self.name = name
        self._data = data
        self.left_out: list[InputWarning] = []
        videos = []
        for video in data.videos:
            with tolerated(f"video {video}", self.left_out.append):
                videos.append(data.video(video))
        if self.left_out and not videos:
            raise ConfigError(str(self.left_out[0]))
        if not all(expression.has_targets for video in videos for expression in video.expressions):
            raise ConfigError(f"{name} does not give the targets of its sentences; expected a split with masks")
        self._expressions = {
            (video.name, expression.expression_id): expression for video in videos for expression in video.expressions
        }
        self.videos = [_entry(video) for video in videos]

    @classmethod
    def of_folder(cls, directory: Path | str, *, fps: float = DEFAULT_FPS) -> "ReferringDataset":
        """Open a folder in the MeViS format, ours or a split of the public one; ConfigError if it is none."""
        return cls(MevisReader(directory), name=Path(directory).resolve().name, fps=fps)

    @classmethod
    def of_place(cls, place: DataPlace, split: str | None = None, *, fps: float = DEFAULT_FPS) -> "ReferringDataset":
        """Open a split of a public data set; ConfigError if its files are missing or broken."""
        name = f"{place.kind.name}/{split_of(place.kind, split)}"
        return cls(open_data(place, split), name=name, fps=fps)

    def frames(self, video: str, indices: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """See `EvaluationData`; ConfigError if a picture is missing or broken."""
        return self._data.frames(video, indices)

    def targets(self, video: str, expression_id: str) -> NDArray[np.bool_]:
        """See `EvaluationData`; ConfigError if a mask is missing or broken."""
        return self._data.masks(video, self._expressions[video, expression_id])


def _entry(video: ReferringVideo) -> VideoEntry:
    return VideoEntry(video.name, tuple(map(_sentence, video.expressions)), len(video.frames))


def _sentence(item: ReferringExpression) -> Sentence:
    return Sentence(
        item.expression_id,
        item.text,
        item.type,
        item.held_out_pair,
        item.held_out_phrasing,
        item.annotated,
        item.sample_ids,
    )
