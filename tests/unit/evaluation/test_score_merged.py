"""Ref-DAVIS17 by the DAVIS toolkit: every published figure, and what makes the toolkit stop."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssa_stream.data.kinds import parse_data
from ssa_stream.evaluation.score.report import ScoreReport, Variant
from ssa_stream.evaluation.score.request import ScoreRequest
from ssa_stream.evaluation.score.scoring import score_predictions
from tests.support.data_sets import DATA_SETS, ROOTS, expected

NEAR: dict[str, Any] = {"rel": 0, "abs": 1e-9}
MERGED = DATA_SETS / "ref_davis17/predictions_merged"
SENTENCES = DATA_SETS / "ref_davis17/predictions_per_expression"


def scored(predictions: Path, layout: str = "raw") -> ScoreReport:
    """Score predictions on the miniature set."""
    place = parse_data(f"ref-davis17:{ROOTS[f'ref-davis17-{layout}']}")
    return score_predictions(ScoreRequest(place, "valid", predictions, workers=1))


@pytest.fixture(scope="module")
def unharmed() -> ScoreReport:
    """The stored pictures of objects, scored."""
    return scored(MERGED)


@pytest.fixture
def merged(tmp_path: Path) -> Path:
    """A copy of the stored pictures of objects, to be damaged."""
    return Path(shutil.copytree(MERGED, tmp_path / "out"))


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    """A copy of the pictures of sentences, to be damaged."""
    return Path(shutil.copytree(SENTENCES, tmp_path / "out"))


def expect_toolkit(variant: Variant, published: dict[str, Any]) -> None:
    """Every figure of the toolkit: of each annotator, of each matched row, and the means."""
    for annotator, figures in published["official"].items():
        own = {name: value for name, value in figures.items() if isinstance(value, float)}
        assert variant.parts[annotator] == pytest.approx(own, **NEAR)
        assert variant.counts[f"n_objects of {annotator}"] == figures["n_objects"]
        for figure in "JF":
            rows = {f"{annotator}/{name}": value for name, value in figures[f"{figure}_rows"].items()}
            assert {name: variant.samples[name][figure] for name in rows} == pytest.approx(rows, **NEAR)
    means = published["official_mean_of_4"]
    assert {name: variant.figures[name] for name in means} == pytest.approx(means, **NEAR)


def expect_fixed(variant: Variant, published: dict[str, Any]) -> None:
    """Every figure of labels against their own objects."""
    for annotator, figures in published["own_fixed_ids_not_published"].items():
        assert variant.parts[annotator] == pytest.approx({name: figures[name] for name in ("J", "F", "J&F")}, **NEAR)
        assert variant.counts[f"n_objects of {annotator}"] == figures["n_objects"]
        for name, (j, f) in figures["rows"].items():
            row = variant.samples[f"{annotator}/{name}"]
            assert (row["J"], row["F"]) == pytest.approx((j, f), **NEAR)
    assert variant.figures == pytest.approx(published["own_fixed_ids_mean_of_4"], **NEAR)


@pytest.mark.parametrize(
    ("name", "predictions", "layout"),
    [
        ("merged_by_SSA", SENTENCES, "raw"),
        ("merged_by_SSA", SENTENCES, "converted"),
        ("merged_like_ReferFormer", MERGED, "raw"),
    ],
)
def test_figures_of_the_toolkit_are_reproduced(
    name: str, predictions: Path, layout: str, unharmed: ScoreReport
) -> None:
    """Stored pictures of objects, and those painted from sentences; without faults the strict count is the same."""
    report = unharmed if predictions == MERGED else scored(predictions, layout)
    published = expected("ref_davis17")[name]
    expect_toolkit(report.variants[name], published)
    expect_fixed(report.variants["own_fixed_ids"], published)
    strict = report.variants["strict" if name == "merged_like_ReferFormer" else f"strict_{name}"]
    assert strict.parts == report.variants[name].parts
    assert report.deviations == ()


def _high_value(path: Path) -> None:
    pixels = np.array(Image.open(path))
    pixels[0, 0] = 255
    Image.fromarray(pixels).save(path)


def _colours(path: Path) -> None:
    Image.open(path).convert("RGB").save(path)


def _smaller(path: Path) -> None:
    Image.open(path).resize((20, 10)).save(path)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (_high_value, "value 255"),
        (_colours, "3 values a pixel"),
        (_smaller, "20x10"),
        (Path.unlink, "is missing"),
        (lambda path: path.write_bytes(b"none"), "cannot be read"),
        (lambda path: shutil.rmtree(path.parent), "no folder of the video"),
    ],
)
def test_what_the_toolkit_stops_at_leaves_that_annotator_without_figures(
    merged: Path, fault: Callable[[Path], None], text: str, unharmed: ScoreReport
) -> None:
    """The strict count goes on, and others keep their figures."""
    as_it_was = unharmed.variants["strict"].parts
    fault(merged / "anno_1/motorbike/00002.png")
    report = scored(merged)
    published, strict = report.variants["merged_like_ReferFormer"], report.variants["strict"]
    assert set(published.parts["anno_1"].values()) == {None} == set(published.figures.values())
    assert published.parts["anno_0"] == as_it_was["anno_0"] == strict.parts["anno_0"]
    assert isinstance(strict.parts["anno_1"]["J&F-Mean"], float)
    assert (fault is _high_value) == (strict.parts["anno_1"] == as_it_was["anno_1"])
    assert [one.about for one in report.deviations] == ["merged_like_ReferFormer anno_1/motorbike"]
    assert text in report.deviations[0].text


def test_objects_of_the_answer_may_be_more_than_those_of_the_truth(merged: Path, unharmed: ScoreReport) -> None:
    """Labels say nothing: the one object of a video is found under any of them; own labels are another count."""
    for path in (merged / "anno_0/blackswan").iterdir():
        pixels = np.array(Image.open(path))
        Image.fromarray(pixels * 7).save(path)
    variants = scored(merged).variants
    assert variants["merged_like_ReferFormer"] == unharmed.variants["merged_like_ReferFormer"]
    assert variants["own_fixed_ids"].samples["anno_0/blackswan_1"]["J"] == 0


def test_missing_sentence_shifts_the_numbers_of_the_others_in_the_published_script(sentences: Path) -> None:
    """SSA's script numbers the folders that it finds: what is meant stays the strict count."""
    shutil.rmtree(sentences / "bike-packing/2")
    report = scored(sentences)
    published, strict = report.variants["merged_by_SSA"], report.variants["strict_merged_by_SSA"]
    as_recorded = expected("ref_davis17")["merged_by_SSA"]["official"]
    for untouched in ("anno_0", "anno_1", "anno_3"):
        assert strict.parts[untouched]["J&F-Mean"] == pytest.approx(as_recorded[untouched]["J&F-Mean"], **NEAR)
    assert published.parts["anno_3"]["J&F-Mean"] != pytest.approx(as_recorded["anno_3"]["J&F-Mean"], abs=1e-3)
    notes = [one.text for one in report.deviations if one.about == "merged_by_SSA anno_2/bike-packing"]
    assert notes == ["the folders 2 are missing"]


