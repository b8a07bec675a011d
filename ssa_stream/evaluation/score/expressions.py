"""J and F of each frame of each sentence, from one picture a frame: what one process does with one video."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from ssa_stream.data.referring import ReferringExpression, ReferringVideo, StoredMasks
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.score.answers import (
    MissingAnswerError,
    UnreadableAnswerError,
    expect_names,
    listed,
    read_grey,
)
from ssa_stream.metrics.mask_pair import MeasuredMask, score_pair

__all__ = ["Answered", "ExpressionRule", "ExpressionScore", "score_video"]

_TRUTH_BYTES: Final = 64 * 2**20
"""Of masks that are decoded at once, by one process."""
_PROBE: Final = "00000"

Answered = Literal["target", "none", "nothing"]
"""An answer shows a target, or says that there is none (all listed frames are there and empty), or is not (all) there
and shows none."""


@dataclass(frozen=True, slots=True)
class ExpressionRule:
    """What the published scorers of the data sets differ in.

    Attributes:
        size_from_first: The size of an answer is read from the picture of the first listed frame; else from
            `00000.png`, whether a frame has that name or not.
    """

    size_from_first: bool = False


@dataclass(slots=True)
class ExpressionScore:
    """What was found of one sentence.

    Attributes:
        video: Name of the video.
        expression_id: Of the sentence.
        has_target: Whether the sentence means anything.
        j: Of each frame; NaN where there is no answer of the truth's size.
        f: Likewise.
        answered: What the answer says.
        problem: What is wrong with the answer; empty if nothing is.
        published: What the published scorer does: `scored`, `zero`, `dropped`.
        published_j: Its figures of each frame where they are others than `j`.
        published_f: Likewise.
        has_truth: Whether the sentence's masks can be read; where not, no count has it.
        has_probe: Whether there is a picture `00000.png`.
        ignored: Files beside the frames.
    """

    video: str
    expression_id: str
    has_target: bool
    j: npt.NDArray[np.float64]
    f: npt.NDArray[np.float64]
    answered: Answered = "nothing"
    problem: str = ""
    published: Literal["scored", "zero", "dropped"] = "scored"
    published_j: npt.NDArray[np.float64] | None = None
    published_f: npt.NDArray[np.float64] | None = None
    has_truth: bool = True
    has_probe: bool = True
    ignored: tuple[str, ...] = ()


@dataclass(slots=True)
class _State:
    """One answer while its frames are read.

    Attributes:
        score: What was found so far.
        folder: Of the answer's pictures.
        probe: The picture from which the published scorer takes the size of all.
        published: J and F of each frame in that size, `(2, T)`; NaN where the frame or the truth does not go into it.
        sizes: Of the answer's pictures; None for those that are not there.
        shows_target: Whether anything is found in any of them.
    """

    score: ExpressionScore
    folder: Path
    probe: Path
    published: npt.NDArray[np.float64]
    sizes: list[tuple[int, int] | None] = field(default_factory=list)
    shows_target: bool = False
    known_size: tuple[int, int] | Literal["unknown"] | None = "unknown"

    def size(self) -> tuple[int, int] | None:
        """The size that the published scorer takes; None if it dies there."""
        if self.known_size == "unknown":
            try:
                height, width = read_grey(self.probe).shape
                self.known_size = height, width
            except (MissingAnswerError, UnreadableAnswerError):
                self.known_size = None
        return self.known_size


def score_video(data: StoredMasks, name: str, folder: Path, rule: ExpressionRule) -> list[ExpressionScore]:
    """Score the answers to all sentences of one video.

    Masks of the truth are decoded once for all sentences that mean the same, some frames at a time. Sentences whose
    truth cannot be read are told as such.

    Args:
        data: The data set, with masks.
        name: Of the video.
        folder: Holds `<video>/<expression>/<frame>.png`.
        rule: What the published scorer does.
    Returns:
        One score a sentence, in the video's order.
    Raises:
        ConfigError: A sentence's id is no name of a folder.
    """
    video = data.video(name)
    expect_names([one.expression_id for one in video.expressions], f"a sentence of {name}")
    if not os.path.exists(folder / name):
        return [_of_missing_video(video, expression) for expression in video.expressions]
    states = {
        one.expression_id: _open(video, one, folder / name / one.expression_id, rule) for one in video.expressions
    }
    for expressions in _same_targets(video.expressions):
        of_group = [states[one.expression_id] for one in expressions]
        try:
            _score_group(data, video, expressions, of_group)
        except ConfigError as error:
            for state in of_group:
                _note_broken_truth(state.score, str(error))
            continue
        for state in of_group:
            _finish(state, video)
    return [state.score for state in states.values()]


def _of_missing_video(video: ReferringVideo, expression: ReferringExpression) -> ExpressionScore:
    nothing = np.full(len(video.frames), np.nan)
    return ExpressionScore(
        video.name,
        expression.expression_id,
        bool(expression.target_ids),
        nothing,
        nothing,
        problem="there is no folder of the video",
        published="zero",
        has_probe=False,
    )


def _note_broken_truth(score: ExpressionScore, problem: str) -> None:
    score.has_truth, score.published, score.problem = False, "dropped", problem
    score.j, score.f = (np.full_like(score.j, np.nan) for _ in range(2))


def _open(video: ReferringVideo, expression: ReferringExpression, folder: Path, rule: ExpressionRule) -> _State:
    T = len(video.frames)
    score = ExpressionScore(
        video.name,
        expression.expression_id,
        bool(expression.target_ids),
        np.full(T, np.nan),
        np.full(T, np.nan),
    )
    names = listed(folder)
    expected = {f"{frame}.png" for frame in video.frames}
    score.has_probe = f"{_PROBE}.png" in names
    score.ignored = tuple(name for name in names if name not in expected)
    probe = video.frames[0] if rule.size_from_first else _PROBE
    return _State(score, folder, folder / f"{probe}.png", np.full((2, T), np.nan))


def _same_targets(expressions: Sequence[ReferringExpression]) -> list[list[ReferringExpression]]:
    groups: dict[tuple[object, ...], list[ReferringExpression]] = {}
    for expression in expressions:
        key = (expression.has_targets, expression.problem, *sorted(expression.target_ids))
        groups.setdefault(key, []).append(expression)
    return list(groups.values())


def _score_group(
    data: StoredMasks, video: ReferringVideo, expressions: Sequence[ReferringExpression], states: Sequence[_State]
) -> None:
    size = data.stored_size(video.name, expressions[0])
    if size is None:
        nothing = MeasuredMask(np.zeros(_size_without_masks(data, video, states[0]), np.bool_))
        for index, frame in enumerate(video.frames):
            for state in states:
                _score_frame(state, frame, index, nothing, takes_any_size=True)
        return
    for first, targets in _truth(data, video, expressions[0], size):
        for offset, pixels in enumerate(targets):
            target = MeasuredMask(pixels)
            for state in states:
                _score_frame(state, video.frames[first + offset], first + offset, target, takes_any_size=False)


def _size_without_masks(data: StoredMasks, video: ReferringVideo, state: _State) -> tuple[int, int]:
    """The size that answers should have where a sentence has no mask: that of the video's pictures or other masks."""
    try:
        return data.size(video.name)
    except ConfigError:
        return state.size() or (1, 1)


