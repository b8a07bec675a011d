"""The DAVIS 2017 toolkit for unsupervised answers: several objects a video, matched with those of the truth.

Source: davis2017-evaluation, `DAVISEvaluation(task="unsupervised")`, `db_statistics`, as SSA and ReferFormer ship it.
Differs: one frame at a time is looked at, and boundaries are found once a mask; the figures are the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ssa_stream.metrics.mask_pair import MeasuredMask, score_pair

__all__ = [
    "MOST_DAVIS_OBJECTS",
    "VOID",
    "DavisFigures",
    "DavisRow",
    "DavisTruthFrame",
    "davis_figures",
    "davis_statistics",
    "match_davis_objects",
]

VOID = 255
"""Label of pixels of the truth that are not counted."""
MOST_DAVIS_OBJECTS = 20
"""The toolkit stops at a higher label in an answer."""
_BINS = 4
_MOST_KEPT_BYTES = 128 * 2**20
"""Of masks of objects of the truth."""

Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class DavisRow:
    """J and F of one object of the answer, each frame against one object of the truth, `(T,)` each."""

    j: NDArray[np.float64]
    f: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DavisFigures:
    """Means over objects: mean, recall and decay of J and F; None where the toolkit's is not a number."""

    j_and_f_mean: float | None
    j_mean: float | None
    j_recall: float | None
    j_decay: float | None
    f_mean: float | None
    f_recall: float | None
    f_decay: float | None

    def by_name(self) -> dict[str, float | None]:
        """The figures under the names that the toolkit prints."""
        return {
            "J&F-Mean": self.j_and_f_mean,
            "J-Mean": self.j_mean,
            "J-Recall": self.j_recall,
            "J-Decay": self.j_decay,
            "F-Mean": self.f_mean,
            "F-Recall": self.f_recall,
            "F-Decay": self.f_decay,
        }


class DavisTruthFrame:
    """The objects of one frame of the truth, for several answers to be compared with.

    Args:
        labels: `(H, W)` uint8; pixels of 255 (void) are counted in no mask.
        wanted: Labels of the objects, any number.
    Attributes:
        empty: `(2, objects)`: J, F of an empty answer against each.
    """

    def __init__(self, labels: Labels, wanted: Sequence[int]) -> None:
        self._counted = labels != VOID
        self._labels = labels
        self._wanted = tuple(wanted)
        self._present = set(np.flatnonzero(np.bincount(labels.ravel(), minlength=256)).tolist()) - {VOID}
        self._kept: dict[int, MeasuredMask] = {}
        self._most_kept = max(1, _MOST_KEPT_BYTES // max(1, labels.size))
        self.empty = np.ones((2, len(self._wanted)))
        for column, label in enumerate(self._wanted):
            if label in self._present:
                self.empty[:, column] = 0.0, not self._target(label).outline.num_pixels

    def score(self, answer: Labels) -> NDArray[np.float64]:
        """J and F of each object of an answer against each of the truth.

        Args:
            answer: `(H, W)` uint8; labels above `MOST_DAVIS_OBJECTS` are passed over.
        Returns:
            `(2, MOST_DAVIS_OBJECTS, objects of the truth)`: J, F of labels 1, 2, ...; those that the answer lacks are
            empty masks.
        """
        scores = np.repeat(self.empty[:, None], MOST_DAVIS_OBJECTS, axis=1)
        present = np.flatnonzero(np.bincount(answer.ravel(), minlength=256)[1 : MOST_DAVIS_OBJECTS + 1]) + 1
        masks = {int(label): self._object(answer, int(label)) for label in present}
        for column, wanted in enumerate(self._wanted):
            target = self._target(wanted) if wanted in self._present else self._nothing
            for label, mask in masks.items():
                scores[:, label - 1, column] = score_pair(mask, target)
        return scores

    @cached_property
    def _nothing(self) -> MeasuredMask:
        return MeasuredMask(np.zeros(self._labels.shape, np.bool_))

    def _target(self, label: int) -> MeasuredMask:
        """An object; of many in a large picture some are found again each time."""
        mask = self._kept.get(label)
        if mask is None:
            mask = self._object(self._labels, label)
            if len(self._kept) < self._most_kept:
                self._kept[label] = mask
        return mask

    def _object(self, labels: Labels, label: int) -> MeasuredMask:
        return MeasuredMask((labels == label) & self._counted)


def match_davis_objects(scores: NDArray[np.float64]) -> list[DavisRow]:
    """Match objects so that the sum of their mean (J + F) / 2 is highest.

    Args:
        scores: `(2, answers, truths, T)` from `DavisTruthFrame.score`, with at least as many answers as truths.
    Returns:
        A row an object of the truth, in the order of the *answer's* objects, as the toolkit numbers them.
    """
    if not scores.size:
        return []
    from scipy.optimize import linear_sum_assignment

    means = scores.mean(axis=3).mean(axis=0)
    rows, columns = linear_sum_assignment(-means)
    return [DavisRow(*scores[:, row, column]) for row, column in zip(rows, columns, strict=True)]


def davis_statistics(values: NDArray[np.float64], *, wraps: bool = True) -> tuple[float, float, float]:
    """Mean, recall (share above 0.5) and decay (first quarter less last quarter) of one object.

    Args:
        values: J or F of each frame, `(T,)`.
        wraps: Whether frame numbers above 255 begin again at 0, as in the toolkit.
    Returns:
        The decay is NaN where the toolkit's last quarter has no frames.
    """
    edges = np.round(np.linspace(1, len(values), _BINS + 1) + 1e-10).astype(np.int64) - 1
    stops = edges + 1
    if wraps:
        edges, stops = edges % 256, (edges % 256 + 1) % 256
    first, last = values[edges[0] : stops[1]], values[edges[-2] : stops[-1]]
    decay = float(first.mean() - last.mean()) if len(first) and len(last) else float("nan")
    return float(values.mean()), float((values > 0.5).mean()), decay


def davis_figures(rows: Iterable[DavisRow], *, wraps: bool = True) -> DavisFigures:
    """Means over the objects of all videos; see `davis_statistics`."""
    rows = list(rows)
    if not rows:
        return DavisFigures(*[None] * 7)
    j = np.mean([davis_statistics(row.j, wraps=wraps) for row in rows], axis=0)
    f = np.mean([davis_statistics(row.f, wraps=wraps) for row in rows], axis=0)
    figures = DavisFigures(float((j[0] + f[0]) / 2), *map(float, j), *map(float, f))
    return replace(
        figures,
        j_decay=None if np.isnan(j[2]) else figures.j_decay,
        f_decay=None if np.isnan(f[2]) else figures.f_decay,
    )
