"""P@K, IoU and average precision of results files: A2D-Sentences, JHMDB-Sentences and the RefCOCO sets."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from pycocotools import mask as coco_mask

from ssa_stream.errors import ShapeError
from ssa_stream.evaluation.score.object_deviations import REPEATED, note_repeated, object_deviations
from ssa_stream.evaluation.score.object_truth import Sample, Truth, read_truth
from ssa_stream.evaluation.score.report import Deviation, Figures, ScoreReport, Variant
from ssa_stream.evaluation.score.request import OnProgress, ScoreRequest
from ssa_stream.evaluation.score.results_file import Answer, Results, read_answers, results_file
from ssa_stream.metrics.average_precision import Rle, ScoredObject, average_precision
from ssa_stream.metrics.single_object import (
    PRECISION_THRESHOLDS,
    Box,
    Overlap,
    best_answers,
    box_overlap,
    mask_overlap,
    overlap_figures,
)

__all__ = ["score_objects"]

_AP_NAMES: Final = ("mAP 0.5:0.95", "AP 0.5", "AP 0.75")
_SIZE_NAMES: Final = ("AP 0.5:0.95 S", "AP 0.5:0.95 M", "AP 0.5:0.95 L")
_OVERLAP_NAMES: Final = (*(f"P@{threshold}" for threshold in PRECISION_THRESHOLDS), "overall_iou", "mean_iou")
_NO_CATEGORY: Final = -1
"""One that no data set has: the average precision leaves such answers out."""
_PUBLISHED_NAMES: Final = ("all_queries", "top1_only")
_STRICT_NAMES: Final = ("strict", "strict_top1_only")
_ABOUT: Final = {
    "all_queries": "{scorer}; every answer enters the average precision",
    "top1_only": "The same, where only the answer of each sample that P@K takes enters the average precision",
    "strict": "No published scorer: a sample without an answer is wrong, and so is an answer that is broken",
    "strict_top1_only": "The same as strict with only the best answer of each sample",
}
_SCORERS: Final = {
    False: "MTTR's metrics.py and pycocotools, as in its trainer.py",
    True: "ReferFormer's a2d_eval.py and pycocotools, as in its engine.py",
}


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """An answer as it is counted; a mask or a box of None is wrong wherever it is looked at."""

    sample_id: str | int
    score: float
    mask: Rle | None
    box: Box | None
    area: float | None = None
    category: int = _NO_CATEGORY


@dataclass(frozen=True, slots=True, eq=False)
class _Count:
    """Overlaps of the best answers by sample; None where the published scorer stops, or there is nothing to score."""

    masks: dict[str | int, Overlap | None]
    boxes: dict[str | int, Overlap | None]


def score_objects(request: ScoreRequest, on_progress: OnProgress | None = None) -> ScoreReport:
    """Score a results file; see docs/evaluation.md for each figure and each variant.

    Args:
        request: What to score.
        on_progress: Told while the data set's masks are read.
    Raises:
        ConfigError: The data or the results file cannot be read, or do not belong together.
    """
    path = results_file(request.predictions, request.place.kind.name, request.split_name)
    truth = read_truth(request, on_progress)
    results = read_answers(path, truth)
    note_repeated(results.answers)
    published = _published(truth, results)
    deviations = (*object_deviations(truth, results), *_of_empty_unions(published["all_queries"], truth))
    strict = _strict(truth, results) if deviations else _same(published)
    variants = {**published, **strict}
    return ScoreReport(
        data=request.place.kind.name,
        split=request.split_name,
        root=str(request.place.root),
        predictions=str(request.predictions),
        figures=variants["all_queries"].figures,
        variants=variants,
        deviations=deviations,
    )


def _published(truth: Truth, results: Results) -> dict[str, Variant]:
    stops = {problem.stops for answer in results.answers for problem in answer.problems}
    is_stopped = "everything" in stops
    entries = [] if is_stopped else [_published_entry(answer, results.has_boxes) for answer in results.answers]
    best = best_answers(entries)
    scores_masks = not is_stopped and "masks" not in stops and truth.has_masks
    count = _Count(
        _each(truth, best, _published_mask) if scores_masks else {},
        _each(truth, best, _published_box) if truth.has_boxes and not is_stopped and "boxes" not in stops else {},
    )
    return {
        name: _variant(truth, name, some if scores_masks else None, count)
        for name, some in zip(_PUBLISHED_NAMES, (entries, list(best.values())), strict=True)
    }


def _of_empty_unions(published: Variant, truth: Truth) -> list[Deviation]:
    """Whether the published scorer divides by the sum of all unions, and that is 0."""
    name = "segm union" if truth.has_boxes else "union"
    unions = [figures.get(name) for figures in published.samples.values()]
    if not unions or any(union is None or union > 0 for union in unions):
        return []
    text = "all masks of the data set and all best answers are empty: no pixel is in any union"
    return [
        Deviation(about="results", text=text, published="P@K and IoU stop: it divides by 0", strict="each IoU is 1")
    ]


def _published_entry(answer: Answer, has_boxes: bool) -> _Entry:
    assert answer.sample_id is not None  # all others stop the published scorer
    assert answer.score is not None
    area = answer.box[2] * answer.box[3] if has_boxes and answer.box is not None else None
    category = _NO_CATEGORY if answer.category is None else answer.category
    return _Entry(answer.sample_id, answer.score, answer.mask, answer.box, area, category)


def _published_mask(sample: Sample, entry: _Entry | None) -> Overlap | None:
    if entry is None or entry.mask is None or sample.mask is None:
        return None
    try:
        return mask_overlap(entry.mask, sample.mask)
    except ShapeError:
        return None


def _published_box(sample: Sample, entry: _Entry | None) -> Overlap | None:
    if entry is None or entry.box is None or sample.box is None:
        return None
    return box_overlap(entry.box, sample.box)


def _same(published: Mapping[str, Variant]) -> dict[str, Variant]:
    """The strict count where nothing deviates."""
    return {
        name: msgspec.structs.replace(variant, about=_ABOUT[name])
        for name, variant in zip(_STRICT_NAMES, published.values(), strict=True)
    }


def _strict(truth: Truth, results: Results) -> dict[str, Variant]:
    entries = [
        _strict_entry(answer, truth)
        for answer in results.answers
        if answer.sample_id is not None
        and answer.score is not None
        and math.isfinite(answer.score)
        and REPEATED not in answer.problems
    ]
    best = best_answers(entries)
    scores_masks = truth.has_masks and (not entries or any(entry.mask is not None for entry in entries))
    scores_boxes = truth.has_boxes and (not entries or any(entry.box is not None for entry in entries))
    count = _Count(
        _each(truth, best, _strict_mask) if scores_masks else {},
        _each(truth, best, _strict_box) if scores_boxes else {},
    )
    return {
        name: _variant(truth, name, some if scores_masks else None, count)
        for name, some in zip(_STRICT_NAMES, (entries, list(best.values())), strict=True)
    }


def _strict_entry(answer: Answer, truth: Truth) -> _Entry:
    assert answer.sample_id is not None
    assert answer.score is not None
    size = truth.samples[answer.sample_id].size
    mask = answer.mask if answer.mask is not None and tuple(answer.mask["size"]) == size else None
    return _Entry(answer.sample_id, answer.score, mask, answer.box, category=truth.categories[0])


def _strict_mask(sample: Sample, entry: _Entry | None) -> Overlap | None:
    """None is wrong, also where the object's mask is empty: that is an answer of its own, and this is none."""
    if sample.mask is None:
        return None
    if entry is None or entry.mask is None:
        return Overlap(0.0, 0.0, float(coco_mask.area(sample.mask)))
    return mask_overlap(entry.mask, sample.mask)


