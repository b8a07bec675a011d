"""Means over sentences by each way of counting, and what was not as it should be in answers by sentence."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssa_stream.data.referring import ReferringData
from ssa_stream.evaluation.score.answers import listed
from ssa_stream.evaluation.score.expressions import ExpressionScore
from ssa_stream.evaluation.score.report import Deviation, Figures, Variant

__all__ = ["expression_deviations", "expression_variants", "ignored_folders", "j_and_f_figures", "published_pair"]

_Pairs = dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]

_ABOUT = {
    "mevis": (
        "published",
        "MeViS' and SSA's eval_mevis.py: mean over the sentences that it does not drop; a missing video is 0",
    ),
    "ref-youtube-vos": (
        "published",
        "SSA's eval_davis.py with the size of an answer taken from its first listed frame; a missing video is 0",
    ),
    "ref-davis17": (
        "per_expression",
        "SSA's eval_davis.py: each sentence against its object, no void, no matching; a missing video is 0",
    ),
}
_STRICT = (
    "No published scorer: every sentence that has a truth counts; a frame that is missing, broken or of another size "
    "is 0"
)
_UNPATCHED = "SSA's eval_davis.py as it is: it drops every sentence of a video whose first frame is not 00000"


def expression_variants(kind: str, scores: Sequence[ExpressionScore]) -> dict[str, Variant]:
    """Each way of counting by its name, the published scorer's first."""
    name, about = _ABOUT[kind]
    variants = {name: _variant(about, _published(scores), len(scores))}
    if kind == "ref-youtube-vos":
        kept = [score for score in scores if score.published == "zero" or score.has_probe]
        variants["unpatched_scorer"] = _variant(_UNPATCHED, _published(kept), len(scores))
    judged = [score for score in scores if score.has_truth]
    strict = {_key(score): (np.nan_to_num(score.j, nan=0.0), np.nan_to_num(score.f, nan=0.0)) for score in judged}
    variants["strict"] = _variant(_STRICT, strict, len(scores))
    return variants


def published_pair(score: ExpressionScore) -> tuple[float, float] | None:
    """J and F of a sentence by the published scorer; None if it drops the sentence."""
    if score.published == "dropped":
        return None
    if score.published == "zero":
        return 0.0, 0.0
    j = score.j if score.published_j is None else score.published_j
    f = score.f if score.published_f is None else score.published_f
    return float(j.mean()), float(f.mean())


def j_and_f_figures(pairs: Iterable[tuple[float, float]]) -> Figures:
    """J, F and J&F as means over pairs; None if there are none."""
    values = np.array(list(pairs))
    if not len(values):
        return {"J": None, "F": None, "J&F": None}
    j, f = (float(np.mean(column)) for column in values.T)
    return {"J": j, "F": f, "J&F": (j + f) / 2}


def _published(scores: Sequence[ExpressionScore]) -> _Pairs:
    pairs: _Pairs = {}
    for score in scores:
        if score.published == "zero":
            pairs[_key(score)] = np.zeros_like(score.j), np.zeros_like(score.f)
        elif score.published == "scored":
            j = score.j if score.published_j is None else score.published_j
            f = score.f if score.published_f is None else score.published_f
            pairs[_key(score)] = j, f
    return pairs


def _variant(about: str, pairs: _Pairs, num_expressions: int) -> Variant:
    means = {key: (float(j.mean()), float(f.mean())) for key, (j, f) in pairs.items()}
    return Variant(
        about=about,
        figures=j_and_f_figures(means.values()),
        samples={key: {"J": j, "F": f, "J&F": (j + f) / 2} for key, (j, f) in means.items()},
        counts={"n_scored": len(pairs), "n_expressions": num_expressions},
        frames={key: {"J": tuple(j.tolist()), "F": tuple(f.tolist())} for key, (j, f) in pairs.items()},
    )


def _key(score: ExpressionScore) -> str:
    return f"{score.video}/{score.expression_id}"


def expression_deviations(scores: Sequence[ExpressionScore]) -> list[Deviation]:
    """What was not as it should be: a missing video once, everything else by sentence."""
    deviations = []
    missing: dict[str, int] = {}
    for score in scores:
        if score.published == "zero":
            missing[score.video] = missing.get(score.video, 0) + 1
    for score in scores:
        if score.published == "zero":
            if (number := missing.pop(score.video, 0)) > 0:
                text = f"{score.problem}; expected one with {number} sentences"
                deviations.append(_deviation(score.video, text, "J = F = 0 for each", "the same"))
            continue
        if score.problem:
            deviations.append(_deviation(_key(score), score.problem, *_treatment(score)))
        if score.ignored:
            text = f"{len(score.ignored)} files are no listed frames, such as {score.ignored[0]!r}"
            deviations.append(_deviation(_key(score), text, "ignores them", "the same"))
    return deviations


def _treatment(score: ExpressionScore) -> tuple[str, str]:
    if not score.has_truth:
        return "drops the sentence from its means", "leaves it out too: there is nothing to compare it with"
    strict = f"J = {np.nan_to_num(score.j).mean():.4f}, F = {np.nan_to_num(score.f).mean():.4f}"
    if score.published == "dropped":
        return "drops the sentence from its means", strict
    pair = published_pair(score)
    assert pair is not None
    return f"J = {pair[0]:.4f}, F = {pair[1]:.4f}", strict


def _deviation(about: str, text: str, published: str, strict: str) -> Deviation:
    return Deviation(about=about, text=text, published=published, strict=strict)


def ignored_folders(folder: Path, data: ReferringData) -> list[Deviation]:
    """What lies in the folder of predictions and is not of the data set: videos and sentences."""
    deviations = []
    known = set(data.videos)
    for name in listed(folder):
        if name not in known:
            deviations.append(_deviation(name, "the split has no such video", "ignores it", "the same"))
            continue
        expressions = {one.expression_id for one in data.video(name).expressions}
        for other in listed(folder / name):
            if other not in expressions:
                text = "the video has no such sentence"
                deviations.append(_deviation(f"{name}/{other}", text, "ignores it", "the same"))
    return deviations
