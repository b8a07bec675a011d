"""Ref-DAVIS17 by the DAVIS toolkit: one picture of objects a frame and annotator, stored, or painted from sentences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ssa_stream.data.reading import expect_to_fit
from ssa_stream.data.ref_davis17 import ANNOTATORS, RefDavis17
from ssa_stream.data.referring import ReferringData, ReferringVideo
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.score.answers import folder_of_answers, listed
from ssa_stream.evaluation.score.label_answers import LabelAnswers, PaintedAnswers, StoredAnswers, stray_problem
from ssa_stream.evaluation.score.report import Deviation, Figures, Variant
from ssa_stream.evaluation.score.request import OnProgress, ScoreRequest
from ssa_stream.evaluation.score.summary import j_and_f_figures
from ssa_stream.evaluation.score.workers import each_video
from ssa_stream.metrics.davis import (
    MOST_DAVIS_OBJECTS,
    VOID,
    DavisRow,
    DavisTruthFrame,
    davis_figures,
    match_davis_objects,
)

__all__ = ["score_merged_answers"]

_PREDICTED: Final = "merged_soft"
"""Where `predict` writes pictures of objects by ReferFormer's rule; SSA's come from pictures of sentences."""
_FOLDERS: Final = tuple(f"anno_{number}" for number in range(ANNOTATORS))
_SSA: Final = (
    "SSA's postprocess_davis.py (per annotator, the first object wins), then the DAVIS toolkit, unsupervised; mean of "
    "the annotators"
)
_STORED: Final = "The stored pictures of objects by the DAVIS toolkit, unsupervised; mean of the annotators"
_STRICT: Final = (
    "No published scorer: as {name}, but goes on where the toolkit stops: what is missing or cannot be read is empty, "
    "labels above 20 are none, no frame number wraps around"
)
_STOPS: Final = "stops: there are no figures"
_GOES_ON: Final = "what is missing or cannot be read is empty"
_MOST_NUMBERED: Final = 255
_FIXED: Final = (
    "No published scorer: {name}, but each label against its own object, without matching, over the objects of all "
    "frames"
)


@dataclass(slots=True)
class _VideoResult:
    """One annotator's answer to one video."""

    problems: list[str]
    note: str
    published: list[DavisRow]
    strict: list[DavisRow]
    fixed: list[DavisRow]
    has_truth: bool = True


_Answers = tuple[LabelAnswers, LabelAnswers]
"""As the published tools read them, and as they are meant."""


def score_merged_answers(
    request: ScoreRequest, data: ReferringData, expressions: Path | None, on_progress: OnProgress | None
) -> tuple[dict[str, Variant], list[Deviation]]:
    """Score pictures of objects, if there are any, and those that SSA's script makes of pictures of sentences.

    Args:
        request: What to score.
        data: Ref-DAVIS17.
        expressions: Folder of pictures of sentences; None if there is none.
        on_progress: Told after each video.
    Returns:
        Each way of counting by its name, and where the toolkit stops.
    """
    assert isinstance(data, RefDavis17)
    variants: dict[str, Variant] = {}
    deviations: list[Deviation] = []
    places = (request.predictions, request.predictions / _PREDICTED)
    found = (folder_of_answers(place, request.split_name, _FOLDERS) for place in places)
    stored = next((folder for folder in found if folder is not None), None)
    works: list[tuple[str, str, Callable[[ReferringData, str], list[_VideoResult]]]] = []
    if stored is not None:
        works.append(("merged_like_ReferFormer", _STORED, partial(_score_stored, folder=stored)))
        deviations += _ignored(stored, data)
    if expressions is not None:
        works.append(("merged_by_SSA", _SSA, partial(_score_painted, folder=expressions)))
    for name, about, work in works:
        frames = {video: len(data.video(video).frames) * ANNOTATORS for video in data.videos}
        by_video = each_video(request, data, work, frames, on_progress)
        alone = len(works) == 1
        strays = _strays(expressions, data) if name == "merged_by_SSA" and expressions is not None else []
        deviations += strays
        variants |= _variants(name, about, data, by_video, alone=alone, is_stopped=bool(strays))
        deviations += _deviations(name, by_video, data)
    return variants, deviations


def _score_stored(data: ReferringData, name: str, folder: Path) -> list[_VideoResult]:
    answers: list[LabelAnswers] = [StoredAnswers(folder / annotator / name) for annotator in _FOLDERS]
    return _score_video(data, name, [(answer, answer) for answer in answers])


