"""The A2D protocol on any data set: every annotated frame is a sample, or every frame that shows the one object."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssa_stream.data.windows import sample_window
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.config import EvaluationConfig, EvaluationMode
from ssa_stream.evaluation.dataset import (
    EvaluationData,
    OnBroken,
    Question,
    Sentence,
    VideoPlan,
    plan_questions,
    tolerated,
)
from ssa_stream.evaluation.predictors import OfflinePredictor
from ssa_stream.evaluation.report import RunSettings, SingleObjectGroup, SingleObjectReport
from ssa_stream.evaluation.running import evaluation_mode
from ssa_stream.evaluation.scoring import group_names, ordered_groups
from ssa_stream.metrics import SingleObjectScorer
from ssa_stream.model import Stages

__all__ = ["ObjectSamples", "evaluate_single_object", "sample_objects", "summarise_objects"]


@dataclass(frozen=True, slots=True, eq=False)
class ObjectSamples:
    """Samples of one sentence; empty if it does not mean exactly one object.

    Attributes:
        sentence: The sentence.
        targets: The object in each frame that shows it, `(H, W)` bool each.
        masks: Masks of all queries in the same frames, `(N, H, W)` bool each.
        scores: Their scores, `(N,)` each.
        sample_ids: Names of these frames in results files; none where the data set names none.
    """

    sentence: Sentence
    targets: tuple[NDArray[np.bool_], ...]
    masks: tuple[NDArray[np.bool_], ...]
    scores: tuple[NDArray[np.float32], ...]
    sample_ids: tuple[str | int, ...] = ()


def evaluate_single_object(
    model: Stages, data: EvaluationData, mode: EvaluationMode = "offline", config: EvaluationConfig | None = None
) -> SingleObjectReport:
    """Score a model by P@K, overall IoU, mean IoU and mAP; sentences that do not mean one object are left out.

    Args:
        model: See `evaluate`.
        data: The data set.
        mode: `offline` or `windowed`; a query's score is that of the stretch that goes through the network at once.
            Where a data set has masks of single frames, that is in both modes the window around such a frame, with the
            first and the last frame repeated at the ends of the clip.
        config: Network size, window, controls, limit. Nothing is selected: all queries enter with their scores.
    Raises:
        ConfigError: Another mode, or no sentence means exactly one object.
    """
    config = config or EvaluationConfig()
    settings = RunSettings.of(mode, config, model=model.config.name, data=data.name, fps=data.fps)
    with evaluation_mode(model):
        return summarise_objects(settings, sample_objects(model, data, mode, config))


def sample_objects(
    model: Stages,
    data: EvaluationData,
    mode: EvaluationMode,
    config: EvaluationConfig,
    on_broken: OnBroken | None = None,
) -> Iterator[ObjectSamples]:
    """Run the model and give the samples of one sentence after the other; see `evaluate_single_object`.

    `on_broken` is told of videos and sentences that are left out because they are broken; None raises what is wrong.
    """
    if mode not in ("offline", "windowed"):
        raise ConfigError(f"mode is {mode!r}; expected offline or windowed, where all queries have scores")
    whole = OfflinePredictor(model, config.session, config.session.window if mode == "windowed" else None)
    around = OfflinePredictor(model, config.session)
    for plan in plan_questions(data.videos, config.control, config.limit):
        with tolerated(f"video {plan.video}", on_broken):
            every = all(question.sentence.annotated is not None for question in plan.questions)
            frames = None if every else data.frames(plan.video)
            for question in plan.questions:
                samples = None
                with tolerated(f"expression {question.sentence.expression_id} of {plan.video}", on_broken):
                    targets = data.targets(plan.video, question.sentence.expression_id)
                    if question.sentence.annotated is not None:
                        samples = _annotated_samples(around, data, plan, question, targets, config.session.window)
                    else:
                        assert frames is not None
                        samples = _samples(whole, frames, question, targets)
                if samples is not None:
                    yield samples


def summarise_objects(
    settings: RunSettings, samples: Iterable[ObjectSamples], num_planned: int | None = None
) -> SingleObjectReport:
    """Put a report together; see `evaluate_single_object`.

    Args:
        settings: What was run on what.
        samples: Of each sentence.
        num_planned: How many sentences there were to be; None: these.
    """
    scorers: dict[str, SingleObjectScorer] = defaultdict(SingleObjectScorer)
    expressions: dict[str, int] = defaultdict(int)
    count = 0
    for one in samples:
        count += 1
        for name in group_names(one.sentence) if one.targets else ():
            expressions[name] += 1
            names = one.sample_ids or (None,) * len(one.targets)
            for target, masks, scores, sample_id in zip(one.targets, one.masks, one.scores, names, strict=True):
                scorers[name].add(target, masks, scores, sample_id)
    if not scorers:
        raise ConfigError("no sentence means exactly one object that is in sight; this protocol has nothing to score")
    return SingleObjectReport(
        settings=settings,
        complete=num_planned is None or count == num_planned,
        groups=tuple(
            SingleObjectGroup(name=name, expressions=expressions[name], figures=scorers[name].figures())
            for name in ordered_groups(scorers)
        ),
    )


def _samples(
    predictor: OfflinePredictor, frames: NDArray[np.uint8], question: Question, targets: NDArray[np.bool_]
) -> ObjectSamples:
    if len(targets) != 1 or not targets.any():
        return ObjectSamples(question.sentence, (), (), ())
    shown, masks, scores = [], [], []
    for stretch in predictor.candidates(frames, question.asked):
        for offset in range(stretch.masks.shape[1]):
            target = targets[0, stretch.start + offset]
            if target.any():
                shown.append(target)
                masks.append(stretch.masks[:, offset])
                scores.append(stretch.scores)
    return ObjectSamples(question.sentence, tuple(shown), tuple(masks), tuple(scores))


def _annotated_samples(
    predictor: OfflinePredictor,
    data: EvaluationData,
    plan: VideoPlan,
    question: Question,
    targets: NDArray[np.bool_],
    window: int,
) -> ObjectSamples:
    """Samples of the annotated frames, each from a window of its own; an object that is not in sight counts, too."""
    annotated = question.sentence.annotated or ()
    if len(targets) != 1:
        return ObjectSamples(question.sentence, (), (), ())
    masks, scores = [], []
    length = max(annotated, default=0) + 1 if plan.num_frames is None else plan.num_frames
    window = 1 if length == 1 else window  # a picture is no clip that stands still
    for index in annotated:
        frames = data.frames(plan.video, sample_window(index, window, length))
        (stretch,) = predictor.candidates(frames, question.asked)
        masks.append(stretch.masks[:, window // 2])
        scores.append(stretch.scores)
    return ObjectSamples(
        question.sentence, tuple(targets[0]), tuple(masks), tuple(scores), question.sentence.sample_ids
    )
