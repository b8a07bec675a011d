"""Running a model over a data set and scoring it: offline, in windows, causally, and against a clock."""

from typing import TYPE_CHECKING

from ssa_stream.evaluation.config import Control, EvaluationConfig, EvaluationMode
from ssa_stream.evaluation.dataset import (
    ClipData,
    EvaluationData,
    Question,
    Sentence,
    VideoEntry,
    VideoPlan,
    plan_questions,
)
from ssa_stream.evaluation.referring_dataset import ReferringDataset
from ssa_stream.lazy_names import lazy_names

if TYPE_CHECKING:
    from ssa_stream.evaluation.predictors import ClipPrediction, Predictor
    from ssa_stream.evaluation.report import (
        ClipResult,
        EvaluationReport,
        GroupFigures,
        RunSettings,
        SingleObjectGroup,
        SingleObjectReport,
        StreamingScore,
        Timing,
        report_from_json,
        report_to_json,
    )
    from ssa_stream.evaluation.running import ScoredClip, evaluate, evaluation_mode, predictor_for, score_clips
    from ssa_stream.evaluation.scoring import summarise
    from ssa_stream.evaluation.single_object import (
        ObjectSamples,
        evaluate_single_object,
        sample_objects,
        summarise_objects,
    )
else:
    __getattr__ = lazy_names(
        __name__,
        predictors="ClipPrediction Predictor",
        report="ClipResult EvaluationReport GroupFigures RunSettings SingleObjectGroup SingleObjectReport "
        "StreamingScore Timing report_from_json report_to_json",
        running="ScoredClip evaluate evaluation_mode predictor_for score_clips",
        scoring="summarise",
        single_object="ObjectSamples evaluate_single_object sample_objects summarise_objects",
    )

__all__ = [
    "ClipData",
    "ClipPrediction",
    "ClipResult",
    "Control",
    "EvaluationConfig",
    "EvaluationData",
    "EvaluationMode",
    "EvaluationReport",
    "GroupFigures",
    "ObjectSamples",
    "Predictor",
    "Question",
    "ReferringDataset",
    "RunSettings",
    "ScoredClip",
    "Sentence",
    "SingleObjectGroup",
    "SingleObjectReport",
    "StreamingScore",
    "Timing",
    "VideoEntry",
    "VideoPlan",
    "evaluate",
    "evaluate_single_object",
    "evaluation_mode",
    "plan_questions",
    "predictor_for",
    "report_from_json",
    "report_to_json",
    "sample_objects",
    "score_clips",
    "summarise",
    "summarise_objects",
]