def test_missing_frame_of_one_sentence_stops_the_published_script_for_all(sentences: Path) -> None:
    """One script paints all annotators' pictures."""
    (sentences / "motorbike/5/00001.png").unlink()
    report = scored(sentences)
    assert set(report.variants["merged_by_SSA"].figures.values()) == {None}
    assert {figures["J-Mean"] for figures in report.variants["merged_by_SSA"].parts.values()} == {None}
    assert report.variants["strict_merged_by_SSA"].figures["J-Mean"] is not None


def _own_data(root: Path, labels: int, kind: str = "P") -> tuple[Path, Path]:
    """A converted set of one video of two frames with objects 1 and `labels`, and right answers to its sentences."""
    data, out = root / "data", root / "out"
    truth = np.zeros((24, 32), np.uint8)
    truth[2:10, 2:10], truth[12:20, 14:22] = 1, labels
    expressions = {str(n): {"exp": "x", "obj_id": str((1, labels)[n // 4])} for n in range(8)}
    meta = data / "meta_expressions/valid/meta_expressions.json"
    meta.parent.mkdir(parents=True)
    videos = {v: {"frames": ["00000", "00001"], "expressions": expressions} for v in ("a", "b")}
    meta.write_text(json.dumps({"videos": videos}))
    for path in (data / f"valid/Annotations/{v}/0000{t}.png" for v in videos for t in range(2)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(truth).save(path)
        for number, entry in expressions.items():
            shown = (truth == int(entry["obj_id"])).astype(np.uint8) * 255
            answer = out / path.parent.name / number / path.name
            answer.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(shown.astype(np.uint16)) if kind == "I;16" else Image.fromarray(shown)
            (picture if kind == "I;16" else picture.convert(kind)).save(answer)
    return data, out


def _score_own(data: Path, out: Path) -> ScoreReport:
    return score_predictions(ScoreRequest(parse_data(f"ref-davis17:{data}"), "valid", out, workers=1))


@pytest.mark.parametrize("highest", [20, 22, 254])
def test_truth_may_have_any_number_of_objects(tmp_path: Path, highest: int) -> None:
    """The limit of 20 is on answers: empty masks stand for the objects that these lack."""
    report = _score_own(*_own_data(tmp_path, highest))
    variant = report.variants["merged_by_SSA"]
    assert variant.counts["n_objects of anno_0"] == 2 * highest
    assert variant.figures["J-Mean"] == 1  # of objects that are not there, too: both are empty
    assert report.figures["J"] == 1


@pytest.mark.parametrize("kind", ["1", "RGB", "RGBA", "LA", "I;16"])
def test_other_pictures_of_sentences_are_painted_as_numpy_and_pillow_do(tmp_path: Path, kind: str) -> None:
    """Figures where the script gives some, none with a deviation where it or the toolkit stops; strictly all right."""
    report = _score_own(*_own_data(tmp_path, 2, kind))
    figure = report.variants["merged_by_SSA"].figures["J-Mean"]
    assert (figure is None) == (kind == "1"), figure
    assert any(one.about.startswith("merged_by_SSA") for one in report.deviations)
    assert report.variants["strict_merged_by_SSA"].figures["J-Mean"] == 1


def _file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("stray")


@pytest.mark.parametrize(
    ("stray", "stops"),
    [
        (lambda out: _file(out / "a/.DS_Store"), True),
        (lambda out: _file(out / "a/0/Thumbs.db"), True),
        (lambda out: _file(out / "a/1/Thumbs.db"), False),
        (lambda out: _file(out / ".DS_Store"), False),
        (lambda out: (out / "notes").mkdir(), True),
        (lambda out: _file(out / "notes/0/00000.png"), True),
    ],
)
def test_what_lies_beside_sentences_stops_the_published_script(
    tmp_path: Path, stray: Callable[[Path], None], stops: bool
) -> None:
    """It takes everything in a folder for a sentence, and every folder for a video."""
    data, out = _own_data(tmp_path, 2)
    stray(out)
    report = _score_own(data, out)
    assert (report.variants["merged_by_SSA"].figures["J-Mean"] is None) == stops
    assert any(one.about.startswith("merged_by_SSA") and "stops" in one.published for one in report.deviations) == stops
    assert report.variants["strict_merged_by_SSA"].figures["J-Mean"] == 1


def test_broken_truth_of_a_video_leaves_the_others_be(tmp_path: Path) -> None:
    """Sentences of it are dropped; the toolkit stops; strict counts leave it out."""
    data, out = _own_data(tmp_path, 2)
    (data / "valid/Annotations/a/00001.png").write_bytes(b"none")
    report = _score_own(data, out)
    assert report.variants["per_expression"].counts["n_scored"] == 8
    assert report.variants["merged_by_SSA"].figures["J-Mean"] is None
    assert report.variants["strict_merged_by_SSA"].counts["n_objects of anno_0"] == 2
    assert report.variants["strict"].figures["J"] == 1


def test_later_frame_of_one_pixel_is_repeated_by_the_toolkit(merged: Path) -> None:
    """As numpy does; strictly it is empty."""
    path = merged / "anno_1/motorbike/00002.png"
    Image.fromarray(np.zeros((1, 1), np.uint8)).save(path)
    report = scored(merged)
    assert report.variants["merged_like_ReferFormer"].parts["anno_1"]["J-Mean"] is not None
    assert [one.about for one in report.deviations] == ["merged_like_ReferFormer anno_1/motorbike"]


def test_folder_with_both_forms_is_scored_by_both(merged: Path) -> None:
    """Answers by sentence beside the merged ones."""
    for video in SENTENCES.iterdir():
        shutil.copytree(video, merged / "valid/Annotations" / video.name)
    variants = scored(merged).variants
    published = expected("ref_davis17")
    expect_toolkit(variants["merged_by_SSA"], published["merged_by_SSA"])
    expect_fixed(variants["own_fixed_ids of merged_like_ReferFormer"], published["merged_like_ReferFormer"])
    assert next(iter(variants)) == "per_expression"
