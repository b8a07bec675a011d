"""Ref-DAVIS17 by the DAVIS toolkit: one picture of objects a frame and annotator, stored, or painted from sentences."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from ssa_stream.data.ref_davis17 import ANNOTATORS, RefDavis17
from ssa_stream.data.referring import ReferringData
from ssa_stream.evaluation.score.answers import folder_of_answers, listed
from ssa_stream.evaluation.score.label_answers import stray_problem
from ssa_stream.evaluation.score.merged_videos import ANNOTATOR_FOLDERS, MergedResult, score_painted, score_stored
from ssa_stream.evaluation.score.report import Deviation, Figures, Variant
from ssa_stream.evaluation.score.request import OnProgress, ScoreRequest
from ssa_stream.evaluation.score.summary import j_and_f_figures
from ssa_stream.evaluation.score.workers import each_video
from ssa_stream.metrics.davis import DavisRow, davis_figures

__all__ = ["score_merged_answers"]

_PREDICTED: Final = "merged_soft"
"""Where `predict` writes pictures of objects by ReferFormer's rule; SSA's come from pictures of sentences."""
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
    found = (folder_of_answers(place, request.split_name, ANNOTATOR_FOLDERS) for place in places)
    stored = next((folder for folder in found if folder is not None), None)
    works: list[tuple[str, str, Callable[[ReferringData, str], list[MergedResult]]]] = []
    if stored is not None:
        works.append(("merged_like_ReferFormer", _STORED, partial(score_stored, folder=stored)))
        deviations += _ignored(stored, data)
    if expressions is not None:
        works.append(("merged_by_SSA", _SSA, partial(score_painted, folder=expressions)))
    for name, about, work in works:
        frames = {video: len(data.video(video).frames) * ANNOTATORS for video in data.videos}
        done = each_video(request, data, work, frames, on_progress)
        by_video = {video: done[video] for video in data.videos}
        alone = len(works) == 1
        strays = _strays(expressions, data) if name == "merged_by_SSA" and expressions is not None else []
        deviations += strays
        variants |= _variants(name, about, data, by_video, alone=alone, is_stopped=bool(strays))
        deviations += _deviations(name, by_video, data)
    return variants, deviations


def _variants(
    name: str,
    about: str,
    data: RefDavis17,
    by_video: dict[str, list[MergedResult]],
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
    as_published, as_meant = partial(_toolkit_figures, wraps=True), partial(_toolkit_figures, wraps=False)
    return {
        name: _variant(about, by_video, lambda result: result.published, as_published, stops),
        strict: _variant(_STRICT.format(name=name), by_video, lambda result: result.strict, as_meant),
        f"own_fixed_ids{suffix}": _variant(
            _FIXED.format(name=name), by_video, lambda result: result.fixed, _fixed_figures
        ),
    }


def _variant(
    about: str,
    by_video: dict[str, list[MergedResult]],
    rows_of: Callable[[MergedResult], list[DavisRow]],
    figures_of: Callable[[Sequence[DavisRow]], Figures],
    stops: Sequence[bool] = (False,) * ANNOTATORS,
) -> Variant:
    """Figures of each annotator, and their mean; an annotator at whom the tool stops has none."""
    parts: dict[str, Figures] = {}
    samples: dict[str, Figures] = {}
    counts: dict[str, int] = {}
    for k, (folder, is_stopped) in enumerate(zip(ANNOTATOR_FOLDERS, stops, strict=True)):
        rows = {
            f"{folder}/{video}_{number}": row
            for video, results in by_video.items()
            for number, row in enumerate(rows_of(results[k]), 1)
        }
        parts[folder] = figures_of([] if is_stopped else list(rows.values()))
        if not is_stopped:
            counts[f"n_objects of {folder}"] = len(rows)
            samples |= {key: _row_figures(row) for key, row in rows.items()}
    return Variant(about=about, figures=_mean(parts), parts=parts, samples=samples, counts=counts)


def _toolkit_figures(rows: Sequence[DavisRow], *, wraps: bool) -> Figures:
    return davis_figures(rows, wraps=wraps).by_name()


def _fixed_figures(rows: Sequence[DavisRow]) -> Figures:
    return j_and_f_figures((float(row.j.mean()), float(row.f.mean())) for row in rows)


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


def _deviations(name: str, by_video: dict[str, list[MergedResult]], data: RefDavis17) -> list[Deviation]:
    deviations = []
    for k, folder in enumerate(ANNOTATOR_FOLDERS):
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
        *(name for name in listed(folder) if name not in ANNOTATOR_FOLDERS),
        *(f"{one}/{name}" for one in ANNOTATOR_FOLDERS for name in listed(folder / one) if name not in known),
    ]
    return [_deviation(name, "the split has no such video", "ignores it", "the same") for name in names]


def _deviation(about: str, text: str, published: str, strict: str) -> Deviation:
    return Deviation(about=about, text=text, published=published, strict=strict)
