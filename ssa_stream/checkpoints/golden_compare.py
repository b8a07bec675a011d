"""Compare one case's numbers with the recorded ones: the stages in their order, and how far each may be off."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ATTENTION_MARGIN",
    "PERMUTATION_MARGIN",
    "SUMMARY_PARTS",
    "Comparison",
    "Stage",
    "Verdict",
    "compare_stages",
    "is_recorded",
    "judge_flips",
    "stages",
    "summarize",
]

_EARLY_TOLERANCE = 1e-4
"""Largest difference over the recorded root mean square, up to the pixel decoder's outputs."""
_LATE_TOLERANCE = 5e-4
"""The same, after the frame decoder."""
_MASK_TOLERANCE = 1e-4
"""Share of mask pixels that may differ."""
_LOOSE_TOLERANCE = 0.1
"""In bfloat16: root mean square of the difference over the recorded one. For information, nothing fails on it."""

Array = NDArray[Any]

SUMMARY_PARTS = ("shape", "mean", "std", "slice")
_SLICE_VALUES = 64

ATTENTION_MARGIN = 5e-5
"""Below this distance of a mask logit from 0, CPU kernels differ in what an attention mask blocks."""
PERMUTATION_MARGIN = 1e-4
"""Below this margin, CPU kernels differ in an assignment."""
_MARGINS = {
    "attn_blocked": ("attn_logit_min_abs", ATTENTION_MARGIN),
    "perm": ("perm_margin", PERMUTATION_MARGIN),
}


class Stage(NamedTuple):
    """One thing to compare.

    Attributes:
        name: The array.
        layer: Index along its first axis, for arrays that hold several layers.
        kind: Numbers within a relative tolerance, or entries of which a share may differ.
        tolerance: Largest error that agrees.
    """

    name: str
    layer: int | None
    kind: Literal["numbers", "entries"]
    tolerance: float


def _numbers(names: str, tolerance: float) -> list[Stage]:
    return [Stage(name, None, "numbers", tolerance) for name in names.split()]


def _entries(names: str, tolerance: float = 0.0) -> list[Stage]:
    return [Stage(name, None, "entries", tolerance) for name in names.split()]


def stages(num_predictions: int, num_video_layers: int) -> list[Stage]:
    """All stages in the order of computation.

    Args:
        num_predictions: Prediction heads of the frame decoder, one more than its layers.
        num_video_layers: Layers of the video decoder.
    """
    early, late = _EARLY_TOLERANCE, _LATE_TOLERANCE
    listed = [*_entries("tokens"), *_numbers("word_feat", early), *_entries("word_mask")]
    listed += _numbers("sent_feat stem", early)
    for i in range(4):
        listed += _numbers(f"trunk{i} gate{i} adapter{i}", early)
    listed += _numbers("lang_resized ms0 ms1 ms2 text_fused fpn_out mask_features vita_mask_features", early)
    listed += _entries("attn_level_size")
    for k in range(num_predictions):
        listed.append(Stage("frame_query_layers", k, "numbers", late))
        listed.append(Stage("attn_blocked", k, "entries", 0.0))
    listed += _numbers("frame_queries frame_pred_logits proj_frame_queries", late)
    listed += _entries("perm")
    listed += _numbers("aligned_frame_queries temporal_queries time_weights init_video_queries", late)
    listed += [Stage("video_query_layers", k, "numbers", late) for k in range(num_video_layers)]
    listed += _numbers("pred_logits pred_fg_prob pred_mask_embed mask_logits", late)
    listed += _entries("selection")
    for mode in ("merge", "single"):
        listed += _entries(f"masks_{mode}", _MASK_TOLERANCE)
        listed += _numbers(f"scores_{mode}", late)
        listed += _entries(f"labels_{mode}")
    return listed


class Verdict(StrEnum):
    """What a comparison came to."""

    AGREES = "agrees"
    DEVIATES = "deviates"
    FLIPPED = "flipped"
    """A discrete decision that hung by a thread fell the other way: reported, not failed."""
    AFTER_FLIP = "after a flip"
    """Deviates, but an earlier decision of this case flipped: not comparable."""


@dataclass(frozen=True)
class Comparison:
    """One array, or one layer of an array, against the recorded one.

    Attributes:
        stage: The array's name.
        layer: Which layer of it, for arrays that hold several; else None.
        error: Error in the stage's measure; infinity if shapes differ or a value is no number.
        tolerance: Largest error that agrees.
        verdict: What it came to.
        detail: What else there is to say, such as two shapes.
    """

    stage: str
    layer: int | None
    error: float
    tolerance: float
    verdict: Verdict
    detail: str = ""

    @property
    def name(self) -> str:
        """Stage and layer, such as `attn_blocked[3]`."""
        return self.stage if self.layer is None else f"{self.stage}[{self.layer}]"


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) if values.size else 0.0


def _over(error: float, scale: float) -> float:
    """Relative error; what is not a number is infinitely wrong, and a scale of 0 makes it absolute."""
    ratio = float(error) / (float(scale) or 1.0)
    return ratio if np.isfinite(ratio) else np.inf


def _largest(ours: Array, theirs: Array) -> float:
    """Largest difference over the recorded root mean square."""
    return _over(np.abs(ours.astype(np.float64) - theirs).max(initial=0.0), _rms(theirs))


