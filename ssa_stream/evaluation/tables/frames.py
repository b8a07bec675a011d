"""Masks of several systems for the frames of one sentence, and the frames in which they differ most."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ssa_stream.data.kinds import DataKind
from ssa_stream.data.reading import is_file_name, read_json, read_labels
from ssa_stream.data.ref_davis17 import ANNOTATORS
from ssa_stream.data.referring import ReferringData, ReferringExpression, ReferringVideo
from ssa_stream.data.segmentations import decode_segmentation
from ssa_stream.errors import ConfigError, misnamed
from ssa_stream.evaluation.score.answers import (
    MissingAnswerError,
    UnreadableAnswerError,
    folder_of_answers,
    places_of_answers,
    read_grey,
)
from ssa_stream.evaluation.score.request import expect_folder
from ssa_stream.evaluation.score.results_file import results_file
from ssa_stream.texts import brief

__all__ = ["AskedSentence", "System", "differing_frames", "find_sentence", "mutual_iou", "open_system", "sized_mask"]

Mask = npt.NDArray[np.bool_]

_MOST_RESULT_BYTES: Final = 2**31


@dataclass(frozen=True, slots=True)
class AskedSentence:
    """A sentence of a data set, and the frames that can be shown: those that have masks."""

    data: ReferringData
    kind: DataKind
    split: str
    video: ReferringVideo
    expression: ReferringExpression

    @property
    def frames(self) -> tuple[int, ...]:
        """Indices of the frames that are scored, ascending."""
        every = tuple(range(len(self.video.frames)))
        return every if self.expression.annotated is None else self.expression.annotated


@dataclass(frozen=True, slots=True)
class System:
    """A row: its name, and its mask of a frame, `(H, W)` bool, by the frame's index; None where it gave none."""

    name: str
    mask: Callable[[int], Mask | None]


def find_sentence(data: ReferringData, kind: DataKind, split: str, asked: str) -> AskedSentence:
    """Find a sentence.

    Args:
        data: An opened split.
        kind: Of the data set.
        split: Name of the split.
        asked: `VIDEO/EXPRESSION`.
    Raises:
        ConfigError: There is no such video or sentence.
    """
    name, slash, expression_id = asked.rpartition("/")
    if not slash:
        raise misnamed(ConfigError(f"sentence is {brief(asked)}; expected VIDEO/EXPRESSION, such as {_example(data)}"))
    if name not in data.videos:
        raise misnamed(
            ConfigError(f"{kind.title}, {split}, has no video {brief(name)}; a sentence of it is {_example(data)}")
        )
    video = data.video(name)
    for expression in video.expressions:
        if expression.expression_id == expression_id:
            return AskedSentence(data, kind, split, video, expression)
    ids = ", ".join(one.expression_id for one in video.expressions[:10])
    raise misnamed(
        ConfigError(f"video {brief(name)} has no sentence {brief(expression_id)}; expected one of {ids or 'none'}")
    )


def _example(data: ReferringData) -> str:
    for name in data.videos:
        for expression in data.video(name).expressions:
            return f"{name}/{expression.expression_id}"
    return "none: there are no sentences"


def open_system(sentence: AskedSentence, name: str, place: Path | None) -> System:
    """Find a system's masks of a sentence; `None` for the place is the truth.

    Args:
        sentence: Whose masks.
        name: Of the row.
        place: What `score` takes: a folder with `<video>/<expression>/<frame>.png`, for Ref-DAVIS17 one with
            `anno_0` to `anno_3` too, or a file of results in COCO's form.
    Raises:
        ConfigError: There is nothing of this sentence.
    """
    if place is None:
        return System(name, lambda index: _truth(sentence, index))
    if not place.exists():
        raise misnamed(ConfigError(f"row {name}: {place} is not there; give what `score --predictions` takes"))
    if sentence.kind.results == "objects":
        return System(name, _results_file(sentence, name, place))
    expect_folder(place)
    return System(
        name,
        _expression_folder(sentence, place) or _annotator_folder(sentence, place) or _no_masks(sentence, name, place),
    )


def _truth(sentence: AskedSentence, index: int) -> Mask:
    masks = sentence.data.masks(sentence.video.name, sentence.expression, [index])
    return np.asarray(masks[:, 0].any(axis=0), np.bool_)


def _expression_folder(sentence: AskedSentence, place: Path) -> Callable[[int], Mask | None] | None:
    """Masks of a folder by sentence."""
    video, expression_id = sentence.video.name, sentence.expression.expression_id
    if not (is_file_name(video) and is_file_name(expression_id)):
        raise ConfigError(f"{brief(f'{video}/{expression_id}')} cannot be the name of a folder of predictions")
    found = folder_of_answers(place, sentence.split, [video])
    if found is None:
        return None
    folder = found / video / expression_id
    return lambda index: _answer(folder / f"{sentence.video.frames[index]}.png")


