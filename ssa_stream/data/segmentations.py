"""Masks as COCO's annotation files hold them: polygons, or run lengths, compressed or not."""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from ssa_stream.errors import MessageError
from ssa_stream.picture_limits import USUAL_LIMITS
from ssa_stream.run_lengths import RunLengths, check_counts, decode_counts, encode_counts
from ssa_stream.texts import brief

__all__ = ["checked_runs", "decode_segmentation"]

_MOST_OUTLINE_PX: Final = 10_000_000
"""Length of all outlines of one object; pycocotools takes 40 bytes a pixel of it."""
_LEAST_NUMBERS, _LEAST_FIRST_NUMBERS = 4, 6
"""Of a polygon; pycocotools takes all for boxes where the first has four, and draws nothing for four in a later one."""


def decode_segmentation(segmentation: object, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Draw one object; of several polygons the union.

    Args:
        segmentation: The field of that name: polygons `x0 y0 x1 y1 ...` in pixels, or `{"size", "counts"}`.
        size: Height and width of the picture.
    Returns:
        `(H, W)` bool.
    Raises:
        ValueError: It is neither, or not of that size; says what is wrong.
    """
    if isinstance(segmentation, dict):
        return _decode_runs(segmentation, size)
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError(f"it is {brief(segmentation)}; expected polygons or run lengths")
    outlines = [_outline(part) for part in segmentation]
    for number, outline in enumerate(outlines):
        if len(outline) % 2 or len(outline) < (_LEAST_NUMBERS if number else _LEAST_FIRST_NUMBERS):
            raise ValueError(f"a polygon has {len(outline)} numbers; expected pairs of x and y, three or more")
    if (length := sum(map(_length_px, outlines))) > _MOST_OUTLINE_PX:
        raise ValueError(f"its outlines are {length:,.0f} pixels long; expected at most {_MOST_OUTLINE_PX:,}")
    return decode_counts(
        coco.merge(coco.frPyObjects([outline.tolist() for outline in outlines], *size))["counts"], size
    )


def checked_runs(segmentation: object, size: tuple[int, int]) -> RunLengths:
    """A mask of a results file as pycocotools takes it, which looks at nothing itself.

    Args:
        segmentation: As above; run lengths may be of any size.
        size: Height and width of the picture, for polygons.
    Raises:
        ValueError: It is neither, or its run lengths do not fill their own size; says what is wrong.
    """
    if isinstance(segmentation, dict):
        own = segmentation.get("size")
        if not (isinstance(own, list) and len(own) == 2 and all(type(side) is int and side > 0 for side in own)):
            raise ValueError(f"its size is {brief(own)}; expected height and width")
        size = (own[0], own[1])
        if (problem := USUAL_LIMITS.problem(size[1], size[0])) is not None:
            raise ValueError(f"it has {problem}")
        counts = segmentation.get("counts")
        if isinstance(counts, str):
            try:
                check_counts(counts, size)
            except MessageError as error:
                raise ValueError(str(error)) from error
            return {"size": list(size), "counts": counts.encode("ascii")}
    return {"size": list(size), "counts": encode_counts(decode_segmentation(segmentation, size))}


def _outline(part: object) -> npt.NDArray[np.float64]:
    try:
        outline = np.asarray(part, np.float64) if isinstance(part, list) else None
    except (TypeError, ValueError, OverflowError):
        outline = None
    if outline is None or outline.ndim != 1 or not np.isfinite(outline).all():
        raise ValueError(f"a polygon is {brief(part)}; expected a list of numbers")
    return outline


def _length_px(outline: npt.NDArray[np.float64]) -> float:
    """Of the outline, and at least how far it is away: that, too, costs."""
    points = outline.reshape(-1, 2)
    return float(np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum() + np.abs(points).max())


def _decode_runs(segmentation: dict[str, Any], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    if segmentation.get("size") != list(size):
        raise ValueError(f"its size is {brief(segmentation.get('size'))}; expected {list(size)}, that of the picture")
    counts = segmentation.get("counts")
    if isinstance(counts, str):
        try:
            return decode_counts(counts, size)
        except MessageError as error:
            raise ValueError(str(error)) from error
    if not isinstance(counts, list) or not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError(f"its counts are {brief(counts)}; expected lengths of runs")
    if sum(counts) != math.prod(size):
        raise ValueError(f"its run lengths cover {sum(counts)} pixels; expected {math.prod(size)}")
    return decode_counts(coco.frPyObjects(segmentation, *size)["counts"], size)
