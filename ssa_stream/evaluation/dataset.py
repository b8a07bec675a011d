"""What is evaluated on: videos, sentences about them, and masks of what they mean."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ssa_stream.data import ClipSample, MevisReader
from ssa_stream.errors import ConfigError

__all__ = ["ClipData", "EvaluationData", "MevisData", "Sentence", "VideoEntry"]

DEFAULT_FPS = 12.0


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence about one video; type and held-out flags are None where the data do not tell."""

    expression_id: str
    text: str
    type: str | None = None
    held_out_pair: bool | None = None
    held_out_phrasing: bool | None = None


@dataclass(frozen=True, slots=True)
class VideoEntry:
    """A video's name and the sentences about it."""

    name: str
    sentences: tuple[Sentence, ...]


class EvaluationData(Protocol):
    """A data set; entries are cheap, frames and targets are read when asked for."""

    @property
    def name(self) -> str:
        """What the report calls it."""

    @property
    def fps(self) -> float:
        """Frames per second of all its videos."""

    @property
    def videos(self) -> Sequence[VideoEntry]:
        """All videos; names are unique, and so are the ids of a video's sentences."""

    def frames(self, video: str) -> NDArray[np.uint8]:
        """Read a video, `(T, H, W, 3)` RGB."""

    def targets(self, video: str, expression_id: str) -> NDArray[np.bool_]:
        """Read the visible mask of each object that a sentence means, `(n, T, H, W)`; `n` is 0 for no target."""


class MevisData:
    """A directory in the MeViS format, ours or the public one.

    Args:
        directory: Where `meta_expressions.json` is.
        fps: Frames per second; the format does not tell.
    Raises:
        ConfigError: The directory is not in the format or holds no targets, or `fps` is not positive.
    """

    def __init__(self, directory: Path | str, *, fps: float = DEFAULT_FPS) -> None:
        self.fps = _checked_fps(fps)
        self._reader = MevisReader(directory)
        self.name = Path(directory).resolve().name
        videos = [self._reader.video(name) for name in self._reader.videos]
        if not all(expression.has_targets for video in videos for expression in video.expressions):
            raise ConfigError(f"{directory} does not give the targets of its sentences; expected a split with masks")
        self._expressions = {
            (video.name, expression.expression_id): expression for video in videos for expression in video.expressions
        }
        self.videos = [
            VideoEntry(
                video.name,
                tuple(
                    Sentence(item.expression_id, item.text, item.type, item.held_out_pair, item.held_out_phrasing)
                    for item in video.expressions
                ),
            )
            for video in videos
        ]

    def frames(self, video: str) -> NDArray[np.uint8]:
        """See `EvaluationData`; ConfigError if a picture is missing or broken."""
        return self._reader.frames(video)

    def targets(self, video: str, expression_id: str) -> NDArray[np.bool_]:
        """See `EvaluationData`; ConfigError if a mask is missing or broken."""
        return self._reader.masks(video, self._expressions[video, expression_id])


class ClipData:
    """Clips in memory, such as those of `ssa_stream.data.sample_clip`; each is a video with one sentence.

    Args:
        clips: At least one.
        fps: Frames per second.
        name: What the report calls them.
    Raises:
        ConfigError: There are no clips, or `fps` is not positive.
    """

    def __init__(self, clips: Sequence[ClipSample], *, fps: float = DEFAULT_FPS, name: str = "clips") -> None:
        if not clips:
            raise ConfigError("no clips to evaluate on; expected at least one")
        self.fps = _checked_fps(fps)
        self.name = name
        self._clips = {f"clip{number:05d}": clip for number, clip in enumerate(clips)}
        self.videos = [VideoEntry(key, (self._sentence(clip),)) for key, clip in self._clips.items()]

    def frames(self, video: str) -> NDArray[np.uint8]:
        """See `EvaluationData`."""
        return self._clips[video].frames

    def targets(self, video: str, expression_id: str) -> NDArray[np.bool_]:
        """See `EvaluationData`."""
        return self._clips[video].masks

    @staticmethod
    def _sentence(clip: ClipSample) -> Sentence:
        expression = clip.expression
        return Sentence("0", clip.text, clip.type, expression.held_out_pair, expression.held_out_phrasing)


def _checked_fps(fps: float) -> float:
    if not 0 < fps < math.inf:
        raise ConfigError(f"fps is {fps}; expected a positive number of frames per second")
    return float(fps)
