"""From a prompt's video queries and a frame's mask features to tracked masks at source resolution."""

from collections.abc import Set
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ssa_stream.model import MaskSizes, Stages, select_queries
from ssa_stream.model.selection import mask_confidence, resize_logits, resize_to_output
from ssa_stream.streaming.config import SessionConfig
from ssa_stream.streaming.results import TrackMask
from ssa_stream.streaming.tracks import UNCONFIRMED_ID, Sighting, TrackState, update_tracks

__all__ = [
    "FOLLOWED_BONUS",
    "FoundMasks",
    "FrameEvidence",
    "emit_masks",
    "find_masks",
    "followed_slots",
    "own_masks",
    "owners",
    "without_padding",
]

MASK_STRIDE = 4
"""Pixels of the network's input per cell of the mask features."""
FOLLOWED_BONUS = 0.3
"""On the probability of a slot that a track was in, so that an object with several slots stays in one of them."""


class FrameEvidence(NamedTuple):
    """All that decides a prompt's masks in a frame.

    Attributes:
        probability: Of each video query, `(N,)`.
        mask_embedding: Of each video query, `(N, C)`.
        aligned: The frame's aligned queries, `(N, C)`; the identity of slots.
        mask_features: The frame's, `(C, H/4, W/4)`.
    """

    probability: Tensor
    mask_embedding: Tensor
    aligned: Tensor
    mask_features: Tensor


class FoundMasks(NamedTuple):
    """Masks of one prompt in one frame, on the processor, with what else is told of the frame.

    Attributes:
        slots: Which video queries have masks, `K` of them in ascending order.
        scores: Of each.
        masks: Of each, `(K, H, W)` bool.
        probability: Of each of the `N` video queries.
        aligned: Their queries, `(N, C)` float32.
    """

    slots: list[int]
    scores: list[float]
    masks: NDArray[np.bool_]
    probability: list[float]
    aligned: Tensor


def emit_masks(
    found: FoundMasks, sizes: MaskSizes, tracks: TrackState, config: SessionConfig, *, provisional: bool = False
) -> tuple[TrackState, tuple[TrackMask, ...]]:
    """Follow objects.

    Args:
        found: Of one prompt and frame.
        sizes: Padded, network and source size.
        tracks: The prompt's tracks before the frame.
        config: Of tracking.
        provisional: The frame will be emitted again: tracks stay as they are, unknown objects get `UNCONFIRMED_ID`.
    Returns:
        Tracks after the frame, and its masks by descending score.
    """
    boxes = [_box(mask) for mask in found.masks]
    visible = [k for k, box in enumerate(boxes) if box[2] > box[0]]
    height, width = sizes.output
    sightings = [
        Sighting(
            found.slots[k],
            found.aligned[found.slots[k]].clone(),
            (boxes[k][0] / width, boxes[k][1] / height, boxes[k][2] / width, boxes[k][3] / height),
        )
        for k in visible
    ]
    after, ids, is_new = update_tracks(tracks, sightings, config.tracks)
    if provisional:
        after, ids = tracks, [UNCONFIRMED_ID if new else track_id for track_id, new in zip(ids, is_new, strict=True)]
    emitted = [
        TrackMask(
            track_id=track_id,
            score=found.scores[k],
            probability=found.probability[found.slots[k]],
            box_xyxy=boxes[k],
            area_px=int(np.count_nonzero(found.masks[k])),
            mask=found.masks[k],
        )
        for k, track_id in zip(visible, ids, strict=True)
    ]
    return after, tuple(sorted(emitted, key=lambda track: -track.score))


def followed_slots(tracks: TrackState) -> frozenset[int]:
    """Slots in which objects were seen in the frame before."""
    return frozenset(track.last.slot for track in tracks.tracks if track.absence == 0)


