"""Scores of predictions that are pictures: MeViS, Ref-YouTube-VOS, Ref-DAVIS17."""

from collections.abc import Sequence
from typing import Final

from ssa_stream.data.referring import ReferringData
from ssa_stream.errors import ConfigError, misnamed
from ssa_stream.evaluation.score.answers import folder_of_answers, listed, places_of_answers
from ssa_stream.evaluation.score.expressions import ExpressionRule, ExpressionScore
from ssa_stream.evaluation.score.no_target import no_target_figures
from ssa_stream.evaluation.score.report import Deviation, Figures, ScoreReport, Variant
from ssa_stream.evaluation.score.request import OnProgress, ScoreRequest, expect_folder
from ssa_stream.evaluation.score.summary import expression_deviations, expression_variants, ignored_folders
from ssa_stream.evaluation.score.workers import score_videos
from ssa_stream.texts import brief

__all__ = ["score_frame_answers"]

_RULES: Final = {
    "mevis": ExpressionRule(),
    "ref-youtube-vos": ExpressionRule(size_from_first=True),
    "ref-davis17": ExpressionRule(),
}


def score_frame_answers(request: ScoreRequest, on_progress: OnProgress | None = None) -> ScoreReport:
    """Score predictions that are pictures, one a frame and sentence, or one a frame and annotator (Ref-DAVIS17).

    Args:
        request: What to score.
        on_progress: Told after each video.
    Raises:
        ConfigError: The split has no public masks, nothing was found, or the data set is broken.
    """
    expect_folder(request.predictions)
    data = request.open_data()
    _expect_truth(data, request)
    folder = folder_of_answers(request.predictions, request.split_name, data.videos)
    variants: dict[str, Variant] = {}
    deviations: list[Deviation] = []
    extra: Figures = {}
    if folder is not None:
        rule = _RULES[request.place.kind.name]
        scores = score_videos(request, data, folder, rule, on_progress)
        _expect_some_truth(scores)
        variants |= expression_variants(request.place.kind.name, scores)
        deviations += expression_deviations(scores)
        if request.place.kind.name == "mevis" and _is_second_version(data):
            variants["own_derived_not_a_published_scorer"], extra = no_target_figures(scores)
        deviations += [one for one in ignored_folders(folder, data) if not _is_annotator(request, one.about)]
    if request.place.kind.name == "ref-davis17":
        from ssa_stream.evaluation.score.merged import score_merged_answers

        merged, more = score_merged_answers(request, data, folder, on_progress)
        variants |= merged
        deviations += more
    if not variants:
        raise _nothing_found(request, data)
    return ScoreReport(
        data=request.place.kind.name,
        split=request.split_name,
        root=str(request.place.root),
        predictions=str(request.predictions),
        figures=next(iter(variants.values())).figures | extra,
        variants=variants,
        deviations=tuple(deviations),
    )


def _is_annotator(request: ScoreRequest, name: str) -> bool:
    """Whether a folder beside those of the videos holds merged answers, which are scored as such."""
    return request.place.kind.name == "ref-davis17" and name.startswith("anno_")


def _is_second_version(data: ReferringData) -> bool:
    return getattr(data, "version", 1) == 2


def _expect_truth(data: ReferringData, request: ScoreRequest) -> None:
    expressions = [one for name in data.videos for one in data.video(name).expressions]
    if not expressions:
        raise ConfigError(f"{request.place.root} has no sentences in {request.split_name}: there is nothing to score")
    if not any(one.has_targets for one in expressions):
        way = "; give the folder of its masks with --truth" if request.place.kind.name == "ref-youtube-vos" else ""
        raise misnamed(
            ConfigError(
                f"the masks of {request.place.kind.title}'s split {request.split_name} are not public: its server "
                f"scores it{way}"
            )
        )


def _expect_some_truth(scores: Sequence[ExpressionScore]) -> None:
    """A fault of a few sentences is a deviation; where none can be judged, the data set is broken."""
    if broken := [score for score in scores if not score.has_truth]:
        if not any(score.has_truth and score.has_target for score in scores):
            raise ConfigError(broken[0].problem)


def _nothing_found(request: ScoreRequest, data: ReferringData) -> ConfigError:
    looked = ", ".join(str(place) for place in places_of_answers(request.predictions, request.split_name))
    there = listed(request.predictions)
    return misnamed(
        ConfigError(
            f"{request.predictions} has no folder of any of the {len(data.videos)} videos, such as "
            f"{brief(data.videos[0])}; it has {', '.join(there[:5]) or 'nothing'}; expected "
            f"<video>/<expression>/<frame>.png in one of {looked}"
        )
    )
