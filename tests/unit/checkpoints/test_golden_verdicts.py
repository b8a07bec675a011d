"""Changed numbers are caught, whichever array they are in; decisions without margin are excused, and only they."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ssa_stream.checkpoints.golden import build_golden, verify_case
from ssa_stream.checkpoints.golden_compare import Verdict
from ssa_stream.checkpoints.golden_folder import read_folder
from ssa_stream.checkpoints.golden_report import CaseReport
from tests.unit.checkpoints.golden_cases import SMALL, Change, changed_case

Verify = Callable[[Change], CaseReport]


@pytest.fixture(scope="module")
def verified() -> Verify:
    """Runs a changed case; the network is built once."""
    folder = read_folder(SMALL)
    model = build_golden(folder)
    return lambda change: verify_case(model, folder, changed_case(change))


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("tokens", "tokens"),
        ("stem_mean", "stem"),
        ("trunk1_slice", "trunk1"),
        ("ms1_std", "ms1"),
        ("perm", "perm"),
        ("attn_level_size", "attn_level_size"),
        ("mask_logits", "mask_logits"),
        ("masks_merge", "masks_merge"),
        ("scores_single", "scores_single"),
    ],
)
def test_one_changed_number_is_caught(verified: Verify, name: str, stage: str) -> None:
    """No array is passed over: the recorded value itself is changed."""

    def change(arrays: dict[str, Any]) -> None:
        flat = arrays[name].reshape(-1)
        if name == "masks_merge":
            flat[:20] = 1 - flat[:20]  # one pixel in ten thousand may differ, twenty are too many
        else:
            flat[0] += max(1, 0.01 * abs(flat).max()) if flat.dtype.kind in "iu" else 0.01 * abs(flat).max() + 0.01

    report = verified(change)
    assert report.first_deviation is not None
    assert report.first_deviation.name == stage


@pytest.mark.parametrize("name", ["pred_logits", "frame_query_layers", "stem_shape", "trunk2_slice"])
def test_other_shape_is_told(verified: Verify, name: str) -> None:
    """Never broadcast."""
    report = verified(lambda arrays: arrays.update({name: arrays[name][:-1]}))
    assert report.first_deviation is not None
    assert "shape" in report.first_deviation.detail


def test_not_a_number_is_a_deviation(verified: Verify) -> None:
    """A comparison with NaN is false either way."""
    report = verified(lambda arrays: arrays["pred_logits"].fill(np.nan))
    assert report.first_deviation is not None
    assert report.first_deviation.name == "pred_logits"


def flip_attention(arrays: dict[str, Any]) -> None:
    """As if another kernel had decided otherwise in layer 4, with all that follows from it."""
    arrays["attn_blocked"][4, 1, 7] += 1
    arrays["frame_query_layers"][5:, 1] += 0.3
    for name in ("frame_queries", "pred_logits", "mask_logits"):
        arrays[name] += 0.3


@pytest.mark.parametrize(("margin", "passes"), [(1e-6, True), (1e-3, False)], ids=["narrow", "wide"])
def test_attention_flip_is_excused_only_without_margin(verified: Verify, margin: float, passes: bool) -> None:
    """Reported, and what follows it is not judged; with a margin it is a mistake."""

    def change(arrays: dict[str, Any]) -> None:
        flip_attention(arrays)
        arrays["attn_logit_min_abs"][4] = margin

    report = verified(change)
    assert (report.first_deviation is None) == passes
    flip = report.flip
    if passes:
        assert flip is not None
        assert flip.name == "attn_blocked[4]"
        assert "attn_blocked[4] fell the other way" in report.notes[0]
        verdicts = {one.name: one.verdict for one in report.comparisons}
        assert verdicts["pred_logits"] is Verdict.AFTER_FLIP
        assert verdicts["perm"] is Verdict.AGREES
    else:
        assert flip is None


@pytest.mark.parametrize(("margin", "passes"), [(1e-5, True), (1e-2, False)], ids=["narrow", "wide"])
def test_assignment_flip_is_excused_only_without_margin(verified: Verify, margin: float, passes: bool) -> None:
    """The same for the alignment chain."""

    def change(arrays: dict[str, Any]) -> None:
        arrays["perm"][1, [0, 1]] = arrays["perm"][1, [1, 0]]
        arrays["aligned_frame_queries"][1:] += 1
        arrays["perm_margin"][0] = margin

    assert (verified(change).first_deviation is None) == passes


def test_deviation_before_a_flip_is_not_excused(verified: Verify) -> None:
    """A narrow margin is no licence."""

    def change(arrays: dict[str, Any]) -> None:
        flip_attention(arrays)
        arrays["attn_logit_min_abs"][:] = 1e-6
        arrays["lang_resized"] += 0.01

    report = verified(change)
    assert report.first_deviation is not None
    assert report.first_deviation.name == "lang_resized"
    assert report.flip is None
