"""Region similarity J: intersection over union, frame by frame."""

import numpy as np
from numpy.typing import NDArray

from ssa_stream.metrics.masks import Masks, areas, check_pair

__all__ = ["region_similarity"]


def region_similarity(predicted: Masks, target: Masks) -> NDArray[np.float64]:
    """Intersection over union of each frame; 1 where both masks are empty.

    Args:
        predicted: `(T, H, W)` bool.
        target: The same shape.
    Returns:
        `(T,)`, 0..1.
    Raises:
        ShapeError: Shapes or types are others.
    Source: DAVIS 2017, `db_eval_iou`.
    """
    predicted, target = check_pair(predicted, target)
    common = areas(predicted & target)
    union = areas(predicted) + areas(target) - common
    return np.where(union == 0, 1.0, common / np.maximum(union, 1))