def find_masks(
    model: Stages, evidence: FrameEvidence, sizes: MaskSizes, followed: Set[int], config: SessionConfig
) -> FoundMasks:
    """Masks of the selected slots. Which of them stay is decided at stride 4, before the costly resizing.

    It asks its tensors for values again and again, as it goes: `gpu_masks` is for those that are not on the processor.

    Args:
        model: The network.
        evidence: Of one prompt and frame.
        sizes: Padded, network and source size.
        followed: See `followed_slots`.
        config: Of selection.
    """
    slots = select_queries(evidence.probability, config.mode, config.threshold)
    logits = model.predict_masks(evidence.mask_embedding[slots][None], evidence.mask_features[None])[0]
    probability = evidence.probability[slots]
    bonus = [FOLLOWED_BONUS * (slot in followed) for slot in slots.tolist()]
    weight = probability + probability.new_tensor(bonus)
    min_share = config.tracks.min_own_share
    kept = owners(without_padding(logits, sizes), weight, min_share)
    at_network = resize_logits(logits[kept][:, None], sizes)  # (K, 1, h, w)
    scores = mask_confidence(at_network).score(probability[kept])
    at_output = resize_to_output(at_network, sizes.output)[:, 0]
    masks = own_masks(at_output, weight[kept]) if min_share else at_output > 0
    return FoundMasks(
        slots[kept].tolist(),
        scores.tolist(),
        masks.cpu().numpy(),
        evidence.probability.tolist(),
        evidence.aligned.float().cpu(),
    )


def without_padding(logits: Tensor, sizes: MaskSizes) -> Tensor:
    """The part of logits at stride 4 that shows the picture: padding shows nothing."""
    rows, columns = (-(-side // MASK_STRIDE) for side in sizes.network)
    return logits[..., :rows, :columns]


def _box(mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[int, int, int, int]:
    """Tight box of a mask, right and bottom exclusive; zeros if empty."""
    columns = np.flatnonzero(mask.any(axis=0))
    if not len(columns):
        return 0, 0, 0, 0
    rows = np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def own_masks(logits: Tensor, weight: Tensor) -> Tensor:
    """Give every pixel to the mask that claims it most: its weight times its confidence there.

    Args:
        logits: Of `K` masks, `(K, h, w)`; a mask claims what is above 0.
        weight: `(K,)`, positive.
    Returns:
        Masks that do not overlap and cover together what they claimed, `(K, h, w)` bool.
    Source: the panoptic inference of Cheng et al., "Masked-attention Mask Transformer" (CVPR 2022).
    """
    masks = logits > 0
    if len(masks) < 2:
        return masks
    # Bytes are added, which is several times as fast as what torch makes of bool; 255 is more than there are slots.
    contested = masks.view(torch.uint8).sum(dim=0, dtype=torch.uint8 if len(masks) < 256 else torch.int64) > 1
    places = contested.flatten().nonzero()[:, 0]
    if not len(places):
        return masks
    there, claimed = logits.flatten(1).index_select(1, places), masks.flatten(1)
    claims = weight[:, None] * there.sigmoid()
    owner = torch.where(claimed.index_select(1, places), claims, -1.0).argmax(dim=0)
    claimed[:, places] = F.one_hot(owner, len(masks)).T.bool()
    return claimed.view_as(masks)


def owners(logits: Tensor, weight: Tensor, min_share: float) -> list[int]:
    """Choose the masks that keep enough of what they claim; what the others claim shows the objects of these.

    The mask that keeps the least goes first, and what it had is shared out anew.

    Args:
        logits: `(K, h, w)`.
        weight: `(K,)`, positive.
        min_share: Least share of a mask's pixels that it must keep.
    Returns:
        Indices in ascending order. Masks that claim nothing are not among them.
    """
    claimed = (logits > 0).flatten(1).sum(dim=1)
    kept: list[int] = claimed.nonzero()[:, 0].tolist()
    while len(kept) > 1:
        share = own_masks(logits[kept], weight[kept]).flatten(1).sum(dim=1) / claimed[kept]
        least = int(share.argmin())
        if share[least] >= min_share:
            break
        del kept[least]
    return kept
