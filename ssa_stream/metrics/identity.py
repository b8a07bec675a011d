"""Whether an object keeps its track id, from frame to frame and after it was hidden."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import ConfigError, ShapeError
from ssa_stream.metrics.masks import Masks, areas, check_masks

__all__ = ["IdentityCounts", "count_identity", "match_tracks"]

_KEEPS_ID = 1.0


class IdentityCounts(NamedTuple):
    """Identity of one clip's objects; counts of clips add up.

    Attributes:
        switches: How often an object is followed by another track than the one that followed it last.
        occlusions: How often an object that was followed is hidden and seen again.
        kept: How many of these are followed by the same track again before the object is hidden again.
    """

    switches: int
    occlusions: int
    kept: int


def match_tracks(
    tracks: Mapping[int, Masks], objects: Masks, last_ids: Sequence[int | None], min_iou: float = 0.5
) -> list[int | None]:
    """Which track follows which object in one frame.

    Args:
        tracks: Mask of each track by its id, `(H, W)` bool.
        objects: Visible mask of each object, `(n, H, W)` bool.
        last_ids: The track that followed each object last; it goes on if it still overlaps enough.
        min_iou: Least intersection over union of a track and the object it follows.
    Returns:
        Track id of each object, None if no track follows it. A track follows one object.
    Source: CLEAR MOT (Bernardin and Stiefelhagen, 2008), with masks; matched to the largest total overlap.
    """
    if not tracks or not len(objects):
        return [None] * len(objects)
    ids = list(tracks)
    gain = _overlaps(np.stack([tracks[track_id] for track_id in ids]), objects)  # (tracks, n)
    allowed = (gain >= min_iou) & (gain > 0)
    for column, last_id in enumerate(last_ids):
        if last_id is not None and last_id in tracks:
            gain[ids.index(last_id), column] += _KEEPS_ID
    from scipy.optimize import linear_sum_assignment  # takes longer to import than most clips to score

    rows, columns = linear_sum_assignment(-np.where(allowed, gain, 0.0))
    matched: list[int | None] = [None] * len(objects)
    for row, column in zip(rows, columns, strict=True):
        if allowed[row, column]:
            matched[int(column)] = ids[row]
    return matched


def count_identity(tracks: Sequence[Mapping[int, Masks]], objects: Masks, min_iou: float = 0.5) -> IdentityCounts:
    """Count identity switches and occlusions of a clip.

    Args:
        tracks: For each of `T` frames the mask of each track by its id, `(H, W)` bool.
        objects: Visible mask of each object that the sentence means, `(n, T, H, W)` bool; empty where it is hidden.
        min_iou: See `match_tracks`.
    Raises:
        ShapeError: Shapes, types or numbers of frames do not fit.
        ConfigError: `min_iou` is not within 0..1.
    """
    check_masks(objects, "object masks", ndim=4)
    if not 0 <= min_iou <= 1:
        raise ConfigError(f"min_iou is {min_iou}; expected 0..1")
    if objects.shape[1] != len(tracks):
        raise ShapeError(f"tracks of {len(tracks)} frames and objects of {objects.shape[1]}; expected the same number")
    visible = np.asarray(objects.any(axis=(2, 3)))  # (n, T)
    last: list[int | None] = [None] * len(objects)
    history: list[list[int | None]] = []
    for t, frame_tracks in enumerate(tracks):
        matched = match_tracks(frame_tracks, objects[:, t], last, min_iou)
        last = [old if new is None else new for old, new in zip(last, matched, strict=True)]
        history.append(matched)
    counts = [_count(visible[i], [matched[i] for matched in history]) for i in range(len(objects))]
    return IdentityCounts(*(sum(column) for column in zip(*counts, strict=True))) if counts else IdentityCounts(0, 0, 0)


def _count(visible: NDArray[np.bool_], ids: Sequence[int | None]) -> IdentityCounts:
    """Counts of one object, given in which frames it is visible and which track follows it."""
    followed = [track_id for track_id in ids if track_id is not None]
    switches = sum(now != before for before, now in pairwise(followed))
    occlusions, kept = 0, 0
    starts = [t for t in range(1, len(visible)) if visible[t] and not visible[t - 1]]
    for start in starts:
        before = [track_id for track_id in ids[:start] if track_id is not None]
        if not before:
            continue
        hidden = np.flatnonzero(~visible[start:])
        end = start + int(hidden[0]) if len(hidden) else len(visible)
        after = [track_id for track_id in ids[start:end] if track_id is not None]
        occlusions += 1
        kept += after[:1] == before[-1:]
    return IdentityCounts(switches, occlusions, kept)


def _overlaps(first: Masks, second: Masks) -> NDArray[np.float64]:
    """Intersection over union of every mask of one stack with every one of another; 0 where both are empty."""
    common = np.array([areas(second & mask) for mask in first], dtype=np.float64)
    union = areas(first)[:, None] + areas(second)[None] - common
    return np.asarray(common / np.maximum(union, 1))