def _strict_box(sample: Sample, entry: _Entry | None) -> Overlap | None:
    if sample.box is None:
        return None
    if entry is None or entry.box is None:
        left, top, right, bottom = sample.box
        return Overlap(0.0, 0.0, (right - left) * (bottom - top))
    return box_overlap(entry.box, sample.box)


def _each(
    truth: Truth, best: Mapping[str | int, _Entry], overlap: Callable[[Sample, _Entry | None], Overlap | None]
) -> dict[str | int, Overlap | None]:
    return {name: overlap(sample, best.get(name)) for name, sample in truth.samples.items()}


def _variant(truth: Truth, name: str, entries: Sequence[_Entry] | None, count: _Count) -> Variant:
    """Put figures together.

    Args:
        truth: What is asked for.
        name: Of the variant.
        entries: What enters the average precision; None where there is none.
        count: Overlaps of the best answers.
    """
    masks = "segm " if truth.has_boxes else ""
    figures = {f"{masks}{key}": value for key, value in _precision(truth, entries).items()}
    if truth.has_boxes:
        figures |= {f"bbox {key}": value for key, value in _overlap_figures(count.boxes).items()}
    stops = name in _PUBLISHED_NAMES and not any(one.union for one in count.masks.values() if one is not None)
    figures |= {f"{masks}{key}": value for key, value in _overlap_figures({} if stops else count.masks).items()}
    samples: dict[str, Figures] = {}
    for kind, overlaps in (("bbox ", count.boxes), (masks, count.masks)):
        for sample_id, overlap in overlaps.items():
            values = (None,) * 3 if overlap is None else tuple(overlap)
            samples.setdefault(str(sample_id), {}).update(
                zip((f"{kind}iou", f"{kind}intersection", f"{kind}union"), values, strict=True)
            )
    return Variant(
        about=_ABOUT[name].format(scorer=_SCORERS[truth.has_boxes]),
        figures=figures,
        samples=samples,
        counts={"n_samples": len(truth.samples)},
    )


def _precision(truth: Truth, entries: Sequence[_Entry] | None) -> Figures:
    names = _AP_NAMES if truth.has_boxes else (*_AP_NAMES, *_SIZE_NAMES)
    if entries is None:
        return dict.fromkeys(names)
    scored = [
        ScoredObject(entry.sample_id, _mask_or_empty(entry, truth), entry.score, entry.area, entry.category)
        for entry in entries
    ]
    found = average_precision(truth.objects(), scored, by_size=not truth.has_boxes, categories=truth.categories)
    values = (found.mean, found.at_50, found.at_75, found.small, found.medium, found.large)
    return dict(zip(names, values, strict=False))


def _mask_or_empty(entry: _Entry, truth: Truth) -> Rle:
    if entry.mask is not None:
        return entry.mask
    empty: Rle = coco_mask.encode(np.zeros(truth.samples[entry.sample_id].size, np.uint8, order="F"))
    return empty


def _overlap_figures(overlaps: Mapping[str | int, Overlap | None]) -> Figures:
    known = [overlap for overlap in overlaps.values() if overlap is not None]
    if not known or len(known) < len(overlaps):
        return dict.fromkeys(_OVERLAP_NAMES)
    figures = overlap_figures(known)
    return dict(zip(_OVERLAP_NAMES, (*figures.precision, figures.overall_iou, figures.mean_iou), strict=True))
