"""`score` on results files: every published figure of the miniature sets, and what becomes of faulty answers."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from typer.testing import CliRunner

from ssa_stream.cli.main import app, exit_code
from ssa_stream.data.kinds import parse_data
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.score import object_truth
from ssa_stream.evaluation.score.report import ScoreReport, read_score_report
from ssa_stream.evaluation.score.request import ScoreRequest
from ssa_stream.evaluation.score.scoring import score_predictions
from ssa_stream.run_lengths import decode_counts
from tests.support.data_sets import DATA_SETS, ROOTS, expected

A2D = "v_sqU4reExact_f_{}_i_1"
FOLDERS = {"a2d-sentences": "a2d_sentences", "jhmdb-sentences": "jhmdb_sentences"}
FILES = [(kind, name) for kind, folder in FOLDERS.items() for name in expected(folder)["results"]]
BESIDE = ("n_samples", "precision_and_iou")

Entries = list[dict[str, Any]]


def answers_of(kind: str, name: str) -> Path:
    """A stored results file."""
    return DATA_SETS / FOLDERS.get(kind, "refcoco") / "predictions" / f"{name}.json"


def score_by_command(kind: str, predictions: Path, folder: Path) -> ScoreReport:
    """Run `ssa-stream score` and read its JSON."""
    root = ROOTS["refcoco" if kind.startswith("refcoco") else kind]
    report = folder / "report.json"
    arguments = ["score", "--data", f"{kind}:{root}", "--predictions", str(predictions), "--json", str(report)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return read_score_report(report)


def score_entries(folder: Path, entries: Any, kind: str = "a2d-sentences") -> ScoreReport:
    """Score a list of answers."""
    path = folder / "answers.json"
    path.write_text(json.dumps(entries))
    root = ROOTS["refcoco" if kind.startswith("refcoco") else kind]
    return score_predictions(ScoreRequest(parse_data(f"{kind}:{root}"), None, path, workers=1))


def expect_figures(report: ScoreReport, variant: str, figures: dict[str, float | str]) -> None:
    """Compare to ten decimals; -1 in COCO's figures is ours of no value."""
    ours = report.variants[variant].figures
    for name, value in figures.items():
        if name not in BESIDE:
            assert ours[name] == (None if value == -1 else pytest.approx(value, rel=0, abs=1e-10)), name


@pytest.mark.parametrize(("kind", "name"), FILES, ids=["-".join(pair) for pair in FILES])
def test_published_figures_of_sentences_are_reproduced(kind: str, name: str, tmp_path: Path) -> None:
    """All of them: all queries, top-1, and of each sample; strictly the same where nothing deviates."""
    published = expected(FOLDERS[kind])["results"][name]
    report = score_by_command(kind, answers_of(kind, name), tmp_path)
    for variant in ("all_queries", "top1_only"):
        expect_figures(report, variant, published[variant])
        assert len(report.variants[variant].figures) == 13
    samples = report.variants["all_queries"].samples
    assert samples.keys() == published["per_sample_top1"].keys()
    for sample, values in published["per_sample_top1"].items():
        assert samples[sample] == (
            dict.fromkeys(("iou", "intersection", "union"))
            if values is None
            else pytest.approx(values, rel=0, abs=1e-10)
        )
    if name == "incomplete":
        missing = [sample for sample, values in published["per_sample_top1"].items() if values is None]
        assert [deviation.about for deviation in report.deviations] == missing
        assert report.figures["P@0.5"] is None
        assert report.variants["strict"].figures["P@0.5"] is not None
    else:
        assert not report.deviations
        assert report.variants["strict"].figures == report.figures == report.variants["all_queries"].figures


@pytest.mark.parametrize("kind", ["refcoco", "refcoco+", "refcocog"])
def test_published_figures_of_refcoco_are_reproduced(kind: str, tmp_path: Path) -> None:
    """Of boxes and of masks; the results file is found in its folder by its name."""
    published = expected("refcoco")["results_val"][kind]
    report = score_by_command(kind, DATA_SETS / "refcoco/predictions", tmp_path)
    expect_figures(report, "all_queries", published)
    assert list(report.figures) == [name for name in published if name not in BESIDE]
    assert report.variants["all_queries"].counts == {"n_samples": published["n_samples"]}
    assert not report.deviations


