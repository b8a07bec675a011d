"""The A2D-Sentences and JHMDB-Sentences protocol: one frame, one sentence, one object; any number of scored masks."""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ssa_stream.errors import ConfigError, ShapeError
from ssa_stream.metrics.masks import Masks, areas, check_masks

__all__ = ["PRECISION_THRESHOLDS", "SingleObjectFigures", "SingleObjectScorer"]

PRECISION_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)

_CATEGORY = 1
_ANY_AREA = [0, 1e10]
_MOST_CANDIDATES = 100

Rle = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SingleObjectFigures:
    """Figures of the protocol, 0..1 each.

    Attributes:
        samples: Number of samples.
        precision: P@K: share of samples whose best-scored mask has an IoU strictly above each of
            `PRECISION_THRESHOLDS`.
        overall_iou: Summed intersections over summed unions of the best-scored masks; large objects count more.
        mean_iou: Mean IoU of the best-scored masks.
        mean_ap: Mean average precision over IoU 0.50:0.05:0.95, all masks entered with their scores.
        mean_ap_top1: The same with only the best-scored mask of each sample.
    """

    samples: int
    precision: tuple[float, ...]
    overall_iou: float
    mean_iou: float
    mean_ap: float
    mean_ap_top1: float


class SingleObjectScorer:
    """Collects samples and scores them; keeps masks run-length encoded."""

    def __init__(self) -> None:
        self._targets: list[dict[str, Any]] = []
        self._candidates: list[list[dict[str, Any]]] = []
        self._scores: list[NDArray[np.float64]] = []
        self._common: list[int] = []
        self._union: list[int] = []

    def __len__(self) -> int:
        return len(self._targets)

    def add(self, target: Masks, candidates: Masks, scores: NDArray[np.floating]) -> None:
        """Add one sample.

        Args:
            target: The object, `(H, W)` bool.
            candidates: Masks of all queries, `(K, H, W)` bool; none at all counts as an empty mask.
            scores: Their scores, `(K,)`; of equal ones the first counts as the best.
        Raises:
            ShapeError: Shapes or types are others.
        """
        check_masks(target, "target masks", ndim=2)
        check_masks(candidates, "candidate masks")
        if candidates.shape[1:] != target.shape or scores.shape != candidates.shape[:1]:
            raise ShapeError(
                f"target {target.shape}, candidates {candidates.shape}, scores {scores.shape}; expected (H, W), "
                f"(K, H, W) and (K,)"
            )
        best = candidates[int(np.argmax(scores))] if len(scores) else np.zeros_like(target)
        common = int(np.count_nonzero(best & target))
        self._common.append(common)
        self._union.append(int(areas(np.stack([best, target])).sum()) - common)
        self._targets.append(_encode(target[None])[0])
        self._candidates.append(_encode(candidates))
        self._scores.append(np.asarray(scores, dtype=np.float64))

    def figures(self) -> SingleObjectFigures:
        """Score all samples added so far.

        Raises:
            ConfigError: There are none.
        """
        if not self._targets:
            raise ConfigError("no samples to score; expected at least one frame with its one object in sight")
        common, union = np.array(self._common), np.array(self._union)
        iou = np.where(union == 0, 1.0, common / np.maximum(union, 1))
        top = [int(np.argmax(scores)) if len(scores) else None for scores in self._scores]
        return SingleObjectFigures(
            samples=len(iou),
            precision=tuple(float((iou > threshold).mean()) for threshold in PRECISION_THRESHOLDS),
            overall_iou=float(common.sum() / union.sum()) if union.sum() else 1.0,
            mean_iou=float(iou.mean()),
            mean_ap=_mean_average_precision(self._targets, self._candidates, self._scores),
            mean_ap_top1=_mean_average_precision(
                self._targets,
                [[] if k is None else [some[k]] for k, some in zip(top, self._candidates, strict=True)],
                [scores[:0] if k is None else scores[k : k + 1] for k, scores in zip(top, self._scores, strict=True)],
            ),
        )


def _encode(masks: Masks) -> list[dict[str, Any]]:
    """Run-length code of masks `(K, H, W)`."""
    if not len(masks):
        return []
    encoded: list[dict[str, Any]] = coco_mask.encode(np.asfortranarray(masks.transpose(1, 2, 0), dtype=np.uint8))
    return encoded


def _mean_average_precision(
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