def _truth(
    data: StoredMasks, video: ReferringVideo, expression: ReferringExpression, size: tuple[int, int]
) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
    """Unions of the targets, `(T, H, W)`, some frames at a time, with the number of the first one."""
    height, width = size
    step = max(1, _TRUTH_BYTES // (max(1, len(expression.target_ids)) * height * width))
    for first in range(0, len(video.frames), step):
        masks = data.stored_masks(video.name, expression, range(first, min(first + step, len(video.frames))))
        yield first, masks[0] if len(masks) == 1 else np.asarray(masks.any(axis=0), np.bool_)


def _score_frame(state: _State, frame: str, index: int, target: MeasuredMask, *, takes_any_size: bool) -> None:
    try:
        answer = MeasuredMask(read_grey(state.folder / f"{frame}.png") > 0)
    except MissingAnswerError:
        _note(state, f"frame {frame} is missing", None)
        return
    except UnreadableAnswerError as error:
        _note(state, f"frame {frame} cannot be read: {error}", None)
        return
    (answer_height, answer_width), (height, width) = answer.pixels.shape, target.pixels.shape
    problem = ""
    if (answer_height, answer_width) == (height, width):
        state.score.j[index], state.score.f[index] = state.published[:, index] = score_pair(answer, target)
    else:
        problem = f"frame {frame} has {answer_width}x{answer_height} pixels; expected {width}x{height}"
    if problem or min(height, width) == 1:
        state.published[:, index] = _score_stretched(state.size(), answer, target, takes_any_size=takes_any_size)
    _note(state, problem, (answer_height, answer_width))
    state.shows_target = state.shows_target or bool(answer.area)


def _score_stretched(
    size: tuple[int, int] | None, answer: MeasuredMask, target: MeasuredMask, *, takes_any_size: bool
) -> tuple[float, float]:
    """J and F in the size that the published scorer takes, to which numpy repeats rows and columns of one pixel."""
    wanted = answer.pixels.shape if takes_any_size else target.pixels.shape
    if size is None or not (_goes_into(answer.pixels.shape, size) and _goes_into(wanted, size)):
        return np.nan, np.nan
    true = np.zeros(size, np.bool_) if takes_any_size else np.broadcast_to(target.pixels, size)
    return score_pair(MeasuredMask(np.broadcast_to(answer.pixels, size)), MeasuredMask(true))


def _goes_into(shape: tuple[int, ...], size: tuple[int, int]) -> bool:
    return all(side in (1, wanted) for side, wanted in zip(shape, size, strict=True))


def _note(state: _State, problem: str, size: tuple[int, int] | None) -> None:
    state.score.problem = state.score.problem or problem
    state.sizes.append(size)


def _finish(state: _State, video: ReferringVideo) -> None:
    score, sizes = state.score, state.sizes
    if state.shows_target:
        score.answered = "target"
    elif None not in sizes:
        score.answered = "none"
    if all(one is None for one in sizes):
        score.problem = "there is no picture of a listed frame" if state.folder.is_dir() else "there is no folder of it"
    size = sizes[video.frames.index(state.probe.stem)] if state.probe.stem in video.frames else state.size()
    fits = size is not None and all(one is not None and _goes_into(one, size) for one in sizes)
    if fits and not np.isnan(state.published).any():
        if not np.array_equal(state.published, (score.j, score.f)):
            score.published_j, score.published_f = state.published
        return
    score.published = "dropped"
    if not score.problem:
        score.problem = f"there is no readable {_PROBE}.png, from which the published scorer takes the size"
