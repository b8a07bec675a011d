"""From a prediction and its targets to one clip's result."""

import statistics

import numpy as np
from numpy.typing import NDArray

from ssa_stream.evaluation.plan import Question
from ssa_stream.evaluation.prediction import ClipPrediction
from ssa_stream.evaluation.report import ClipResult, StreamingScore
from ssa_stream.metrics import count_identity, presence, score_clip, streaming_j_and_f

__all__ = ["score_prediction"]


def score_prediction(
    video: str,
    question: Question,
    prediction: ClipPrediction,
    targets: NDArray[np.bool_],
    *,
    fps: float,
    etas: tuple[float, ...] = (),
) -> ClipResult:
    """Score one clip.

    Args:
        video: Its name.
        question: What was asked.
        prediction: What came out.
        targets: Visible mask of each object that is meant, `(n, T, H, W)` bool.
        fps: Frames per second.
        etas: Offsets of the streaming scores; used if the prediction has emission times.
    Raises:
        ShapeError: Masks and targets differ in size.
    """
    T = targets.shape[1]
    processed = list(prediction.frame_indices)
    target = np.asarray(targets.any(axis=0))  # (T, H, W)
    score = score_clip(prediction.masks, target[processed])
    seen = presence(prediction.masks, target[processed])
    tracks = prediction.tracks
    identity = None if tracks is None or not len(targets) else count_identity(tracks, targets[:, processed])
    sentence = question.sentence
    return ClipResult(
        video=video,
        expression_id=sentence.expression_id,
        sentence=sentence.text,
        asked=question.asked,
        type=sentence.type,
        held_out_pair=sentence.held_out_pair,
        held_out_phrasing=sentence.held_out_phrasing,
        frames=T,
        frames_processed=len(processed),
        seconds=T / fps,
        j=score.j,
        f=score.f,
        j_and_f=score.j_and_f,
        presence_frames=seen.right_frames,
        target_expected=bool(target.any()),
        target_found=seen.found,
        id_switches=identity and identity.switches,
        occlusions=identity and identity.occlusions,
        occlusions_kept=identity and identity.kept,
        streaming=_streaming(prediction, target, fps, etas),
        model_ms=_milliseconds(prediction.compute_s and statistics.median(prediction.compute_s)),
        prompt_to_mask_ms=_milliseconds(prediction.prompt_to_mask_s),
    )


def _streaming(
    prediction: ClipPrediction, target: NDArray[np.bool_], fps: float, etas: tuple[float, ...]
) -> tuple[StreamingScore, ...]:
    times = prediction.emitted_at_s
    if times is None:
        return ()
    scores = {eta: streaming_j_and_f(prediction.masks, times, target, fps, eta) for eta in etas}
    return tuple(StreamingScore(eta=eta, j=one.j, f=one.f, j_and_f=one.j_and_f) for eta, one in scores.items())


def _milliseconds(seconds: float | tuple[float, ...] | None) -> float | None:
    return seconds * 1000 if isinstance(seconds, float) else None
