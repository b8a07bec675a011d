"""Identity over time: which selected slot is which object (a slot is not an identity, a track is)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchvision.ops import box_iou

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
    cosine = old @ new.T
    overlap = box_iou(torch.tensor([track.last.box for track in tracks]), torch.tensor([s.box for s in sightings]))
    overlap *= torch.tensor([track.absence == 0 for track in tracks])[:, None]
    allowed = cosine >= config.min_cosine
    gain = cosine - config.min_cosine + _OVERLAP_BONUS * overlap
    for i, track in enumerate(tracks):
        for j, sighting in enumerate(sightings):
            gain[i, j] += _SAME_SLOT_BONUS * (track.last.slot == sighting.slot)
            if track.absence == 0 and not _boxes_touch(track.last.box, sighting.box, config.growth):
                allowed[i, j] = False
    # A pair that is not allowed leaves both unmatched, which is just worse than the least gain. If it cost more, a
    # track would be given away to make room for a worse match.
    rows, columns = linear_sum_assignment(-torch.where(allowed, gain, -1e-6).numpy())
    return {int(j): int(i) for i, j in zip(rows, columns, strict=True) if allowed[i, j]}


def _boxes_touch(a: Sequence[float], b: Sequence[float], growth: float) -> bool:
    """Whether two boxes meet after each has grown by `growth` of its size on every side."""
    return all(
        max(a[k] - growth * (a[k + 2] - a[k]), b[k] - growth * (b[k + 2] - b[k]))
        <= min(a[k + 2] + growth * (a[k + 2] - a[k]), b[k + 2] + growth * (b[k + 2] - b[k]))
        for k in (0, 1)
    )
