"""The A2D-Sentences and JHMDB-Sentences protocol: one frame, one sentence, one object; any number of scored masks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from ssa_stream.errors import ConfigError, ShapeError
from ssa_stream.metrics.average_precision import Rle, ScoredObject, TrueObject, average_precision
from ssa_stream.metrics.masks import Masks, check_masks

__all__ = [
    "PRECISION_THRESHOLDS",
    "Box",
    "Overlap",
    "OverlapFigures",
    "SingleObjectFigures",
    "SingleObjectScorer",
    "best_answers",
    "box_overlap",
    "mask_overlap",
    "overlap_figures",
]

PRECISION_THRESHOLDS: Final = (0.5, 0.6, 0.7, 0.8, 0.9)
_EPSILON: Final = np.float32(1e-6)

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


class Overlap(NamedTuple):
    """What an answer and its object have in common.

    Attributes:
        iou: (intersection + 1e-6) / (union + 1e-6) in float32, so 1 if both are empty.
        intersection: In pixels.
        union: In pixels.
    """

    iou: float
    intersection: float
    union: float


@dataclass(frozen=True, slots=True)
class OverlapFigures:
    """Figures of the best-scored answers, 0..1.

    Attributes:
        precision: P@K: share of samples with an IoU strictly above each of `PRECISION_THRESHOLDS`. The IoU is float32:
            exact 0.5, 0.7 and 0.9 are not above themselves, but the float32 next to 0.6 and to 0.8 is.
        overall_iou: Summed intersections over summed unions; large objects count more. None if all is empty.
        mean_iou: Mean of the IoUs.
    """

    precision: tuple[float, ...]
    overall_iou: float | None
    mean_iou: float


@dataclass(frozen=True, slots=True)
class SingleObjectFigures:
    """Figures of the protocol, 0..1 each.

    Attributes:
        samples: Number of samples.
        precision: See `OverlapFigures`.
        overall_iou: See `OverlapFigures`; 1 if all is empty.
        mean_iou: See `OverlapFigures`.
        mean_ap: Mean average precision over IoU 0.50:0.05:0.95, all masks entered with their scores.
        mean_ap_top1: The same with only the best-scored mask of each sample.
        ap_50: Average precision at IoU 0.50, all masks.
        ap_75: At IoU 0.75.
        ap_small: As `mean_ap`, of objects of at most 32^2 pixels; None if there are none.
        ap_medium: Of 32^2 to 96^2 pixels.
        ap_large: Of more.
    """

    samples: int
    precision: tuple[float, ...]
    overall_iou: float
    mean_iou: float
    mean_ap: float
    mean_ap_top1: float
    ap_50: float | None = None
    ap_75: float | None = None
    ap_small: float | None = None
    ap_medium: float | None = None
    ap_large: float | None = None


def mask_overlap(answer: Rle | None, target: Rle) -> Overlap:
    """Overlap of two masks.

    Args:
        answer: None is an empty mask.
        target: The object's mask.
    Raises:
        ShapeError: They differ in size.
    """
    area = int(coco_mask.area(target))
    if answer is None:
        return _overlap(np.float32(0), np.float32(area))
    if list(answer["size"]) != list(target["size"]):
        raise ShapeError(f"a mask has the size {list(answer['size'])}; expected the object's, {list(target['size'])}")
    common = int(coco_mask.area(coco_mask.merge([answer, target], intersect=True)))
    return _overlap(np.float32(common), np.float32(area + int(coco_mask.area(answer)) - common))


def box_overlap(answer: Box, target: Box) -> Overlap:
    """Overlap of two boxes, in float32."""
    ours, other = np.array(target, np.float32), np.array(answer, np.float32)
    sides = np.minimum(ours[2:], other[2:]) - np.maximum(ours[:2], other[:2])
    common = np.prod(np.maximum(sides, np.float32(0)))
    return _overlap(common, np.prod(other[2:] - other[:2]) + np.prod(ours[2:] - ours[:2]) - common)


def _overlap(common: np.float32, union: np.float32) -> Overlap:
    return Overlap(float((common + _EPSILON) / (union + _EPSILON)), float(common), float(union))


def overlap_figures(overlaps: Sequence[Overlap]) -> OverlapFigures:
    """Figures of the best-scored answer of each sample; at least one sample."""
    ious = np.array([overlap.iou for overlap in overlaps])
    union = sum(overlap.union for overlap in overlaps)
    return OverlapFigures(
        tuple(float((ious > threshold).mean()) for threshold in PRECISION_THRESHOLDS),
        sum(overlap.intersection for overlap in overlaps) / union if union else None,
        float(ious.mean()),
    )


class Scored(Protocol):
    """An answer for a sample."""

    @property
    def sample_id(self) -> str | int:
        """Name of the sample."""

    @property
    def score(self) -> float:
        """How sure it is."""


_Scored = TypeVar("_Scored", bound=Scored)


def best_answers(answers: Iterable[_Scored]) -> dict[str | int, _Scored]:
    """The answer of the highest score of each sample that has any; of equal ones the last in order."""
    by_sample: dict[str | int, list[_Scored]] = {}
    for answer in answers:
        by_sample.setdefault(answer.sample_id, []).append(answer)
    # The published scorer sorts and takes the last one; where a score is not a number the result hangs on that.
    return {sample: sorted(some, key=lambda answer: answer.score)[-1] for sample, some in by_sample.items()}


class SingleObjectScorer:
    """Collects samples and scores them; keeps masks run-length encoded."""

    def __init__(self) -> None:
        self._objects: list[TrueObject] = []
        self._answers: list[ScoredObject] = []

    def __len__(self) -> int:
        return len(self._objects)

    def add(
        self, target: Masks, candidates: Masks, scores: NDArray[np.floating], sample_id: str | int | None = None
    ) -> None:
        """Add one sample.

        Args:
            target: The object, `(H, W)` bool.
            candidates: Masks of all queries, `(K, H, W)` bool; none at all counts as an empty mask.
            scores: Their scores, `(K,)`; of equal ones the last counts as the best, but for the average precision the
                first.
            sample_id: Its name, as in the data set; all samples have one or none has. Where scores of several samples
                are equal, names decide about their order in the average precision.
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
        name = len(self._objects) if sample_id is None else sample_id
        self._objects.append(TrueObject(name, _encode(target[None])[0]))
        self._answers += [
            ScoredObject(name, mask, float(score)) for mask, score in zip(_encode(candidates), scores, strict=True)
        ]

    def figures(self) -> SingleObjectFigures:
        """Score all samples added so far.

        Raises:
            ConfigError: There are none.
        """
        if not self._objects:
            raise ConfigError("no samples to score; expected at least one frame with its one object in sight")
        best = best_answers(self._answers)
        chosen = [best.get(item.sample_id) for item in self._objects]
        figures = overlap_figures(
            [
                mask_overlap(None if answer is None else answer.mask, item.mask)
                for answer, item in zip(chosen, self._objects, strict=True)
            ]
        )
        every = average_precision(self._objects, self._answers)
        top = average_precision(self._objects, [answer for answer in chosen if answer], by_size=False)
        return SingleObjectFigures(
            samples=len(self._objects),
            precision=figures.precision,
            overall_iou=1.0 if figures.overall_iou is None else figures.overall_iou,
            mean_iou=figures.mean_iou,
            mean_ap=every.mean or 0.0,
            mean_ap_top1=top.mean or 0.0,
            ap_50=every.at_50,
            ap_75=every.at_75,
            ap_small=every.small,
            ap_medium=every.medium,
            ap_large=every.large,
        )


def _encode(masks: Masks) -> list[dict[str, Any]]:
    """Run-length code of masks `(K, H, W)`."""
    if not len(masks):
        return []
    encoded: list[dict[str, Any]] = coco_mask.encode(np.asfortranarray(masks.transpose(1, 2, 0), dtype=np.uint8))
    return encoded
