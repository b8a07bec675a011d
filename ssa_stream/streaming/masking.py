"""From video queries and mask features to results: masks of every prompt and the tracks of what they show."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ssa_stream.model import MaskSizes, Stages
from ssa_stream.streaming.config import SessionConfig
from ssa_stream.streaming.decoding import DueFrame
from ssa_stream.streaming.emission import FoundMasks, FrameEvidence, emit_masks, find_masks, followed_slots
from ssa_stream.streaming.gpu_masks import find_masks_together
from ssa_stream.streaming.prompts import Prompt
from ssa_stream.streaming.results import MaskResult
from ssa_stream.streaming.tracks import TrackState

__all__ = [
    "KeptFeatures",
    "MaskKey",
    "MaskState",
    "PromptTracks",
    "keep_mask_features",
    "lacking",
    "mask_frame",
    "own_features",
]


class MaskKey(NamedTuple):
    """Which mask features: of a frame under a prompt."""

    prompt_id: str
    version: int
    frame_index: int


@dataclass(frozen=True, slots=True, eq=False)
class KeptFeatures:
    """Mask features of a frame that is not out yet, `(C, H/4, W/4)`."""

    key: MaskKey
    features: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class PromptTracks:
    """Objects that a prompt refers to."""

    prompt: Prompt
    tracks: TrackState


@dataclass(frozen=True, slots=True, eq=False)
class MaskState:
    """What masking remembers of a stream. Nothing in it is ever changed in place.

    Attributes:
        tracks: Of every prompt that has had a final result.
        features: Mask features of frames that are not out yet.
        first_free_track_id: No id from here on was ever given in this stream.
        memory_from: Number of the first frame of the memory that the tracks are of.
    """

    tracks: tuple[PromptTracks, ...] = ()
    features: tuple[KeptFeatures, ...] = ()
    first_free_track_id: int = 1
    memory_from: int = 0

    def only(self, prompts: Sequence[Prompt]) -> "MaskState":
        """The state without tracks and features of other prompts."""
        names = {(prompt.prompt_id, prompt.version) for prompt in prompts}
        return replace(
            self,
            tracks=tuple(item for item in self.tracks if item.prompt in prompts),
            features=tuple(item for item in self.features if item.key[:2] in names),
        )


def own_features(features: Tensor, config: SessionConfig) -> Tensor:
    """Mask features as they are to be kept: those that wait must not hold on to the memory of the whole batch.

    Args:
        features: One row of a batch, `(C, H/4, W/4)`.
        config: Without lookahead nothing waits, and the row is returned as it is.
    """
    return features.clone(memory_format=torch.contiguous_format) if config.lookahead else features


def keep_mask_features(state: MaskState, features: Mapping[MaskKey, Tensor]) -> MaskState:
    """Keep mask features until their frame is due; those that came before under the same key are replaced.

    Args:
        state: Before.
        features: `(C, H/4, W/4)` each.
    """
    old = tuple(item for item in state.features if item.key not in features)
    return replace(state, features=(*old, *(KeptFeatures(key, one) for key, one in features.items())))


def lacking(state: MaskState, due: DueFrame) -> tuple[Prompt, ...]:
    """Prompts of a due frame whose mask features are not there."""
    there = {item.key for item in state.features}
    return tuple(prompt for prompt in due.prompts if _key(prompt, due) not in there)


def mask_frame(
    model: Stages, config: SessionConfig, state: MaskState, due: DueFrame
) -> tuple[MaskState, list[MaskResult]]:
    """Make the masks of a due frame and follow its objects.

    Args:
        model: The network.
        config: Selection and tracking.
        state: Before the frame; frames come in order.
        due: Its video queries. A prompt whose mask features are not there gets no result, and its tracks stay.
    Returns:
        The state after the frame, which a provisional one does not change, and one result per prompt.
    """
    sizes = config.sizes_of(due.size, model.config, due.pixel_aspect)
    features = {item.key: item.features for item in state.features}
    tracks = _tracks_of(state, due)
    evidence = {
        prompt: FrameEvidence(due.probability[i], due.mask_embedding[i], due.aligned[i], kept)
        for i, prompt in enumerate(due.prompts)
        if (kept := features.get(_key(prompt, due))) is not None
    }
    followed = [followed_slots(tracks[prompt]) for prompt in evidence]
    results = []
    for prompt, found in zip(evidence, _found(model, list(evidence.values()), sizes, followed, config), strict=True):
        is_provisional = due.status == "provisional"
        tracks[prompt], masks = emit_masks(found, sizes, tracks[prompt], config, provisional=is_provisional)
        results.append(
            MaskResult(
                prompt_id=prompt.prompt_id,
                prompt=prompt.text,
                prompt_version=prompt.version,
                frame_index=due.stamp.index,
                t=due.stamp.t,
                size=due.size,
                tracks=masks,
                probability=max(found.probability),
                status=due.status,
                frames_missed=due.stamp.frames_missed,
                after_reset=due.stamp.after_reset,
            )
        )
    return (state if due.status == "provisional" else _after(state, due, tracks)), results


def _found(
    model: Stages,
    evidence: Sequence[FrameEvidence],
    sizes: MaskSizes,
    followed: Sequence[Set[int]],
    config: SessionConfig,
) -> list[FoundMasks]:
    """Masks of each prompt, in the way that suits where the tensors are."""
    if evidence and evidence[0].probability.device.type != "cpu":
        return find_masks_together(model, evidence, sizes, followed, config)
    return [find_masks(model, one, sizes, slots, config) for one, slots in zip(evidence, followed, strict=True)]


def _key(prompt: Prompt, due: DueFrame) -> MaskKey:
    return MaskKey(prompt.prompt_id, prompt.version, due.stamp.index)


def _tracks_of(state: MaskState, due: DueFrame) -> dict[Prompt, TrackState]:
    """Tracks of the due prompts before the frame: those of an earlier memory have ended, new prompts have none."""
    known = {item.prompt: item.tracks for item in state.tracks}
    tracks = {prompt: known.get(prompt, TrackState(next_id=state.first_free_track_id)) for prompt in due.prompts}
    if due.memory_from > state.memory_from:
        tracks = {prompt: TrackState(next_id=one.next_id) for prompt, one in tracks.items()}
    return tracks


def _after(state: MaskState, due: DueFrame, tracks: Mapping[Prompt, TrackState]) -> MaskState:
    """The state when a frame is out; tracks of prompts that are no more end."""
    first_free = max([state.first_free_track_id, *(one.next_id for one in tracks.values())])
    return MaskState(
        tracks=tuple(PromptTracks(prompt, one) for prompt, one in tracks.items()),
        features=tuple(item for item in state.features if item.key.frame_index > due.stamp.index),
        first_free_track_id=first_free,
        memory_from=max(state.memory_from, due.memory_from),
    )
