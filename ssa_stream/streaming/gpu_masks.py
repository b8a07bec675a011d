"""Masks of a frame on a device that runs beside the processor: nothing is asked for until all prompts' masks are made.

`emission.find_masks` asks which queries are selected, which masks claim the same pixels, and so on; each answer waits
for all that the device has been given. Here the same is computed with fixed numbers of candidates, and one answer holds
it all.
"""

from collections.abc import Sequence, Set
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ssa_stream.model import MaskSizes, Stages
from ssa_stream.model.selection import mask_confidence, resize_logits, resize_to_output
from ssa_stream.model.transfers import to_device, to_host
from ssa_stream.streaming.config import SessionConfig
from ssa_stream.streaming.emission import FOLLOWED_BONUS, FoundMasks, FrameEvidence, without_padding

__all__ = ["find_masks_together"]

_LEAST_ROOM = 4


class _Candidates(NamedTuple):
    """What the device makes for one prompt, with room for `R` candidates.

    Attributes:
        selected: How many video queries are selected; those beyond `R` are not among the candidates.
        slots: Of the candidates, in ascending order, `(R,)`.
        is_found: Which candidates have masks, `(R,)` bool.
        scores: `(R,)`.
        masks: `(R, H, W)` bool.
        probability: Of all video queries, `(N,)`.
        aligned: Their queries, `(N, C)` float32.
    """

    selected: Tensor
    slots: Tensor
    is_found: Tensor
    scores: Tensor
    masks: Tensor
    probability: Tensor
    aligned: Tensor


def find_masks_together(
    model: Stages,
    evidence: Sequence[FrameEvidence],
    sizes: MaskSizes,
    followed: Sequence[Set[int]],
    config: SessionConfig,
) -> list[FoundMasks]:
    """Masks of all prompts of a frame, as `emission.find_masks` makes them for one.

    The device is waited for once; once more in a frame in which clearly more queries are selected than objects were
    followed.

    Args:
        model: The network.
        evidence: Of each prompt.
        sizes: Padded, network and source size.
        followed: Slots with objects in the frame before, of each prompt.
        config: Of selection.
    """
    rooms = [_room(2 * (len(slots) + 1), one) for slots, one in zip(followed, evidence, strict=True)]
    found: list[FoundMasks | None] = [None] * len(evidence)
    while missing := [i for i, one in enumerate(found) if one is None]:
        made = [_candidates(model, evidence[i], sizes, followed[i], config, rooms[i]) for i in missing]
        width = len(_Candidates._fields)
        there = to_host([tensor for one in made for tensor in one])
        for place, i in enumerate(missing):
            one = _Candidates(*there[place * width : (place + 1) * width])
            if int(one.selected) > rooms[i]:
                rooms[i] = _room(int(one.selected), evidence[i])
            else:
                found[i] = _found(one)
    return [one for one in found if one is not None]


def _room(wanted: int, evidence: FrameEvidence) -> int:
    """A power of two that holds so many candidates, so that shapes are few."""
    room = _LEAST_ROOM
    while room < wanted:
        room *= 2
    return min(room, len(evidence.probability))


def _candidates(
    model: Stages, evidence: FrameEvidence, sizes: MaskSizes, followed: Set[int], config: SessionConfig, room: int
) -> _Candidates:
    """Queue the work of one prompt on the device."""
    N, device = len(evidence.probability), evidence.probability.device
    places = torch.arange(N, device=device)
    selected = evidence.probability > config.threshold
    if config.mode == "single":
        selected = selected & (places == evidence.probability.argmax())
    ordered = torch.where(selected, places, places + N).sort().values[:room]  # those selected come first
    is_selected, slots = ordered < N, ordered % N
    probability = evidence.probability.index_select(0, slots)
    bonus = to_device(torch.tensor([FOLLOWED_BONUS * (slot in followed) for slot in range(N)]), device)
    weight = (probability + bonus.index_select(0, slots))[:, None, None]

    embedding = evidence.mask_embedding.index_select(0, slots)
    logits = model.predict_masks(embedding[None], evidence.mask_features[None])[0]
    min_share = config.tracks.min_own_share
    is_found = _owners(without_padding(logits, sizes), weight, is_selected, min_share)
    at_network = resize_logits(logits[:, None], sizes)
    at_output = resize_to_output(at_network, sizes.output)[:, 0]
    claims = (at_output > 0) & is_found[:, None, None]
    return _Candidates(
        selected=selected.sum(),
        slots=slots,
        is_found=is_found,
        scores=mask_confidence(at_network).score(probability),
        masks=_own(at_output, claims, weight) if min_share else claims,
        probability=evidence.probability,
        aligned=evidence.aligned.float(),
    )


def _owners(logits: Tensor, weight: Tensor, is_selected: Tensor, min_share: float) -> Tensor:
    """Which candidates keep enough of what they claim, `(R,)` bool: `emission.owners`, with a fixed number of steps."""
    claimed = (logits > 0).flatten(1).sum(dim=1)
    kept = is_selected & (claimed > 0)
    places = torch.arange(len(logits), device=logits.device)
    for _ in range(len(logits) - 1 if min_share else 0):
        own = _own(logits, (logits > 0) & kept[:, None, None], weight).flatten(1).sum(dim=1)
        share = torch.where(kept, own / claimed, torch.inf)
        goes = (kept.sum() > 1) & (share.amin() < min_share)
        kept = kept & ~(goes & (places == share.argmin()))
    return kept


def _own(logits: Tensor, masks: Tensor, weight: Tensor) -> Tensor:
    """Give every pixel to the mask that claims it most: `emission.own_masks`, for all pixels alike."""
    owner = torch.where(masks, weight * logits.sigmoid(), -1.0).argmax(dim=0)
    places = torch.arange(len(masks), device=masks.device)[:, None, None]
    return masks & (places == owner)


def _found(there: _Candidates) -> FoundMasks:
    """What the device made, without the candidates that have no mask; copied out of pinned memory."""
    rows = np.flatnonzero(there.is_found.numpy())
    return FoundMasks(
        there.slots.numpy()[rows].tolist(),
        there.scores.numpy()[rows].tolist(),
        there.masks.numpy()[rows],  # by a list of rows, so this is a copy
        there.probability.tolist(),
        there.aligned,
    )
