"""Causal evaluation: a session gets every frame of a clip, one after the other."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ssa_stream.evaluation.prediction import ClipPrediction
from ssa_stream.model import SSA
from ssa_stream.streaming import MaskResult, ReferSession, SessionConfig

__all__ = ["CausalPredictor", "final_results", "tracks_of"]


class CausalPredictor:
    """Runs a fresh `ReferSession` per clip, several sentences at once.

    Args:
        model: The network, in evaluation mode.
        config: Of the session. With a lookahead, masks are those that came later; the delay costs nothing here.
        prompts_per_session: Sentences that run together; more need more memory.
    """

    def __init__(self, model: SSA, config: SessionConfig, prompts_per_session: int = 4) -> None:
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
