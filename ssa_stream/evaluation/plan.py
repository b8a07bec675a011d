"""Which sentence is asked about which video, and what the model is told instead in a control run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.config import Control
from ssa_stream.evaluation.dataset import Sentence, VideoEntry

__all__ = ["Question", "VideoPlan", "plan_questions"]

_BARE_WORD = "object"
_SHUFFLE_SEED = 0


@dataclass(frozen=True, slots=True)
class Question:
    """A sentence of the data, which says what is right, and the text that the model is given."""

    sentence: Sentence
    asked: str


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """All questions about one video."""

    video: str
    questions: tuple[Question, ...]


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