def _score_painted(data: ReferringData, name: str, folder: Path) -> list[_VideoResult]:
    meant = PaintedAnswers.as_meant(folder / name, data.video(name).expressions)
    published = PaintedAnswers.as_published(folder / name, meant, data.video(name).frames)
    return _score_video(data, name, list(zip(published, meant, strict=True)))


def _score_video(data: ReferringData, name: str, answers: Sequence[_Answers]) -> list[_VideoResult]:
    assert isinstance(data, RefDavis17)
    try:
        return _score_frames(data, name, answers)
    except ConfigError as error:
        return [_VideoResult([str(error)], "", [], [], [], has_truth=False) for _ in answers]


def _score_frames(data: RefDavis17, name: str, answers: Sequence[_Answers]) -> list[_VideoResult]:
    video = data.video(name)
    objects = _objects(video)
    first = data.stored_labels(name, [0])[0]
    num_objects = int(first[first != VOID].max(initial=0))
    wanted = sorted({*range(1, num_objects + 1), *objects})
    T, shape = len(video.frames), (2, MOST_DAVIS_OBJECTS, len(wanted))
    expect_to_fit((2 * 8 * len(answers), *shape, T), f"figures of {len(wanted)} objects of {name}")
    published, meant = (np.zeros((len(answers), *shape, T)) for _ in range(2))
    empty = np.zeros((2, len(wanted), T))
    most = np.zeros((2, len(answers)), np.int64)
    problems: list[list[str]] = [list(pair[0].problems) for pair in answers]
    notes = [pair[0].note for pair in answers]
    for t, frame in enumerate(video.frames):
        labels = data.stored_labels(name, [t])[0]
        truth = DavisTruthFrame(labels, wanted)
        empty[..., t] = truth.empty
        for k, (as_published, as_meant) in enumerate(answers):
            read = as_meant.read(frame, labels.shape, is_first=t == 0)
            meant[k, ..., t] = truth.score(read.labels if read.meant is None else read.meant)
            most[1, k] = max(most[1, k], read.highest_meant(MOST_DAVIS_OBJECTS))
            if as_published is not as_meant:
                read = as_published.read(frame, labels.shape, is_first=t == 0)
            if as_published is as_meant and read.meant is None:
                published[k, ..., t] = meant[k, ..., t]
            else:
                published[k, ..., t] = truth.score(read.labels)
            most[0, k] = max(most[0, k], read.highest())
            notes[k] = notes[k] or read.note
            if read.problem:
                problems[k].append(read.problem)
    results = []
    columns = [wanted.index(label) for label in range(1, num_objects + 1)]
    for k in range(len(answers)):
        if most[0, k] > MOST_DAVIS_OBJECTS:
            problems[k].append(f"a picture has the value {most[0, k]}; expected at most {MOST_DAVIS_OBJECTS}")
        results.append(
            _VideoResult(
                problems[k],
                notes[k],
                _matched(published[k], int(most[0, k]), columns, empty),
                _matched(meant[k], int(most[1, k]), columns, empty),
                [DavisRow(*meant[k][:, place, wanted.index(label)]) for place, label in enumerate(objects)],
            )
        )
    return results


def _objects(video: ReferringVideo) -> list[int]:
    """Objects that sentences are about, in the order of the sentences; the first ones that labels can tell apart."""
    objects = dict.fromkeys(int(one.target_ids[0]) for one in video.expressions if one.target_ids)
    return list(objects)[:MOST_DAVIS_OBJECTS]


def _matched(
    scores: npt.NDArray[np.float64], most: int, columns: list[int], empty: npt.NDArray[np.float64]
) -> list[DavisRow]:
    """Match; where the truth has more objects than the answer, empty masks make up for them, any number."""
    rows = min(max(most, len(columns)), MOST_DAVIS_OBJECTS)
    scores = scores[:, :rows, columns]
    if (lacking := len(columns) - rows) > 0:
        scores = np.concatenate([scores, np.repeat(empty[:, None, columns], lacking, axis=1)], axis=1)
    return match_davis_objects(scores)


def _variants(
    name: str,
    about: str,
    data: RefDavis17,
    by_video: dict[str, list[_VideoResult]],
    *,
    alone: bool,
    is_stopped: bool,
) -> dict[str, Variant]:
    suffix = "" if alone else f" of {name}"
    strict = "strict" if alone and name != "merged_by_SSA" else f"strict_{name}"
    stops = [any(by_video[video][k].problems for video in data.videos) for k in range(ANNOTATORS)]
    if is_stopped or (
        name == "merged_by_SSA" and any(stops)
    ):  # one script paints all of them, and ends at the first problem
        stops = [True] * ANNOTATORS
    return {
        name: _toolkit(about, data, by_video, stops, lambda result: result.published, wraps=True),
        strict: _toolkit(
            _STRICT.format(name=name), data, by_video, [False] * ANNOTATORS, lambda result: result.strict, wraps=False
        ),
        f"own_fixed_ids{suffix}": _fixed(_FIXED.format(name=name), data, by_video),
    }