def test_division_by_no_pixel_leaves_the_published_scorer_without_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty answers to empty objects: P@K and IoU stop, strictly each IoU is 1."""
    monkeypatch.setattr(
        object_truth, "_encode", lambda mask: coco_mask.encode(np.zeros(mask.shape, np.uint8, order="F"))
    )
    entries = json.loads(answers_of("a2d-sentences", "queries").read_text())
    for entry in entries:
        height, width = entry["segmentation"]["size"]
        counts = coco_mask.encode(np.zeros((height, width), np.uint8, order="F"))["counts"].decode()
        entry["segmentation"]["counts"] = counts
    report = score_entries(tmp_path, entries)
    assert (report.figures["P@0.5"], report.variants["strict"].figures["P@0.5"]) == (None, 1)
    assert "divides by 0" in report.deviations[-1].published


def test_precision_at_exact_thresholds_is_the_float32_comparison(tmp_path: Path) -> None:
    """IoU of exactly 0.6 and 0.8 is a hit at its own threshold, of exactly 0.5, 0.7 and 0.9 it is none."""
    entries = json.loads(answers_of("a2d-sentences", "queries").read_text())
    exact = {A2D.format(frame) for frame in (3, 9, 10, 21, 30)}
    report = score_entries(tmp_path, [entry for entry in entries if entry["image_id"] in exact])
    samples = report.variants["strict"].samples
    ious = {round(samples[name]["iou"] or 0, 6): samples[name]["iou"] for name in exact}
    assert sorted(ious) == [0.5, 0.6, 0.7, 0.8, 0.9]
    hits = [threshold for threshold, iou in ious.items() if iou is not None and iou > threshold]
    assert sorted(hits) == [0.6, 0.8]
    precision = [report.variants["strict"].figures[f"P@{k}"] for k in (0.5, 0.6, 0.7, 0.8, 0.9)]
    assert precision == [4 / 19, 4 / 19, 2 / 19, 2 / 19, 0]


def remove(name: str) -> Callable[[dict[str, Any]], None]:
    """Make a change that takes a field away."""
    return lambda entry: entry.pop(name)


def change(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Make a change of a field."""
    return lambda entry: entry.update({name: value})