def _mean_square(ours: Array, theirs: Array) -> float:
    """Root mean square of the difference over the recorded one."""
    return _over(_rms(ours.astype(np.float64) - theirs), _rms(theirs))


def _differing(ours: Array, theirs: Array) -> float:
    """Share of entries that differ."""
    return float((ours != theirs).sum()) / max(theirs.size, 1)


def summarize(values: Array) -> dict[str, Array]:
    """Shape, mean, population deviation and 64 evenly spread values: what is recorded of a big map."""
    places = np.floor(np.linspace(0, values.size - 1, _SLICE_VALUES)).astype(np.int64)
    parts = (
        np.array(values.shape),
        np.array(values.mean(dtype=np.float64)),
        np.array(values.std(dtype=np.float64)),
        values.reshape(-1)[places],
    )
    return dict(zip(SUMMARY_PARTS, parts, strict=True))


def _error(stage: Stage, ours: Mapping[str, Array], theirs: Mapping[str, Array], loose: bool) -> tuple[float, str]:
    """Error of a stage and what to say of it."""
    numbers: Callable[[Array, Array], float] = _mean_square if loose else _largest
    measure = numbers if stage.kind == "numbers" else _differing
    if stage.name not in theirs:
        return _summary_error(stage.name, ours, theirs, measure)
    wanted, came = theirs[stage.name], ours[stage.name]
    if came.shape != wanted.shape:
        return np.inf, f"shape {came.shape}, recorded {wanted.shape}"
    if stage.layer is not None:
        wanted, came = wanted[stage.layer], came[stage.layer]
    error = measure(came, wanted)
    counted = stage.kind == "entries" and error > 0
    return error, f"{round(error * wanted.size)} of {wanted.size} entries" if counted else ""


def _summary_error(
    name: str, ours: Mapping[str, Array], theirs: Mapping[str, Array], measure: Callable[[Array, Array], float]
) -> tuple[float, str]:
    """Largest error of a map's summary; mean and deviation are taken relative to the recorded deviation."""
    recorded = {part: theirs[f"{name}_{part}"] for part in SUMMARY_PARTS if f"{name}_{part}" in theirs}
    came = {part: ours[f"{name}_{part}"] for part in recorded}
    if "shape" in recorded and not np.array_equal(came["shape"], recorded["shape"]):
        return np.inf, f"shape {came['shape'].tolist()}, recorded {recorded['shape'].tolist()}"
    scale = float(recorded.get("std", np.array(1.0)))
    errors = {"": 0.0}
    for part in recorded.keys() - {"shape"}:
        if came[part].shape != recorded[part].shape:
            return np.inf, f"{part} has shape {came[part].shape}, recorded {recorded[part].shape}"
        if part == "slice":
            errors[part] = measure(came[part], recorded[part])
        else:
            errors[part] = _over(abs(float(came[part]) - float(recorded[part])), scale)
    worst = max(errors, key=lambda part: errors[part])
    return errors[worst], worst


def is_recorded(name: str, theirs: Mapping[str, Array]) -> bool:
    """Whether a case holds an array, or a summary of it."""
    return name in theirs or any(f"{name}_{part}" in theirs for part in SUMMARY_PARTS)


def compare_stages(
    order: Iterable[Stage], ours: Mapping[str, Array], theirs: Mapping[str, Array], *, loose: bool = False
) -> list[Comparison]:
    """Compare what a case records.

    Args:
        order: The stages, in the order of computation; those that are not recorded are passed over.
        ours: Arrays, or parts of summaries, under the names of `theirs`.
        theirs: What is recorded.
        loose: Compare root mean squares against one wide tolerance, for half precision.
    """
    compared = []
    for stage in order:
        if not is_recorded(stage.name, theirs):
            continue
        error, detail = _error(stage, ours, theirs, loose)
        tolerance = _LOOSE_TOLERANCE if loose else stage.tolerance
        verdict = Verdict.AGREES if error <= tolerance else Verdict.DEVIATES
        compared.append(Comparison(stage.name, stage.layer, error, tolerance, verdict, detail))
    return compared


def judge_flips(compared: Iterable[Comparison], theirs: Mapping[str, Array]) -> Iterator[Comparison]:
    """Excuse a decision that hung by a thread in the reference, if it is the first to deviate, and what follows.

    Args:
        compared: In the order of computation.
        theirs: What is recorded, margins among it.
    """
    failed = flipped = False
    for one in compared:
        if one.verdict is not Verdict.DEVIATES or failed:
            yield one
        elif flipped:
            yield replace(one, verdict=Verdict.AFTER_FLIP)
        elif np.isfinite(one.error) and _hung_by_a_thread(one.stage, theirs):
            # Nothing reads the last attention mask, so its flip excuses nothing else.
            flipped = one.stage == "perm" or one.layer != len(theirs["attn_blocked"]) - 1
            yield replace(one, verdict=Verdict.FLIPPED)
        else:
            failed = True
            yield one


def _hung_by_a_thread(stage: str, theirs: Mapping[str, Array]) -> bool:
    """Whether a stage is a decision that was close to flipping somewhere in this case."""
    name, limit = _MARGINS.get(stage, ("", 0.0))
    return name in theirs and bool((theirs[name] < limit).any())