def _toolkit(
    about: str,
    data: RefDavis17,
    by_video: dict[str, list[_VideoResult]],
    stops: Sequence[bool],
    rows_of: Callable[[_VideoResult], list[DavisRow]],
    *,
    wraps: bool,
) -> Variant:
    parts: dict[str, Figures] = {}
    samples: dict[str, Figures] = {}
    counts: dict[str, int] = {}
    for k, folder in enumerate(_FOLDERS):
        rows = {
            f"{folder}/{video}_{number}": row
            for video in data.videos
            for number, row in enumerate(rows_of(by_video[video][k]), 1)
        }
        figures = davis_figures([] if stops[k] else rows.values(), wraps=wraps).by_name()
        parts[folder] = figures
        if not stops[k]:
            counts[f"n_objects of {folder}"] = len(rows)
            samples |= {key: _row_figures(row) for key, row in rows.items()}
    return Variant(about=about, figures=_mean(parts), parts=parts, samples=samples, counts=counts)


def _fixed(about: str, data: RefDavis17, by_video: dict[str, list[_VideoResult]]) -> Variant:
    parts: dict[str, Figures] = {}
    samples: dict[str, Figures] = {}
    counts: dict[str, int] = {}
    for k, folder in enumerate(_FOLDERS):
        rows = {
            f"{folder}/{video}_{number}": row
            for video in data.videos
            for number, row in enumerate(by_video[video][k].fixed, 1)
        }
        counts[f"n_objects of {folder}"] = len(rows)
        samples |= {key: _row_figures(row) for key, row in rows.items()}
        parts[folder] = j_and_f_figures((float(row.j.mean()), float(row.f.mean())) for row in rows.values())
    return Variant(about=about, figures=_mean(parts), parts=parts, samples=samples, counts=counts)


def _row_figures(row: DavisRow) -> Figures:
    j, f = float(row.j.mean()), float(row.f.mean())
    return {"J": j, "F": f, "J&F": (j + f) / 2}


def _mean(parts: dict[str, Figures]) -> Figures:
    """Mean of the annotators, None where one has no figure."""
    names = next(iter(parts.values()))
    means: Figures = {}
    for name in names:
        values = [figures[name] for figures in parts.values()]
        known = [value for value in values if value is not None]
        means[name] = sum(known) / len(known) if len(known) == len(values) else None
    return means


def _deviations(name: str, by_video: dict[str, list[_VideoResult]], data: RefDavis17) -> list[Deviation]:
    deviations = []
    for k, folder in enumerate(_FOLDERS):
        for video in data.videos:
            result, about = by_video[video][k], f"{name} {folder}/{video}"
            num_frames = len(data.video(video).frames)
            if result.problems:
                more = f" (and {len(result.problems) - 1} more problems)" if len(result.problems) > 1 else ""
                strict = _GOES_ON if result.has_truth else "leaves the video out: there is nothing to compare it with"
                deviations.append(_deviation(about, result.problems[0] + more, _STOPS, strict))
            if result.note:
                published = "numbers and paints what is there as it is"
                deviations.append(_deviation(about, result.note, published, _GOES_ON))
            if num_frames > _MOST_NUMBERED:
                text = f"the video has {num_frames} frames, and the toolkit's decay counts to {_MOST_NUMBERED}"
                deviations.append(_deviation(about, text, "takes other frames", "takes the right frames"))
    return deviations


def _strays(folder: Path, data: RefDavis17) -> list[Deviation]:
    """Folders beside those of videos, which SSA's script takes for videos, and where that ends it."""
    found = []
    for name in sorted({*listed(folder)} - {*data.videos}):
        if (folder / name).is_dir() and (problem := stray_problem(folder / name, ())):
            text = f"the split has no such video, and as one {problem}"
            found.append(_deviation(f"merged_by_SSA {name}", text, _STOPS, "ignores it"))
    return found


def _ignored(folder: Path, data: RefDavis17) -> list[Deviation]:
    known = set(data.videos)
    names = [
        *(name for name in listed(folder) if name not in _FOLDERS),
        *(f"{one}/{name}" for one in _FOLDERS for name in listed(folder / one) if name not in known),
    ]
    return [_deviation(name, "the split has no such video", "ignores it", "the same") for name in names]


def _deviation(about: str, text: str, published: str, strict: str) -> Deviation:
    return Deviation(about=about, text=text, published=published, strict=strict)
