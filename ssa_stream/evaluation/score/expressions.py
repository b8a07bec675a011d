"""J and F of each frame of each sentence, from one picture a frame: what one process does with one video."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from ssa_stream.data.referring import ReferringData, ReferringExpression, ReferringVideo
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
        empty_truth_has_any_size: A truth without a mask takes the answer's size, so that another size is not noticed.
    """

    size_from_first: bool = False
    empty_truth_has_any_size: bool = False


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
    has_probe: bool = True
    ignored: tuple[str, ...] = ()


@dataclass(slots=True)
class _State:
    """One answer while its frames are read."""

    score: ExpressionScore
    folder: Path
    sizes: list[tuple[int, int] | None] = field(default_factory=list)
    shows: list[bool] = field(default_factory=list)
    own_f: list[float] = field(default_factory=list)
    truth_is_empty: bool = True
    shows_target: bool = False


def score_video(data: ReferringData, name: str, folder: Path, rule: ExpressionRule) -> list[ExpressionScore]:
    """Score the answers to all sentences of one video.

    Masks of the truth are decoded once for all sentences that mean the same, some frames at a time.

    Args:
        data: The data set, with masks.
        name: Of the video.
        folder: Holds `<video>/<expression>/<frame>.png`.
        rule: What the published scorer does.
    Returns:
        One score a sentence, in the video's order.
    Raises:
        ConfigError: The truth cannot be read.
    """
    video = data.video(name)
    expect_names([one.expression_id for one in video.expressions], f"a sentence of {name}")
    if not os.path.exists(folder / name):
        return [_of_missing_video(video, expression) for expression in video.expressions]
    states = {one.expression_id: _open(video, one, folder / name / one.expression_id) for one in video.expressions}
    for expressions in _same_targets(video.expressions):
        _score_group(data, video, expressions, [states[one.expression_id] for one in expressions])
    size = data.size(name)
    for state in states.values():
        _finish(state, video, size, rule)
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


def _open(video: ReferringVideo, expression: ReferringExpression, folder: Path) -> _State:
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
    return _State(score, folder)


def _same_targets(expressions: Sequence[ReferringExpression]) -> list[list[ReferringExpression]]:
    groups: dict[tuple[str, ...], list[ReferringExpression]] = {}
    for expression in expressions:
        groups.setdefault(tuple(sorted(expression.target_ids)), []).append(expression)
    return list(groups.values())


def _score_group(
    data: ReferringData, video: ReferringVideo, expressions: Sequence[ReferringExpression], states: Sequence[_State]
) -> None:
    for first, targets in _truth(data, video, expressions[0]):
        for offset, pixels in enumerate(targets):
            target = MeasuredMask(pixels)
            for state in states:
                _score_frame(state, video.frames[first + offset], first + offset, target)


def _truth(
    data: ReferringData, video: ReferringVideo, expression: ReferringExpression
) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
    """Unions of the targets, `(T, H, W)`, some frames at a time, with the number of the first one."""
    height, width = data.size(video.name)
    step = max(1, _TRUTH_BYTES // (max(1, len(expression.target_ids)) * height * width))
    for first in range(0, len(video.frames), step):
        masks = data.masks(video.name, expression, range(first, min(first + step, len(video.frames))))
        yield first, masks[0] if len(masks) == 1 else np.asarray(masks.any(axis=0), np.bool_)


def _score_frame(state: _State, frame: str, index: int, target: MeasuredMask) -> None:
    state.truth_is_empty = state.truth_is_empty and not target.area
    try:
        answer = MeasuredMask(read_grey(state.folder / f"{frame}.png") > 0)
    except MissingAnswerError:
        _note(state, f"frame {frame} is missing", None, shows=False)
        return
    except UnreadableAnswerError as error:
        _note(state, f"frame {frame} cannot be read: {error}", None, shows=False)
        return
    (answer_height, answer_width), (height, width) = answer.pixels.shape, target.pixels.shape
    if (answer_height, answer_width) == (height, width):
        state.score.j[index], state.score.f[index] = score_pair(answer, target)
        _note(state, "", (height, width), shows=bool(answer.area))
        return
    problem = f"frame {frame} has {answer_width}x{answer_height} pixels; expected {width}x{height}"
    _note(state, problem, (answer_height, answer_width), shows=bool(answer.area))
    state.own_f[-1] = score_pair(answer, MeasuredMask(np.zeros_like(answer.pixels))).f


def _note(state: _State, problem: str, size: tuple[int, int] | None, *, shows: bool) -> None:
    state.score.problem = state.score.problem or problem
    state.sizes.append(size)
    state.shows.append(shows)
    state.own_f.append(float(not shows))
    state.shows_target = state.shows_target or shows


def _finish(state: _State, video: ReferringVideo, size: tuple[int, int], rule: ExpressionRule) -> None:
    score, sizes = state.score, state.sizes
    if state.shows_target:
        score.answered = "target"
    elif None not in sizes:
        score.answered = "none"
    if all(one is None for one in sizes):
        score.problem = "there is no picture of a listed frame" if state.folder.is_dir() else "there is no folder of it"
    probe = sizes[0] if rule.size_from_first else _probe_size(state, video)
    is_uniform = probe is not None and all(one == probe for one in sizes)
    if is_uniform and probe == size:
        return
    if is_uniform and rule.empty_truth_has_any_size and state.truth_is_empty:
        score.published_j = np.array([float(not one) for one in state.shows])
        score.published_f = np.array(state.own_f)
        return
    score.published = "dropped"
    if not score.problem:
        score.problem = f"there is no readable {_PROBE}.png, from which the published scorer takes the size"


def _probe_size(state: _State, video: ReferringVideo) -> tuple[int, int] | None:
    if _PROBE in video.frames:
        return state.sizes[video.frames.index(_PROBE)]
    try:
        height, width = read_grey(state.folder / f"{_PROBE}.png").shape
    except (MissingAnswerError, UnreadableAnswerError):
        return None
    return height, width
