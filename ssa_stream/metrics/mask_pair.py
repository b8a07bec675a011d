"""J and F of two masks of one frame; what is known of a mask is found once, however many it is compared with."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from ssa_stream.metrics.boundary import Outline, outline_accuracy, part_of
from ssa_stream.metrics.masks import Masks

__all__ = ["MeasuredMask", "PairScore", "score_pair"]


class PairScore(NamedTuple):
    """Region similarity and boundary accuracy of one frame, 0..1 each."""

    j: float
    f: float


class MeasuredMask:
    """A mask, the part of the picture that holds it, its area and its outline.

    Args:
        pixels: `(H, W)` bool.
    """

    def __init__(self, pixels: Masks) -> None:
        self.pixels = pixels
        self.part = part_of(pixels)
        self.area = int(np.count_nonzero(pixels[self.part]))

    @cached_property
    def outline(self) -> Outline:
        """Found when it is first asked for."""
        return Outline(self.pixels, self.part)


def score_pair(predicted: MeasuredMask, target: MeasuredMask) -> PairScore:
    """J and F of two masks of one size: `region_similarity` and `boundary_accuracy` of one frame."""
    part = target.part
    common = int(np.count_nonzero(predicted.pixels[part] & target.pixels[part])) if predicted.area else 0
    union = predicted.area + target.area - common
    if common == union:  # the same pixels, or none in both
        return PairScore(1.0, 1.0)
    return PairScore(common / union, outline_accuracy(predicted.outline, target.outline))
