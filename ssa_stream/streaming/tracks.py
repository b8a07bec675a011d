"""Identity over time: which selected slot is which object (a slot is not an identity, a track is)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ssa_stream.streaming.config import TrackConfig

__all__ = ["UNCONFIRMED_ID", "Sighting", "Track", "TrackState", "update_tracks"]

UNCONFIRMED_ID = 0
"""Id of an object in a provisional result that no track is known for yet."""

_SAME_SLOT_BONUS = 0.5
_OVERLAP_BONUS = 2.0
"""Of objects that look alike each is where it was; where nothing overlaps any more, slot and looks decide."""


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A selected slot with a visible mask in one frame.

    Attributes:
        slot: Index of the video query.
        query: The slot's aligned frame query in this frame, `(C,)` float32, CPU.
        box: Left, top, right, bottom of the mask as shares of the frame, 0..1.
    """

    slot: int
    query: Tensor
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """An object that is followed.

    Attributes:
        track_id: Its identity.
        last: Where and how it was last seen.
        absence: Frames since then; 0 if it was seen in the latest frame.
    """

    track_id: int
    last: Sighting
    absence: int


@dataclass(frozen=True, slots=True, eq=False)
class TrackState:
    """Tracks of one prompt.

    Attributes:
        next_id: Id of the next new track; ids only grow.
        tracks: Those that are seen or may come back.
    """

    next_id: int = 1
    tracks: tuple[Track, ...] = ()


def update_tracks(
    state: TrackState, sightings: Sequence[Sighting], config: TrackConfig
) -> tuple[TrackState, list[int], list[bool]]:
    """Give each sighting of a frame its track.

    A sighting may continue a track if its query is similar and, when the track was seen in the frame before, the two
    boxes touch after growing. Among the allowed pairs the assignment with the largest sum of similarity above the
    threshold, overlap of the boxes since the frame before, and same-slot bonus is taken. Sightings left over start new
    tracks.

    Args:
        state: Tracks before the frame.
        sightings: Of one frame.
        config: Thresholds.
    Returns:
        Tracks after the frame; the track id of each sighting; whether that track is new.
    """
    matched = _match(state.tracks, sightings, config)
    next_id = state.next_id
    ids, is_new, seen = [], [], []
    for i, sighting in enumerate(sightings):
        old = matched.get(i)
        track_id = next_id if old is None else state.tracks[old].track_id
        next_id += old is None
        ids.append(track_id)
        is_new.append(old is None)
        seen.append(Track(track_id, sighting, absence=0))
    continued = set(matched.values())
    absent = [
        replace(track, absence=track.absence + 1)
        for i, track in enumerate(state.tracks)
        if i not in continued and track.absence < config.max_absence_frames
    ]
    return TrackState(next_id, (*seen, *absent)), ids, is_new


def _match(tracks: Sequence[Track], sightings: Sequence[Sighting], config: TrackConfig) -> dict[int, int]:
    """Sighting index -> track index for every continued track."""
    if not tracks or not sightings:
        return {}
    old = torch.nn.functional.normalize(torch.stack([track.last.query for track in tracks]), dim=-1)
    new = torch.nn.functional.normalize(torch.stack([sighting.query for sighting in sightings]), dim=-1)
    cosine = (old @ new.T).numpy()
    is_seen = np.array([track.absence == 0 for track in tracks])
    slots = np.array([track.last.slot for track in tracks])[:, None] == np.array([s.slot for s in sightings])
    overlap = _box_iou([track.last.box for track in tracks], [s.box for s in sightings]) * is_seen[:, None]
    gain = cosine - config.min_cosine + _OVERLAP_BONUS * overlap + _SAME_SLOT_BONUS * slots.astype(np.float32)
    allowed = cosine >= config.min_cosine
    for i, j in zip(*np.nonzero(allowed & is_seen[:, None]), strict=True):
        allowed[i, j] = _boxes_touch(tracks[i].last.box, sightings[j].box, config.growth)
    # A pair that is not allowed leaves both unmatched, which is just worse than the least gain. If it cost more, a
    # track would be given away to make room for a worse match.
    rows, columns = linear_sum_assignment(-np.where(allowed, gain, np.float32(-1e-6)))
    return {int(j): int(i) for i, j in zip(rows, columns, strict=True) if allowed[i, j]}


def _box_iou(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    """Intersection over union of each pair of boxes, which are not empty."""
    left, right = np.array(a, dtype=np.float32)[:, None], np.array(b, dtype=np.float32)
    sides = np.minimum(left[..., 2:], right[..., 2:]) - np.maximum(left[..., :2], right[..., :2])
    inter = np.maximum(sides, 0).prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (left, right)]
    iou: NDArray[np.float32] = inter / (areas[0] + areas[1] - inter)
    return iou


def _boxes_touch(a: Sequence[float], b: Sequence[float], growth: float) -> bool:
    """Whether two boxes meet after each has grown by `growth` of its size on every side."""
    return all(
        max(a[k] - growth * (a[k + 2] - a[k]), b[k] - growth * (b[k + 2] - b[k]))
        <= min(a[k + 2] + growth * (a[k + 2] - a[k]), b[k + 2] + growth * (b[k + 2] - b[k]))
        for k in (0, 1)
    )