SMALL = {"size": [2, 2], "counts": "04"}
FAULTS: dict[str, tuple[Callable[[dict[str, Any]], None], str, bool, bool]] = {
    # change of the best answer of a sample; what is said; whether mAP, P@K are given
    "unknown sample": (change("image_id", "v_other_f_1_i_1"), "image_id is 'v_other_f_1_i_1'", False, False),
    "no sample": (remove("image_id"), "no image_id", False, False),
    "no score": (remove("score"), "no score", False, False),
    "text as score": (change("score", "0.5"), "score is '0.5'", False, False),
    "score that is no number": (change("score", float("nan")), "score is nan", True, True),
    "no category": (remove("category_id"), "no category_id", False, False),
    "other category": (change("category_id", 7), "category_id is 7", True, True),
    "no mask": (remove("segmentation"), "no segmentation", False, False),
    "broken run lengths": (change("segmentation", {"size": [60, 80], "counts": "~~"}), "cannot be read", False, False),
    "too few run lengths": (
        change("segmentation", {"size": [60, 80], "counts": "11"}),
        "expected to fill 80x60",
        False,
        False,
    ),
    "huge size": (change("segmentation", {"size": [10**6, 10**6], "counts": "11"}), "pixels; at most", False, False),
    "plain run lengths": (
        change("segmentation", {"size": [60, 80], "counts": [0, 4800]}),
        "not compressed",
        False,
        False,
    ),
    "polygon": (change("segmentation", [[1, 1, 9, 1, 9, 9]]), "not compressed", False, False),
    "other size": (change("segmentation", SMALL), "has the size [2, 2]; expected [60, 80]", True, False),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_answer_is_named_with_what_becomes_of_it(fault: str, tmp_path: Path) -> None:
    """Figures are missing exactly where the published scorer stops; strictly there are always figures."""
    apply, text, gives_ap, gives_precision = FAULTS[fault]
    entries: Entries = json.loads(answers_of("a2d-sentences", "queries").read_text())
    name = A2D.format(3)
    best = max((entry for entry in entries if entry["image_id"] == name), key=lambda entry: entry["score"])
    number = entries.index(best)
    before = score_entries(tmp_path, entries)
    apply(best)
    report = score_entries(tmp_path, entries)
    (deviation,) = report.deviations
    assert text in deviation.text
    assert deviation.about.startswith(f"entry {number}")
    assert (report.figures["mAP 0.5:0.95"] is not None) == gives_ap
    assert (report.figures["P@0.5"] is not None) == gives_precision
    assert None not in list(report.variants["strict"].figures.values())[6:]
    overlap = report.variants["strict"].samples[name]
    if fault in ("no category", "other category"):
        assert overlap == before.variants["strict"].samples[name]
    if fault in ("no mask", "broken run lengths", "other size"):
        assert (overlap["iou"], overlap["intersection"]) == (0, 0)


def test_answer_of_another_category_counts_in_precision_alone(tmp_path: Path) -> None:
    """Pycocotools looks only at the categories of the truth, even where categories play no role."""
    entries: Entries = json.loads(answers_of("a2d-sentences", "queries").read_text())
    before = score_entries(tmp_path, entries)
    for entry in entries:
        entry["category_id"] = 18
    report = score_entries(tmp_path, entries)
    assert report.figures["mAP 0.5:0.95"] == 0
    assert report.figures["mean_iou"] == before.figures["mean_iou"]
    assert report.variants["strict"].figures == before.figures
    (deviation,) = report.deviations
    assert deviation.about == "95 answers"


def test_any_category_of_the_data_set_is_as_good_as_another(tmp_path: Path) -> None:
    """RefCOCO has COCO's categories, and an answer's own plays no role."""
    entries: Entries = json.loads(answers_of("refcoco", "refcoco_val").read_text())
    before = score_entries(tmp_path, entries, "refcoco")
    for entry in entries:
        entry["category_id"] = 18
    report = score_entries(tmp_path, entries, "refcoco")
    assert report.figures == before.figures
    assert not report.deviations


def test_answer_that_is_there_twice_is_a_mistake_only_for_the_published_scorer(tmp_path: Path) -> None:
    """As after a run on several processes that filled up their last batches."""
    entries: Entries = json.loads(answers_of("a2d-sentences", "queries").read_text())
    before = score_entries(tmp_path, entries)
    report = score_entries(tmp_path, [*entries, *entries[:40]])
    assert "there twice" in report.deviations[0].text
    assert (report.figures["mAP 0.5:0.95"] or 0) < (before.figures["mAP 0.5:0.95"] or 0)
    assert report.variants["strict"].figures == pytest.approx(before.figures)


def test_boxes_in_answers_change_areas_as_in_pycocotools(tmp_path: Path) -> None:
    """It takes the third times the fourth number of a box: figures of sizes change, and it is said."""
    entries: Entries = json.loads(answers_of("jhmdb-sentences", "queries").read_text())
    before = score_entries(tmp_path, entries, "jhmdb-sentences")
    for entry in entries:
        entry["bbox"] = [0.0, 0.0, 64.0, 48.0]
    report = score_entries(tmp_path, entries, "jhmdb-sentences")
    changed = {name for name, value in report.figures.items() if value != before.figures[name]}
    assert changed <= {"AP 0.5:0.95 S", "AP 0.5:0.95 M"}
    assert "AP 0.5:0.95 S" in changed
    assert report.variants["strict"].figures == before.figures
    (deviation,) = report.deviations
    assert "answers have boxes" in deviation.text


def test_masks_without_boxes_have_figures_of_masks_alone(tmp_path: Path) -> None:
    """The published figures of boxes need boxes; those of masks stay."""
    entries: Entries = json.loads(answers_of("refcoco", "refcoco_val").read_text())
    before = score_entries(tmp_path, entries, "refcoco")
    for entry in entries:
        del entry["bbox"]
    report = score_entries(tmp_path, entries, "refcoco")
    for name, value in report.figures.items():
        assert value == (before.figures[name] if name.startswith("segm") else None), name
    assert {"it has no bbox"} == {deviation.text.split(";")[0] for deviation in report.deviations}


def test_plain_run_lengths_beside_boxes_are_taken_as_by_pycocotools(tmp_path: Path) -> None:
    """Where the first answer has a box, masks of every form are taken."""
    entries: Entries = json.loads(answers_of("refcoco", "refcoco_val").read_text())
    before = score_entries(tmp_path, entries, "refcoco")
    for entry in entries:
        pixels = decode_counts(entry["segmentation"]["counts"], entry["segmentation"]["size"]).ravel(order="F")
        edges = np.flatnonzero(np.diff(pixels)) + 1
        runs = np.diff(np.concatenate([[0], [0] if pixels[0] else [], edges, [pixels.size]]))
        entry["segmentation"]["counts"] = [int(run) for run in runs]
    report = score_entries(tmp_path, entries, "refcoco")
    assert report.figures == before.figures
    assert not report.deviations


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"annotations": []}, "expected a list of results"),
        ([{"image_id": "v_x_f_1", "score": 1}], "no answer for a sample of this split"),
    ],
    ids=["object", "other split"],
)
def test_results_that_are_none_are_refused(content: Any, text: str, tmp_path: Path) -> None:
    """What belongs to nothing in the split is one error, not thousands of deviations."""
    with pytest.raises(ConfigError, match=text):
        score_entries(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "text", "code"),
    [
        (b"[]", "is an empty list; expected an answer", 1),
        (b"", "cannot be read as JSON", 1),
        (b"[" * 10**5, "nested too deep", 1),
        (b'[{"score": 1, "score": 2}]', "'score' comes twice", 1),
        (b'["\\ud83d"]', "surrogate", 1),
        (b"PK\x03\x04...", "is a zip: unpack it first", 1),
        (b"[" + b"1" * 5000 + b"]", "a whole number of more digits", 1),
        (None, "it is a pipe or a device", 1),
        (b'[{"image_id": "other", "score": 1}]', "another data set or split", 2),
    ],
    ids=["no answer", "empty", "nested", "doubled", "surrogate", "zip", "digits", "pipe", "other split"],
)
def test_broken_results_are_failed_work(content: bytes | None, text: str, code: int, tmp_path: Path) -> None:
    """Exit code 1, and not 2: somebody named the right file."""
    path = tmp_path / "answers.json"
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=text) as caught:
        score_predictions(ScoreRequest(parse_data(f"a2d-sentences:{ROOTS['a2d-sentences']}"), None, path, workers=1))
    assert exit_code(caught.value) == code
    assert "sys." not in str(caught.value)


