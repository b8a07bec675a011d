"""From a prediction and its targets to one clip's result, and from results to figures of groups of clips."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ssa_stream.data import EXPRESSION_TYPES
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.dataset import Question, Sentence
from ssa_stream.evaluation.predictors import ClipPrediction
from ssa_stream.evaluation.report import (
    ClipResult,
    EvaluationReport,
    GroupFigures,
    RunSettings,
    StreamingScore,
    Timing,
)
from ssa_stream.metrics import (
    ClipKey,
    JAndF,
    count_identity,
    mean_scores,
    score_clip,
    streaming_j_and_f,
    target_presence,
)

__all__ = ["group_names", "ordered_groups", "score_prediction", "summarise"]

_FLAGS = ("seen", "held_out_pair", "held_out_phrasing")


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
    seen = target_presence(prediction.masks, target[processed])
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


def group_names(clip: ClipResult | Sentence) -> list[str]:
    """The groups that a clip counts in: `all`, its type, and where flags are known whether something is held out."""
    names = ["all"]
    if clip.type is not None:
        names.append(clip.type)
    if clip.held_out_pair is not None or clip.held_out_phrasing is not None:
        flags = [flag for flag in _FLAGS[1:] if getattr(clip, flag)]
        names += flags or ["seen"]
    return names


def ordered_groups(names: Iterable[str]) -> list[str]:
    """Names without repetition: `all`, our types in their order, other types by name, held-out groups."""
    known = ["all", *EXPRESSION_TYPES]
    present = set(names)
    others = sorted(present - {*known, *_FLAGS})
    return [name for name in [*known, *others, *_FLAGS] if name in present]


def summarise(settings: RunSettings, clips: Sequence[ClipResult], num_planned: int | None = None) -> EvaluationReport:
    """Put a report together.

    Args:
        settings: What was run on what.
        clips: Results, each counting the same.
        num_planned: How many there were to be; None: these.
    Raises:
        ConfigError: There are no results.
    """
    if not clips:
        raise ConfigError("no sentence was evaluated; expected at least one result to report")
    members = {name: [clip for clip in clips if name in group_names(clip)] for name in _present(clips)}
    return EvaluationReport(
        settings=settings,
        complete=num_planned is None or len(clips) == num_planned,
        groups=tuple(_figures(name, group) for name, group in members.items()),
        clips=tuple(clips),
        timing=_timing(settings, clips),
    )


def _present(clips: Sequence[ClipResult]) -> list[str]:
    return ordered_groups(name for clip in clips for name in group_names(clip))


def _figures(name: str, clips: Sequence[ClipResult]) -> GroupFigures:
    score = _mean_score(clips, lambda clip: JAndF(clip.j, clip.f))
    with_target = [clip.target_found for clip in clips if clip.target_expected]
    without_target = [not clip.target_found for clip in clips if not clip.target_expected]
    followed = [clip for clip in clips if clip.id_switches is not None]
    minutes = sum(clip.seconds for clip in followed) / 60
    occlusions = sum(clip.occlusions or 0 for clip in followed)
    kept = sum(clip.occlusions_kept or 0 for clip in followed)
    return GroupFigures(
        name=name,
        expressions=len(clips),
        j=score.j,
        f=score.f,
        j_and_f=score.j_and_f,
        presence_frames=statistics.fmean(clip.presence_frames for clip in clips),
        presence_clips=statistics.fmean(clip.target_expected == clip.target_found for clip in clips),
        no_target_accuracy=statistics.fmean(without_target) if without_target else None,
        target_accuracy=statistics.fmean(with_target) if with_target else None,
        id_switches_per_minute=sum(clip.id_switches or 0 for clip in followed) / minutes if followed else None,
        occlusions=occlusions if followed else None,
        same_id_after_occlusion=kept / occlusions if occlusions else None,
        streaming=_mean_streaming(clips),
    )


def _mean_score(clips: Sequence[ClipResult], score: Callable[[ClipResult], JAndF]) -> JAndF:
    return mean_scores({ClipKey(clip.video, clip.expression_id): score(clip) for clip in clips})


def _streaming_score(clip: ClipResult, k: int) -> JAndF:
    return JAndF(clip.streaming[k].j, clip.streaming[k].f)


def _mean_streaming(clips: Sequence[ClipResult]) -> tuple[StreamingScore, ...]:
    means = []
    for k, first in enumerate(clips[0].streaming):
        mean = _mean_score(clips, partial(_streaming_score, k=k))
        means.append(StreamingScore(eta=first.eta, j=mean.j, f=mean.f, j_and_f=mean.j_and_f))
    return tuple(means)


def _timing(settings: RunSettings, clips: Sequence[ClipResult]) -> Timing | None:
    model_ms = [clip.model_ms for clip in clips if clip.model_ms is not None]
    if not model_ms:
        return None
    prompt_ms = [clip.prompt_to_mask_ms for clip in clips if clip.prompt_to_mask_ms is not None]
    return Timing(
        simulated=settings.model_ms is not None,
        frames=sum(clip.frames for clip in clips),
        frames_processed=sum(clip.frames_processed for clip in clips),
        model_ms=statistics.median(model_ms),
        prompt_to_mask_ms=statistics.median(prompt_ms) if prompt_ms else None,
    )
