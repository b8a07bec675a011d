"""N-acc, T-acc and Final of MeViS v2. No scorer for them is published: the definitions are ours, with variants."""

from collections.abc import Sequence

from ssa_stream.evaluation.score.expressions import ExpressionScore
from ssa_stream.evaluation.score.report import Figures, Variant
from ssa_stream.evaluation.score.summary import j_and_f_figures, published_pair

__all__ = ["no_target_figures"]

_ABOUT = (
    "No published scorer: an answer says that there is no target when all its listed frames are there and empty; N-acc "
    "and T-acc are the shares of sentences without and with a target that are answered rightly; Final is the mean of "
    "J&F, N-acc and T-acc"
)


def no_target_figures(scores: Sequence[ExpressionScore]) -> tuple[Variant, Figures]:
    """N-acc, T-acc and Final by each way of counting.

    Returns:
        All of them under their long names, and the three for a table: J&F as published over all sentences, and no
        answer is a wrong one.
    """
    scores = [score for score in scores if score.has_truth]
    without = [score for score in scores if not score.has_target]
    targets = [score for score in scores if score.has_target]
    n_wrong = _share([score.answered == "none" for score in without])
    n_none = _share([score.answered != "target" for score in without])
    t_acc = _share([score.answered == "target" for score in targets])
    over_all, over_targets, over_none = (_j_and_f(some) for some in (scores, targets, without))
    final = _mean(over_all, n_wrong, t_acc)
    figures: Figures = {
        "N-acc (no answer = wrong)": n_wrong,
        "N-acc (no answer = none)": n_none,
        "T-acc": t_acc,
        "J&F all expressions": over_all,
        "J&F target expressions only": over_targets,
        "J&F no-target expressions only": over_none,
        "Final (J&F over all, no answer = wrong)": final,
        "Final (J&F over target only, no answer = wrong)": _mean(over_targets, n_wrong, t_acc),
        "Final (J&F over all, no answer = none)": _mean(over_all, n_none, t_acc),
    }
    counts = {"n_expressions": len(scores), "n_no_target": len(without), "n_target": len(targets)}
    return Variant(about=_ABOUT, figures=figures, counts=counts), {"N-acc": n_wrong, "T-acc": t_acc, "Final": final}


def _j_and_f(scores: Sequence[ExpressionScore]) -> float | None:
    pairs = (published_pair(score) for score in scores)
    return j_and_f_figures(pair for pair in pairs if pair is not None)["J&F"]


def _share(right: Sequence[bool]) -> float | None:
    return sum(right) / len(right) if right else None


def _mean(*figures: float | None) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) / len(known) if len(known) == len(figures) else None
