"""COCO's average precision of scored masks where each sample has one object; the sums are pycocotools' own."""

import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

__all__ = ["AveragePrecision", "Rle", "ScoredObject", "TrueObject", "average_precision"]

Rle = Mapping[str, Any]
"""A mask as `pycocotools.mask.encode` gives it: `size` (height, width) and `counts` (bytes or ASCII text)."""

DEFAULT_CATEGORY: Final = 1
_AREAS: Final = {"all": [0, 1e10], "small": [0, 32**2], "medium": [32**2, 96**2], "large": [96**2, 1e10]}
"""In pixels; a limit belongs to both sides."""
_MOST_ANSWERS: Final = 100
"""Of a sample; those of the best scores count."""


@dataclass(frozen=True, slots=True, eq=False)
class TrueObject:
    """The one object of a sample.

    Attributes:
        sample_id: Name of the sample; all names are text, or all are numbers.
        mask: Its mask.
        is_crowd: Marked as a crowd in COCO: it is not asked for, and what overlaps it is no mistake.
    """

    sample_id: str | int
    mask: Rle
    is_crowd: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ScoredObject:
    """One answer for a sample.

    Attributes:
        sample_id: Name of the sample.
        mask: Its mask; one of another size than the object's matches nothing.
        score: How sure it is.
        area: That which decides to which size an answer belongs that matches nothing; None for the mask's, in pixels.
        category: Answers of the same score are ordered by it, then by their order.
    """

    sample_id: str | int
    mask: Rle
    score: float
    area: float | None = None
    category: int = DEFAULT_CATEGORY


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """COCO's figures, 0..1; None where no object is of the size.

    Attributes:
        mean: Mean over IoU 0.50:0.05:0.95.
        at_50: At IoU 0.50.
        at_75: At IoU 0.75.
        small: Mean over objects of at most 32^2 pixels; None too where sizes are not asked for, as the next two.
        medium: Of 32^2 to 96^2 pixels.
        large: Of more.
    """

    mean: float | None
    at_50: float | None
    at_75: float | None
    small: float | None = None
    medium: float | None = None
    large: float | None = None


def average_precision(
    objects: Sequence[TrueObject],
    answers: Iterable[ScoredObject],
    *,
    by_size: bool = True,
    categories: Sequence[int] = (DEFAULT_CATEGORY,),
) -> AveragePrecision:
    """Average precision over all samples, at most 100 answers each.

    Of answers of the same score the first one counts as the better; over samples their names decide, sorted as text
    where they are text.

    Args:
        objects: One of each sample.
        answers: In the order of their file.
        by_size: Whether to give the figures of small, medium and large objects, which takes four times as long.
        categories: Those of the data set; answers of others are left out. An object's own category plays no role.
    """
    truth = [
        {
            "image_id": item.sample_id,
            "segmentation": item.mask,
            "area": float(coco_mask.area(item.mask)),
            "iscrowd": int(item.is_crowd),
            "category_id": categories[0],
        }
        for item in objects
    ]
    found = [
        {
            "image_id": item.sample_id,
            "segmentation": item.mask,
            "area": float(coco_mask.area(item.mask)) if item.area is None else item.area,
            "iscrowd": 0,
            "score": item.score,
            "category_id": item.category,
        }
        for item in answers
    ]
    names = list(_AREAS) if by_size else ["all"]
    with redirect_stdout(io.StringIO()):  # pycocotools prints what it does
        evaluation = COCOeval(_collection(truth, objects, categories), _collection(found, objects, categories), "segm")
        evaluation.params.useCats = 0
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [_AREAS[name] for name in names], names
        evaluation.params.maxDets = [_MOST_ANSWERS]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, 0, :, 0]  # (thresholds, recalls, sizes); -1 where undefined
    thresholds = np.round(evaluation.params.iouThrs, 2).tolist()
    return AveragePrecision(
        _mean(precision[:, :, 0]),
        _mean(precision[thresholds.index(0.5), :, 0]),
        _mean(precision[thresholds.index(0.75), :, 0]),
        *(_mean(precision[:, :, number]) for number in range(1, len(names))),
    )


def _collection(
    annotations: Iterable[dict[str, Any]], objects: Iterable[TrueObject], categories: Iterable[int]
) -> COCO:
    collection = COCO()
    collection.dataset = {
        "images": [
            {"id": item.sample_id, "height": item.mask["size"][0], "width": item.mask["size"][1]} for item in objects
        ],
        "categories": [{"id": category} for category in categories],
        "annotations": [{"id": number, **item} for number, item in enumerate(annotations, start=1)],
    }
    collection.createIndex()
    return collection


def _mean(precision: NDArray[np.float64]) -> float | None:
    defined = precision[precision > -1]
    return float(defined.mean()) if defined.size else None
