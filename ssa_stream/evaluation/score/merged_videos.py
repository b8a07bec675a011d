"""Ref-DAVIS17's pictures of objects, video by video: what each annotator's answer has in common with the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ssa_stream.data.reading import expect_to_fit
from ssa_stream.data.ref_davis17 import ANNOTATORS, RefDavis17
from ssa_stream.data.referring import ReferringData, ReferringVideo
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.score.label_answers import LabelAnswers, PaintedAnswers, StoredAnswers
from ssa_stream.metrics.davis import MOST_DAVIS_OBJECTS, VOID, DavisRow, DavisTruthFrame, match_davis_objects

__all__ = ["ANNOTATOR_FOLDERS", "MergedResult", "score_painted", "score_stored"]

ANNOTATOR_FOLDERS: Final = tuple(f"anno_{number}" for number in range(ANNOTATORS))


@dataclass(slots=True)
class MergedResult:
    """One annotator's answer to one video."""

    problems: list[str]
    note: str
    published: list[DavisRow]
    strict: list[DavisRow]
    fixed: list[DavisRow]
    has_truth: bool = True


_Answers = tuple[LabelAnswers, LabelAnswers]
"""As the published tools read them, and as they are meant."""


def score_stored(data: ReferringData, name: str, folder: Path) -> list[MergedResult]:
    """Score the stored pictures of objects of one video, `anno_<k>/<video>/<frame>.png`; a result an annotator."""
    answers: list[LabelAnswers] = [StoredAnswers(folder / annotator / name) for annotator in ANNOTATOR_FOLDERS]
    return _score_video(data, name, [(answer, answer) for answer in answers])


def score_painted(data: ReferringData, name: str, folder: Path) -> list[MergedResult]:
    """Score what SSA's script paints of one video's pictures of sentences; a result an annotator."""
    meant = PaintedAnswers.as_meant(folder / name, data.video(name).expressions)
    published = PaintedAnswers.as_published(folder / name, meant, data.video(name).frames)
    return _score_video(data, name, list(zip(published, meant, strict=True)))


def _score_video(data: ReferringData, name: str, answers: Sequence[_Answers]) -> list[MergedResult]:
    assert isinstance(data, RefDavis17)
    try:
        return _score_frames(data, name, answers)
    except ConfigError as error:
        return [MergedResult([str(error)], "", [], [], [], has_truth=False) for _ in answers]


def _score_frames(data: RefDavis17, name: str, answers: Sequence[_Answers]) -> list[MergedResult]:
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
            MergedResult(
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