def test_data_set_that_is_broken_is_failed_work_and_one_that_is_not_there_wrong_use(tmp_path: Path) -> None:
    """The same rule for what is scored against."""
    root = tmp_path / "set"
    shutil.copytree(ROOTS["a2d-sentences"], root)
    answers = answers_of("a2d-sentences", "queries")
    request = ScoreRequest(parse_data(f"a2d-sentences:{root}"), None, answers, workers=1)
    texts = root / "text_annotations/a2d_annotation.txt"
    masks = sorted(root.rglob("*.h5"))

    def break_masks() -> None:
        for path in masks:
            path.write_bytes(b"no masks")

    codes = []
    for change in (break_masks, lambda: texts.write_bytes(b"\xff"), texts.unlink):
        change()
        with pytest.raises(ConfigError) as caught:
            score_predictions(request)
        codes.append(exit_code(caught.value))
    assert codes == [1, 1, 2]


def test_table_says_how_many_samples_there_are() -> None:
    """Also where figures stand below each other; and MeViS v2's own default figures are rows."""
    predictions = answers_of("a2d-sentences", "queries")
    arguments = ["score", "--data", f"a2d-sentences:{ROOTS['a2d-sentences']}", "--predictions", str(predictions)]
    done = CliRunner().invoke(app, arguments)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["n", *["19"] * 4] in rows
    assert not any("n" in row[1:] and "figures" in row for row in rows)
    found = DATA_SETS / "mevis_v2/predictions"
    done = CliRunner().invoke(app, ["score", "--data", f"mevis:{ROOTS['mevis-v2']}", "--predictions", str(found)])
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["n", "9"] in rows
    own = [row[0] for row in rows if len(row) == 2 and row[0] in ("N-acc", "T-acc", "Final")]
    assert own[-3:] == ["N-acc", "T-acc", "Final"]


def test_folder_of_several_results_is_refused(tmp_path: Path) -> None:
    """The right one is not guessed; the error names what is there."""
    with pytest.raises(ConfigError, match=r"abstaining\.json, all_scores_equal\.json.*give the file itself"):
        score_predictions(
            ScoreRequest(
                parse_data(f"a2d-sentences:{ROOTS['a2d-sentences']}"), None, DATA_SETS / "a2d_sentences/predictions"
            )
        )
    (tmp_path / "mine.json").write_text(answers_of("a2d-sentences", "queries").read_text())
    request = ScoreRequest(parse_data(f"a2d-sentences:{ROOTS['a2d-sentences']}"), None, tmp_path)
    assert not score_predictions(request).deviations
