"""A model on a data set: the entry that the command line and training call."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.config import EvaluationConfig, EvaluationMode, check_mode
from ssa_stream.evaluation.dataset import (
    EvaluationData,
    OnBroken,
    Question,
    VideoPlan,
    plan_questions,
    tolerated,
)
from ssa_stream.evaluation.predictors import CausalPredictor, ClipPrediction, OfflinePredictor, Predictor
from ssa_stream.evaluation.realtime import RealtimePredictor
from ssa_stream.evaluation.report import ClipResult, EvaluationReport, RunSettings
from ssa_stream.evaluation.scoring import score_prediction, summarise
from ssa_stream.model import Stages

__all__ = ["ScoredClip", "evaluate", "evaluation_mode", "predictor_for", "score_clips"]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredClip:
    """A result and what it was made from.

    Attributes:
        result: The figures.
        frames: `(T, H, W, 3)` uint8 RGB.
        target: Union of all that was meant, `(T, H, W)` bool.
        prediction: What came out.
    """

    result: ClipResult
    frames: NDArray[np.uint8]
    target: NDArray[np.bool_]
    prediction: ClipPrediction


def evaluate(
    model: Stages,
    data: EvaluationData,
    mode: EvaluationMode = "offline",
    config: EvaluationConfig | None = None,
    on_broken: OnBroken | None = None,
) -> EvaluationReport:
    """Run a model over a data set and score it; prints and writes nothing.

        data = ClipData([sample_clip(seed, 12, split="val") for seed in range(32)])
        report = evaluate(model, data, "windowed")
        print(report.overall.j_and_f)

    Equal arguments give equal reports, but for `realtime` with measured times.

    Args:
        model: The network, on any device. It runs in evaluation mode and is put back into the mode that it was in.
        data: The data set.
        mode: How clips go through the model, see `EvaluationMode`.
        config: Selection, window, controls, limit.
        on_broken: See `score_clips`.
    Raises:
        ConfigError: The mode is unknown, or the data cannot be read or have no sentences.
    """
    config = config or EvaluationConfig()
    predictor = predictor_for(model, mode, config)
    settings = RunSettings.of(mode, config, model=model.config.name, data=data.name, fps=data.fps)
    with evaluation_mode(model):
        clips = [scored.result for scored in score_clips(predictor, data, config, on_broken)]
    return summarise(settings, clips)


def predictor_for(model: Stages, mode: EvaluationMode, config: EvaluationConfig) -> Predictor:
    """What runs the model in a mode.

    Raises:
        ConfigError: There is no such mode.
    """
    check_mode(mode)
    match mode:
        case "offline":
            return OfflinePredictor(model, config.session)
        case "windowed":
            return OfflinePredictor(model, config.session, config.session.window)
        case "causal":
            return CausalPredictor(model, config.session, config.prompts_per_session)
        case "realtime":
            return RealtimePredictor(model, config.session, config.model_ms)


def score_clips(
    predictor: Predictor,
    data: EvaluationData,
    config: EvaluationConfig | None = None,
    on_broken: OnBroken | None = None,
) -> Iterator[ScoredClip]:
    """Score one sentence after the other, in the data's order.

    Args:
        predictor: Any model.
        data: The data set.
        config: Control, limit and offsets are used; the rest is the predictor's.
        on_broken: Told of videos and sentences that are left out because they are broken; None raises what is wrong.
    Raises:
        ConfigError: See `plan_questions`, or the data cannot be read or have masks of single frames only.
        ShapeError: The predictor's masks do not fit the data.
    """
    config = config or EvaluationConfig()
    for plan in plan_questions(data.videos, config.control, config.limit):
        if any(question.sentence.annotated is not None for question in plan.questions):
            raise ConfigError(
                f"{data.name} has masks of single frames: clips cannot be scored; use the A2D protocol "
                f"(evaluate_single_object, --protocol a2d)"
            )
        with tolerated(f"video {plan.video}", on_broken):
            yield from _score_video(predictor, data, plan, config.etas, on_broken)


@contextmanager
def evaluation_mode(model: Stages) -> Iterator[None]:
    """Put a network into evaluation mode for a while; engines have no other mode."""
    if not isinstance(model, nn.Module):
        yield
        return
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _score_video(
    predictor: Predictor,
    data: EvaluationData,
    plan: VideoPlan,
    etas: tuple[float, ...],
    on_broken: OnBroken | None,
) -> Iterator[ScoredClip]:
    frames = data.frames(plan.video)
    by_text: dict[str, list[Question]] = {}
    for question in plan.questions:
        by_text.setdefault(question.asked, []).append(question)
    predictions = predictor.predict(frames, list(by_text), data.fps)
    for questions, prediction in zip(by_text.values(), predictions, strict=True):
        for question in questions:
            scored = None
            with tolerated(f"expression {question.sentence.expression_id} of {plan.video}", on_broken):
                scored = _score_question(data, plan.video, question, frames, prediction, etas)
            if scored is not None:
                yield scored


def _score_question(
    data: EvaluationData,
    video: str,
    question: Question,
    frames: NDArray[np.uint8],
    prediction: ClipPrediction,
    etas: tuple[float, ...],
) -> ScoredClip:
    targets = data.targets(video, question.sentence.expression_id)
    result = score_prediction(video, question, prediction, targets, fps=data.fps, etas=etas)
    return ScoredClip(result, frames, np.asarray(targets.any(axis=0)), prediction)
