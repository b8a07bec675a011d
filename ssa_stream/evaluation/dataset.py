"""What is evaluated on: videos, sentences about them, masks of what they mean; and what the model is asked."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ssa_stream.data import ClipSample
from ssa_stream.errors import ConfigError, ShapeError
from ssa_stream.evaluation.config import Control
from ssa_stream.input_warnings import InputWarning

__all__ = [
    "DEFAULT_FPS",
    "ClipData",
    "EvaluationData",
    "OnBroken",
    "Question",
    "Sentence",
    "VideoEntry",
    "VideoPlan",
    "checked_fps",
    "plan_questions",
    "tolerated",
]

DEFAULT_FPS = 12.0

_BARE_WORD = "object"
_SHUFFLE_SEED = 0


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence about one video; type and held-out flags are None where the data do not tell.

    Attributes:
        annotated: Indices of the frames that have masks and are scored; None for all.
        sample_ids: Names of these frames in results files, where they have any.
    """

    expression_id: str
    text: str
    type: str | None = None
    held_out_pair: bool | None = None
    held_out_phrasing: bool | None = None
    annotated: tuple[int, ...] | None = None
    sample_ids: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class VideoEntry:
    """A video's name, the sentences about it, and its length, which is needed where single frames are annotated."""

    name: str
    sentences: tuple[Sentence, ...]
    num_frames: int | None = None


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

    def frames(self, video: str, indices: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """Read a video, `(T, H, W, 3)` RGB; all of it unless told which frames."""

    def targets(self, video: str, expression_id: str) -> NDArray[np.bool_]:
        """Read the visible mask of each object that a sentence means, `(n, T, H, W)`; `n` is 0 for no target.

        In all frames, or in the annotated ones where only these have masks.
        """


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
        self.fps = checked_fps(fps)
        self.name = name
        self._clips = {f"clip{number:05d}": clip for number, clip in enumerate(clips)}
        self.videos = [VideoEntry(key, (self._sentence(clip),)) for key, clip in self._clips.items()]

    def frames(self, video: str, indices: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """See `EvaluationData`."""
        frames = self._clips[video].frames
        return frames if indices is None else frames[list(indices)]

    def targets(self, video: str, expression_id: str) -> NDArray[np.bool_]:
        """See `EvaluationData`."""
        return self._clips[video].masks

    @staticmethod
    def _sentence(clip: ClipSample) -> Sentence:
        expression = clip.expression
        return Sentence("0", clip.text, clip.type, expression.held_out_pair, expression.held_out_phrasing)


def checked_fps(fps: float) -> float:
    """A number of frames per second; ConfigError if it is not positive."""
    if not 0 < fps < math.inf:
        raise ConfigError(f"fps is {fps}; expected a positive number of frames per second")
    return float(fps)


@dataclass(frozen=True, slots=True)
class Question:
    """A sentence of the data, which says what is right, and the text that the model is given."""

    sentence: Sentence
    asked: str


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """All questions about one video; see `VideoEntry`."""

    video: str
    questions: tuple[Question, ...]
    num_frames: int | None = None


def plan_questions(
    videos: Sequence[VideoEntry], control: Control = "none", limit: int | None = None
) -> list[VideoPlan]:
    """Put the questions together; equal arguments give equal plans.

    Args:
        videos: Of the data set.
        control: `shuffle` gives each sentence the text of one of another video (where one video has more than half of
            all sentences, some texts stay in it). The data's own sentence still says what is right.
        limit: Take only the first so many sentences.
    Raises:
        ConfigError: There is no sentence, or only one to shuffle.
    """
    videos = _limited(videos, limit)
    texts = _texts(videos, control)
    return [
        VideoPlan(
            video.name,
            tuple(Question(sentence, texts[video.name, sentence.expression_id]) for sentence in video.sentences),
            video.num_frames,
        )
        for video in videos
    ]


def _limited(videos: Sequence[VideoEntry], limit: int | None) -> list[VideoEntry]:
    kept, left = [], sum(len(video.sentences) for video in videos) if limit is None else limit
    for video in videos:
        sentences = video.sentences[:left]
        left -= len(sentences)
        if sentences:
            kept.append(replace(video, sentences=sentences))
    if not kept:
        raise ConfigError("the data set has no sentence; expected at least one")
    return kept


def _texts(videos: Sequence[VideoEntry], control: Control) -> dict[tuple[str, str], str]:
    """What the model is told, by video and sentence id."""
    order = (
        np.random.default_rng(_SHUFFLE_SEED).permutation(len(videos)) if control == "shuffle" else range(len(videos))
    )
    keys = [(videos[i].name, sentence.expression_id) for i in order for sentence in videos[i].sentences]
    texts = [sentence.text for i in order for sentence in videos[i].sentences]
    if control == "object":
        texts = [_BARE_WORD] * len(texts)
    if control == "shuffle":
        if len(texts) < 2:
            raise ConfigError("a single sentence cannot be shuffled; expected at least two")
        # Turned by the length of the longest run of one video, no text stays within its run.
        turn = max(len(video.sentences) for video in videos) if len(videos) > 1 else 1
        texts = [*texts[turn:], *texts[:turn]]
    return dict(zip(keys, texts, strict=True))


OnBroken = Callable[[InputWarning], None]
"""Hears of a part of the data that is left out, because it is broken."""


@contextmanager
def tolerated(about: str, on_broken: OnBroken | None) -> Iterator[None]:
    """Leave out what breaks in the body, and say so.

    Args:
        about: Which part of the data it is.
        on_broken: Told what was wrong; None tolerates nothing.
    Raises:
        ConfigError: Nothing is tolerated: it names the part and what is wrong with it.
        ShapeError: Likewise.
    """
    try:
        yield
    except (ConfigError, ShapeError) as error:
        if on_broken is None:
            raise type(error)(f"{about}: {error}") from error
        on_broken(InputWarning(about, str(error)))
