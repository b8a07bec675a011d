"""A second count of P@K, IoU and COCO's average precision, pixel by pixel and answer by answer, without pycocotools."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssa_stream.metrics import Masks

__all__ = ["SlowSample", "average_precision_slowly", "precision_slowly"]


@dataclass(frozen=True)
class SlowSample:
    """A sample with its answers, in the order of their file."""

    name: str
    target: Masks
    masks: Sequence[Masks]
    scores: Sequence[float]


def precision_slowly(samples: Sequence[SlowSample]) -> tuple[list[float], float]:
    """P@K, and the mean IoU, from the answer of the highest score; of equal ones the last."""
    ious = []
    for sample in samples:
        chosen = 0
        for number, score in enumerate(sample.scores):
            chosen = number if score >= sample.scores[chosen] else chosen
        answer = sample.masks[chosen]
        common, union = (
            np.float32((answer & sample.target).sum()),
            np.float32((answer | sample.target).sum()),
        )
        ious.append(float((common + np.float32(1e-6)) / (union + np.float32(1e-6))))
    hits = [sum(iou > k for iou in ious) / len(ious) for k in (0.5, 0.6, 0.7, 0.8, 0.9)]
    return hits, sum(ious) / len(ious)


def average_precision_slowly(samples: Sequence[SlowSample], low: float = 0, high: float = 1e10) -> float | None:
    """Mean over IoU 0.50:0.05:0.95 for objects of an area, with 101 points of recall."""
    asked = [low <= sample.target.sum() <= high for sample in samples]
    if not any(asked):
        return None
    points = [_at(samples, asked, 0.5 + 0.05 * step, low, high) for step in range(10)]
    return float(np.mean(points))


def _at(samples: Sequence[SlowSample], asked: Sequence[bool], threshold: float, low: float, high: float) -> float:
    """Average precision at one threshold."""
    ranked: list[tuple[float, bool]] = []
    for sample, counts in sorted(zip(samples, asked, strict=True), key=lambda pair: pair[0].name):
        is_taken = False
        order = sorted(range(len(sample.scores)), key=lambda number: -sample.scores[number])[:100]
        for number in order:
            mask = sample.masks[number]
            union = (mask | sample.target).sum()
            iou = (mask & sample.target).sum() / union if union else 0.0
            is_hit = not is_taken and iou >= min(threshold, 1 - 1e-10) - 1e-12
            is_taken = is_taken or is_hit
            if is_hit and not counts:
                continue  # it found an object of another size
            if not is_hit and not low <= mask.sum() <= high:
                continue  # a mistake of another size
            ranked.append((sample.scores[number], is_hit))
    ranked.sort(key=lambda pair: -pair[0])
    hits = np.cumsum([is_hit for _, is_hit in ranked])
    if not len(hits):
        return 0.0
    recalls, precisions = hits / sum(asked), hits / np.arange(1, len(hits) + 1)
    total = 0.0
    for recall in np.linspace(0, 1, 101):
        reached = precisions[recalls >= recall]
        total += float(reached.max()) if len(reached) else 0.0
    return total / 101
