"""Masks as all metrics take them: `(T, H, W)` bool, `T` frames of one size."""

import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import ShapeError

__all__ = ["Masks", "areas", "check_masks", "check_pair"]

Masks = NDArray[np.bool_]


def check_masks(masks: object, name: str, ndim: int = 3) -> Masks:
    """Return `masks` if they are bool with `ndim` axes and at least one pixel a frame.

    Raises:
        ShapeError: They are not; `name` is what the message calls them.
    """
    if not isinstance(masks, np.ndarray) or masks.dtype != np.bool_:
        kind = getattr(masks, "dtype", type(masks).__name__)
        raise ShapeError(f"{name} are {kind}; expected a numpy array of bool")
    if masks.ndim != ndim or 0 in masks.shape[-2:]:
        raise ShapeError(f"{name} have shape {masks.shape}; expected {ndim} axes, the last two height and width")
    return masks


def check_pair(predicted: object, target: object) -> tuple[Masks, Masks]:
    """Return both masks if they are `(T, H, W)` bool of one shape with at least one frame.

    Raises:
        ShapeError: They are not.
    """
    first, second = check_masks(predicted, "predicted masks"), check_masks(target, "target masks")
    if first.shape != second.shape or not len(first):
        raise ShapeError(
            f"predicted masks have shape {first.shape}, target masks {second.shape}; expected the same shape, with at "
            f"least one frame"
        )
    return first, second


def areas(masks: Masks) -> NDArray[np.int64]:
    """Pixels of each mask of `(T, H, W)`, `(T,)`."""
    return np.array([np.count_nonzero(mask) for mask in masks], dtype=np.int64)
