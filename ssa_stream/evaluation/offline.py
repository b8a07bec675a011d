"""Offline evaluation: a clip, or each window of it, goes through the network as a whole."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssa_stream.evaluation.prediction import ClipPrediction
from ssa_stream.model import SSA, ClipMasks, segment_clip
from ssa_stream.streaming import SessionConfig

__all__ = ["Candidates", "OfflinePredictor"]

_EVERY_QUERY = -1.0
"""A threshold that every probability is above."""


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

    def __init__(self, model: SSA, config: SessionConfig, window: int | None = None) -> None:
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
