"""Real-time evaluation: frames are captured on a clock, and a session gets the newest one whenever it is free."""

import math
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ssa_stream.evaluation.predictors import ClipPrediction, final_results, tracks_of
from ssa_stream.model import Stages
from ssa_stream.streaming import MaskResult, ReferSession, SessionConfig

__all__ = ["RealtimePredictor", "due_frame"]

_ROUNDING_FRAMES = 1e-9


def due_frame(free_at_s: float, last: int, num_frames: int, fps: float) -> int | None:
    """Which frame a session takes next: the newest one captured, else the one it has to wait for.

    Args:
        free_at_s: When the session is free; frame `i` is captured at `i / fps`.
        last: The frame it took last; -1 for none.
        num_frames: Frames of the stream.
        fps: Frames per second.
    Returns:
        Number of the frame; None at the end of the stream.
    """
    newest = min(math.floor(free_at_s * fps + _ROUNDING_FRAMES), num_frames - 1)
    following = max(newest, last + 1)
    return following if following < num_frames else None


class RealtimePredictor:
    """Replays clips against a clock that advances by what the model takes; nothing is waited for.

    Args:
        model: The network, in evaluation mode.
        config: Of the session.
        model_ms: Time that each frame takes; None measures it, and the time from a new prompt to its mask too.
        clock: Measures, in seconds.
    """

    def __init__(
        self,
        model: Stages,
        config: SessionConfig,
        model_ms: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._model = model
        self._config = config
        self._model_ms = model_ms
        self._clock = clock
        self._is_warm = model_ms is not None

    def predict(self, frames: NDArray[np.uint8], sentences: Sequence[str], fps: float) -> Iterator[ClipPrediction]:
        """See `Predictor`; one sentence at a time, and the prompt-to-mask time with the first one."""
        if not self._is_warm:
            self._prompt_to_mask_s(frames, sentences[0], fps)  # the first call of a network is slower than all others
            self._is_warm = True
        for k, sentence in enumerate(sentences):
            is_probed = k == 0 and self._model_ms is None
            yield self._replay(
                frames, sentence, fps, self._prompt_to_mask_s(frames, sentence, fps) if is_probed else None
            )

    def _replay(
        self, frames: NDArray[np.uint8], sentence: str, fps: float, prompt_to_mask_s: float | None
    ) -> ClipPrediction:
        session = ReferSession(self._model, self._config, [sentence])
        taken: list[int] = []
        out: list[tuple[MaskResult, float]] = []
        compute_s: list[float] = []
        now_s = 0.0
        while (index := due_frame(now_s, taken[-1] if taken else -1, len(frames), fps)) is not None:
            taken.append(index)
            results, took_s = self._timed_push(session, frames[index], index / fps)
            compute_s.append(took_s)
            now_s = max(now_s, index / fps) + took_s
            out += [(result, now_s) for result in final_results(results)]
        out += [(result, now_s) for result in final_results(session.flush())]
        return ClipPrediction(
            frame_indices=tuple(taken),
            masks=np.stack([result.merged() for result, _ in out]),
            tracks=[tracks_of(result) for result, _ in out],
            emitted_at_s=tuple(at_s for _, at_s in out),
            compute_s=tuple(compute_s),
            prompt_to_mask_s=prompt_to_mask_s,
        )

    def _timed_push(self, session: ReferSession, frame: NDArray[np.uint8], t: float) -> tuple[list[MaskResult], float]:
        started_s = self._clock()
        results = session.push(frame, t)
        took_s = self._clock() - started_s if self._model_ms is None else self._model_ms / 1000
        return results, took_s

    def _prompt_to_mask_s(self, frames: NDArray[np.uint8], sentence: str, fps: float) -> float:
        """Give a session that has a full window a new prompt, and time it until the next frame's mask is out."""
        session = ReferSession(self._model, self._config, [f"not {sentence}"])
        warm = frames[np.arange(self._config.window + 1) % len(frames)]
        for t, frame in enumerate(warm[:-1]):
            session.push(frame, t / fps)
        started_s = self._clock()
        session.set_prompts([sentence])
        session.push(warm[-1], (len(warm) - 1) / fps)
        return self._clock() - started_s
