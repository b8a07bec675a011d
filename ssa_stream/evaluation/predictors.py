"""What a model says of a clip, and what asks it: offline, in windows, or frame by frame."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ssa_stream.model import ClipMasks, Stages, segment_clip
from ssa_stream.streaming import MaskResult, ReferSession, SessionConfig

__all__ = [
    "Candidates",
    "CausalPredictor",
    "ClipPrediction",
    "OfflinePredictor",
    "Predictor",
    "final_results",
    "tracks_of",
]

_EVERY_QUERY = -1.0
"""A threshold that every probability is above."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipPrediction:
    """Masks of one sentence in one clip of `T` frames, `K` of which went through the model.

    Attributes:
        frame_indices: The frames that went through the model, ascending, `K` numbers.
        masks: Union of what was found in each of these, `(K, H, W)` bool.
        tracks: Mask of each track by its id, `(H, W)` bool, for each of these frames; None if there is no identity.
        emitted_at_s: When each mask came out, ascending; frame `i` is captured at `i / fps`. None if time plays no
            role.
        compute_s: Time that each frame took; None if it was not measured.
        prompt_to_mask_s: From a new prompt to its first mask in a running session; None if it was not measured.
    """

    frame_indices: tuple[int, ...]
    masks: NDArray[np.bool_]
    tracks: Sequence[Mapping[int, NDArray[np.bool_]]] | None = None
    emitted_at_s: tuple[float, ...] | None = None
    compute_s: tuple[float, ...] | None = None
    prompt_to_mask_s: float | None = None


class Predictor(Protocol):
    """Runs a model over a clip."""

    def predict(self, frames: NDArray[np.uint8], sentences: Sequence[str], fps: float) -> Iterator[ClipPrediction]:
        """Segment a clip by several sentences, all different.

        Args:
            frames: `(T, H, W, 3)` RGB.
            sentences: What to look for.
            fps: Frames per second.
        Returns:
            One prediction per sentence, in their order.
        """


class Candidates(NamedTuple):
    """Masks of all queries in a stretch of a clip.

    Attributes:
        start: First frame of the stretch.
        scores: Score of each query in the stretch, `(N,)`.
        masks: `(N, t, H, W)` bool.
    """

    start: int
    scores: NDArray[np.float32]
    masks: NDArray[np.bool_]


class OfflinePredictor:
    """Runs the offline forward.

    Args:
        model: The network, in evaluation mode.
        config: Selection and network size; nothing else of it is used.
        window: Cut the clip into windows of so many frames, each segmented on its own; the last one may be shorter.
            None takes the whole clip at once, with slots of the video decoder as track ids.
    """

    def __init__(self, model: Stages, config: SessionConfig, window: int | None = None) -> None:
        self._model = model
        self._config = config
        self._window = window

    def predict(self, frames: NDArray[np.uint8], sentences: Sequence[str], fps: float) -> Iterator[ClipPrediction]:
        """See `Predictor`."""
        for sentence in sentences:
            parts = [
                self._segment(frames[start:stop], sentence, self._config.threshold)
                for start, stop in self._stretches(len(frames))
            ]
            yield ClipPrediction(
                frame_indices=tuple(range(len(frames))),
                masks=np.concatenate([part.merged().numpy() for part in parts]),
                tracks=_slots(parts[0]) if self._window is None else None,
            )

    def candidates(self, frames: NDArray[np.uint8], sentence: str) -> Iterator[Candidates]:
        """Masks and scores of all queries, selected or not, stretch by stretch."""
        for start, stop in self._stretches(len(frames)):
            found = self._segment(frames[start:stop], sentence, _EVERY_QUERY)
            yield Candidates(start, found.scores.numpy(), found.masks.numpy())

    def _stretches(self, num_frames: int) -> list[tuple[int, int]]:
        length = self._window or num_frames
        return [(start, min(start + length, num_frames)) for start in range(0, num_frames, length)]

    def _segment(self, frames: NDArray[np.uint8], sentence: str, threshold: float) -> ClipMasks:
        return segment_clip(
            self._model,
            list(frames),
            sentence,
            mode="multi" if threshold == _EVERY_QUERY else self._config.mode,
            threshold=threshold,
            short_edge_px=self._config.short_edge_px,
            long_edge_px=self._config.long_edge_px,
        )


def _slots(found: ClipMasks) -> list[dict[int, NDArray[np.bool_]]]:
    """Masks of each frame by slot, without empty ones."""
    masks = found.masks.numpy()
    slots = found.slots.tolist()
    return [
        {slot: mask[t] for slot, mask in zip(slots, masks, strict=True) if mask[t].any()} for t in range(masks.shape[1])
    ]


class CausalPredictor:
    """Runs a fresh `ReferSession` per clip, several sentences at once.

    Args:
        model: The network, in evaluation mode.
        config: Of the session. With a lookahead, masks are those that came later; the delay costs nothing here.
        prompts_per_session: Sentences that run together; more need more memory.
    """

    def __init__(self, model: Stages, config: SessionConfig, prompts_per_session: int = 4) -> None:
        self._model = model
        self._config = config
        self._group_size = min(prompts_per_session, config.max_prompts)

    def predict(self, frames: NDArray[np.uint8], sentences: Sequence[str], fps: float) -> Iterator[ClipPrediction]:
        """See `Predictor`."""
        for start in range(0, len(sentences), self._group_size):
            group = sentences[start : start + self._group_size]
            session = ReferSession(self._model, self._config, {str(k): text for k, text in enumerate(group)})
            results: dict[str, list[MaskResult]] = defaultdict(list)
            for t, frame in enumerate(frames):
                for result in final_results(session.push(frame, t / fps)):
                    results[result.prompt_id].append(result)
            for result in final_results(session.flush()):
                results[result.prompt_id].append(result)
            for k in range(len(group)):
                own = results.pop(str(k))
                yield ClipPrediction(
                    frame_indices=tuple(result.frame_index for result in own),
                    masks=np.stack([result.merged() for result in own]),
                    tracks=[tracks_of(result) for result in own],
                )


def final_results(results: Sequence[MaskResult]) -> list[MaskResult]:
    """Those that no other result for the same frame will follow."""
    return [result for result in results if result.status == "final"]


def tracks_of(result: MaskResult) -> dict[int, NDArray[np.bool_]]:
    """Mask of each track by its id."""
    return {track.track_id: track.mask for track in result.tracks}
