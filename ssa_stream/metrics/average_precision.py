"""Mean average precision of masks, counted by pycocotools."""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

__all__ = ["mean_average_precision"]

_CATEGORY = 1
_ANY_AREA = [0, 1e10]
_MOST_CANDIDATES = 100

Rle = Mapping[str, Any]


def mean_average_precision(
    targets: Sequence[Rle], candidates: Sequence[Sequence[Rle]], scores: Sequence[NDArray[np.float64]]
) -> float:
    """Mean of the average precisions at IoU 0.50:0.05:0.95 (COCO's, all sizes, at most 100 candidates a sample).

    Args:
        targets: Run-length code of the one object of each sample, as `pycocotools.mask.encode` gives it.
        candidates: Run-length codes of all masks of each sample.
        scores: Their scores.
    """
    samples = range(1, len(targets) + 1)
    annotations = [
        {"id": i, "segmentation": rle, "area": float(coco_mask.area(rle)), "iscrowd": 0, "ignore": 0}
        for i, rle in zip(samples, targets, strict=True)
    ]
    results = [
        {"segmentation": rle, "score": float(score), "area": float(coco_mask.area(rle)), "iscrowd": 0, "image_id": i}
        for i, some, values in zip(samples, candidates, scores, strict=True)
        for rle, score in zip(some, values, strict=True)
    ]
    if not results:
        return 0.0
    sizes = [(rle["size"][0], rle["size"][1]) for rle in targets]
    for i, result in enumerate(results, start=1):
        result["id"] = i
    with redirect_stdout(io.StringIO()):  # pycocotools prints what it does
        evaluation = COCOeval(
            _collection([annotation | {"image_id": annotation["id"]} for annotation in annotations], sizes),
            _collection(results, sizes),
            iouType="segm",
        )
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [_ANY_AREA], ["all"]
        evaluation.params.maxDets = [_MOST_CANDIDATES]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]  # (thresholds, recalls, categories, areas, limits); -1 where undefined
    return float(precision[precision > -1].mean())


def _collection(annotations: Sequence[Mapping[str, Any]], sizes: Sequence[tuple[int, int]]) -> COCO:
    collection = COCO()
    collection.dataset = {
        "images": [{"id": i, "height": H, "width": W} for i, (H, W) in enumerate(sizes, start=1)],
        "categories": [{"id": _CATEGORY}],
        "annotations": [{**annotation, "category_id": _CATEGORY} for annotation in annotations],
    }
    collection.createIndex()
    return collection