def _no_masks(sentence: AskedSentence, name: str, place: Path) -> Callable[[int], Mask | None]:
    """No masks, of a folder that holds those of other videos."""
    if folder_of_answers(place, sentence.split, list(filter(is_file_name, sentence.data.videos))) is None:
        looked = ", ".join(str(one) for one in places_of_answers(place, sentence.split))
        told = f"no {sentence.video.name}/{sentence.expression.expression_id}/<frame>.png in one of {looked}"
        raise misnamed(ConfigError(f"row {name}: {told}"))
    return lambda index: None


def _answer(path: Path) -> Mask | None:
    try:
        return np.asarray(read_grey(path) > 0, np.bool_)
    except MissingAnswerError:
        return None
    except UnreadableAnswerError as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _annotator_folder(sentence: AskedSentence, place: Path) -> Callable[[int], Mask | None] | None:
    """Masks of Ref-DAVIS17 as its toolkit reads them: a palette picture a frame and annotator."""
    if sentence.kind.name != "ref-davis17":
        return None
    position, annotator = divmod(int(sentence.expression.expression_id), ANNOTATORS)
    found = folder_of_answers(place, sentence.split, [f"anno_{annotator}"])
    if found is None:
        return None
    folder = found / f"anno_{annotator}" / sentence.video.name

    def mask(index: int) -> Mask | None:
        path = folder / f"{sentence.video.frames[index]}.png"
        return np.asarray(read_labels(path, "the data set") == position + 1, np.bool_) if path.is_file() else None

    return mask


def _results_file(sentence: AskedSentence, name: str, place: Path) -> Callable[[int], Mask | None]:
    """The best-scored answer to each sample; of equal scores the last one, as P@K takes it."""
    ids = dict(zip(sentence.frames, sentence.expression.sample_ids, strict=True))
    place = results_file(place, sentence.kind.name, sentence.split)
    expected = "results in COCO's form, as `score` reads them"
    results = read_json(place, _MOST_RESULT_BYTES, expected, allows_not_a_number=True)
    if not isinstance(results, list):
        raise ConfigError(f"row {name}: {place} holds {type(results).__name__}; expected a list of answers")
    wanted, best = set(ids.values()), dict[str | int, Mapping[str, Any]]()
    for answer in results:
        sample = answer.get("image_id") if isinstance(answer, dict) else None
        if isinstance(sample, str | int) and sample in wanted:
            score = answer.get("score")
            if not isinstance(score, int | float):
                raise ConfigError(f"row {name}: {place}: an answer to {brief(sample)} has no score; expected a number")
            if score != score:  # not a number: the strict count of `score` leaves it out, too
                continue
            if sample not in best or score >= best[sample]["score"]:
                best[sample] = answer
    if not best:
        raise ConfigError(f"row {name}: {place} has no answer to {', '.join(map(brief, list(wanted)[:5]))}")
    size = sentence.data.size(sentence.video.name)

    def mask(index: int) -> Mask | None:
        answer = best.get(ids[index])
        try:
            return None if answer is None else decode_segmentation(answer.get("segmentation"), size)
        except ValueError as error:
            raise ConfigError(f"row {name}: {place}: the mask of {brief(ids[index])} is broken: {error}") from error

    return mask


def mutual_iou(masks: Sequence[Mask]) -> float:
    """Mean intersection over union of all pairs of masks; that of two empty ones is 1.

    Args:
        masks: `(H, W)` bool each, two or more.
    """
    shares = [
        float(np.count_nonzero(a & b) / union) if (union := np.count_nonzero(a | b)) else 1.0
        for a, b in combinations(masks, 2)
    ]
    return sum(shares) / len(shares)


def differing_frames(
    systems: Sequence[System], candidates: Sequence[int], size: tuple[int, int], count: int
) -> list[int]:
    """The frames in which systems differ most: those with the lowest mutual IoU.

    Frames that one of them lacks come last, earlier ones come first among equals. One frame is in memory at a time.

    Args:
        systems: Two or more.
        candidates: Indices of frames.
        size: Height and width of the frames.
        count: How many to choose.
    Returns:
        Their indices, ascending; fewer where there are fewer.
    Raises:
        ConfigError: There is one system only, or a mask has another size.
    """
    if len(systems) < 2:
        raise misnamed(
            ConfigError("frames in which rows differ most need two rows or more; give more --row, or choose --frames")
        )
    ranked = []
    for index in candidates:
        masks = [sized_mask(system, index, size) for system in systems]
        there = [mask for mask in masks if mask is not None]
        is_whole = len(there) == len(masks)
        ranked.append((not is_whole, mutual_iou(there) if is_whole else 0.0, index))
    return sorted(index for _, _, index in sorted(ranked)[:count])


def sized_mask(system: System, index: int, size: tuple[int, int]) -> Mask | None:
    """A system's mask of a frame.

    Raises:
        ConfigError: It has another size than the frame.
    """
    mask = system.mask(index)
    if mask is not None and mask.shape != size:
        (height, width), (frame_height, frame_width) = mask.shape, size
        raise ConfigError(
            f"row {system.name}: the mask of frame {index} has {width}x{height} pixels; expected {frame_width}x"
            f"{frame_height}, the size of the frame"
        )
    return mask
