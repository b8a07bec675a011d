"""Stored predictions of any of the public data sets, scored as its published scorer does."""

from ssa_stream.errors import content_errors
from ssa_stream.evaluation.score.report import ScoreReport
from ssa_stream.evaluation.score.request import OnProgress, ScoreRequest

__all__ = ["score_predictions"]


def score_predictions(request: ScoreRequest, on_progress: OnProgress | None = None) -> ScoreReport:
    """Score predictions.

    The default figures are those of the published scorer to the last digit; what it silently leaves out is in the
    report's deviations, and the variant `strict` counts it as wrong.

    Args:
        request: What to score.
        on_progress: Told after each part.
    Raises:
        ConfigError: The data set has no public masks, its files or the predictions are not as expected.
    """
    with content_errors():
        if request.place.kind.results == "objects":
            from ssa_stream.evaluation.score.objects import score_objects

            return score_objects(request, on_progress)
        from ssa_stream.evaluation.score.frames import score_frame_answers

        return score_frame_answers(request, on_progress)
