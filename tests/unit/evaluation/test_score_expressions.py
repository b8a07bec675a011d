"""J and F of stored answers, a picture a frame and sentence: the published figures, and what deviates."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssa_stream.cli.main import exit_code
from ssa_stream.data.kinds import parse_data
from ssa_stream.data.referring import ReferringData
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.score.report import ScoreReport, Variant, score_to_json
from ssa_stream.evaluation.score.request import ScoreRequest, truth_beside
from ssa_stream.evaluation.score.scoring import score_predictions
from ssa_stream.evaluation.score.workers import each_video
from tests.support.data_sets import DATA_SETS, ROOTS, expected

NEAR: dict[str, Any] = {"rel": 0, "abs": 1e-9}
TRUTH = DATA_SETS / "ref_youtube_vos/extra_valid_truth"
V1, V2 = DATA_SETS / "mevis/predictions", DATA_SETS / "mevis_v2/predictions"
YTVOS = DATA_SETS / "ref_youtube_vos/predictions"


def scored(root: str, split: str, predictions: Path, truth: Path | None = None, workers: int = 1) -> ScoreReport:
    """Score predictions on a miniature set."""
    kind = root.removesuffix("-v2").removesuffix("-raw").removesuffix("-converted")
    return score_predictions(ScoreRequest(parse_data(f"{kind}:{ROOTS[root]}"), split, predictions, truth, workers))


def keyed(by_name: dict[str, Any]) -> dict[str, Any]:
    """The published key `<video>_<expression>` as ours."""
    return {"/".join(name.rsplit("_", 1)): value for name, value in by_name.items()}


def expect_published(variant: Variant, published: dict[str, Any]) -> None:
    """Every figure of a published result: over all, of each sentence, of each frame."""
    assert variant.counts["n_scored"] == published["n_scored"]
    assert variant.figures == pytest.approx({name: published[name] for name in ("J", "F", "J&F")}, **NEAR)
    sentences = keyed(published["per_expression"])
    assert variant.samples.keys() == sentences.keys()
    for name, figures in sentences.items():
        assert {key: variant.samples[name][key] for key in "JF"} == pytest.approx(figures, **NEAR), name
    for name, frames in keyed(published.get("per_frame", {})).items():
        for figure in "JF":
            assert list(variant.frames[name][figure]) == pytest.approx(frames[figure], **NEAR), name


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """A copy of MeViS' good predictions, to be damaged."""
    return Path(shutil.copytree(V1 / "valid_u", tmp_path / "out"))


@pytest.mark.parametrize(
    ("root", "split", "folder", "truth", "result"),
    [
        ("mevis", "valid_u", V1 / "valid_u", None, "valid_u"),
        ("mevis", "valid_u", V1 / "valid_u_faulty", None, "valid_u_faulty"),
        ("mevis-v2", "valid_u", V2, None, "valid_u"),
        ("ref-youtube-vos", "train", YTVOS / "train", None, "train"),
        ("ref-youtube-vos", "val", YTVOS, TRUTH, "valid"),
    ],
)
def test_published_figures_of_every_frame_are_reproduced(
    root: str, split: str, folder: Path, truth: Path | None, result: str
) -> None:
    """The default variant is the published scorer's, to the last recorded digit, wherever the folder begins."""
    report = scored(root, split, folder, truth)
    published = expected(root.replace("-", "_"))["results"][result]
    default = next(iter(report.variants))
    assert default == "published"
    expect_published(report.variants[default], published)
    assert report.variants[default].figures.items() <= report.figures.items()
    dropped = {name for name, value in report.variants["strict"].samples.items() if value is not None} - set(
        report.variants[default].samples
    )
    assert dropped == set(keyed(published["dropped_because_the_worker_raises"]))


@pytest.mark.parametrize("root", ["ref-davis17-raw", "ref-davis17-converted"])
def test_sentences_of_davis_are_scored_from_both_layouts(root: str) -> None:
    """Ref-DAVIS17 by sentence: no void, no matching."""
    report = scored(root, "valid", DATA_SETS / "ref_davis17/predictions_per_expression")
    expect_published(report.variants["per_expression"], expected("ref_davis17")["per_expression"])


def test_untouched_script_drops_videos_that_start_later() -> None:
    """`00000.png` is not the first frame of every video of Ref-YouTube-VOS."""
    report = scored("ref-youtube-vos", "valid", YTVOS / "valid", TRUTH)
    expect_published(report.variants["unpatched_scorer"], expected("ref_youtube_vos")["unpatched_scorer"]["valid"])


@pytest.mark.parametrize(
    "damage",
    [
        lambda meta, masks, anno: meta.update(anno_id=None),
        lambda meta, masks, anno: meta.update(anno_id=["nowhere"]),
        lambda meta, masks, anno: masks.update({anno: "junk"}),
        lambda meta, masks, anno: masks.update({anno: masks[anno][:-1]}),
        lambda meta, masks, anno: masks[anno][1].update(size=[3, 4]),
        lambda meta, masks, anno: masks[anno][1].update(counts=[1, 2, 3]),
    ],
    ids=["null", "unknown", "no list", "short", "size", "plain"],
)
def test_broken_truth_drops_the_sentences_that_mean_it(tmp_path: Path, damage: Callable[..., None]) -> None:
    """As the published worker dies of it; no count can judge them, and the others are scored as before."""
    before = scored("mevis", "valid_u", V1)
    data = Path(shutil.copytree(ROOTS["mevis"], tmp_path / "data"))
    meta, masks = (
        json.loads((data / "valid_u" / f"{name}.json").read_text()) for name in ("meta_expressions", "mask_dict")
    )
    video = next(iter(meta["videos"].values()))
    entry = next(one for one in video["expressions"].values() if all(masks[str(one["anno_id"][0])][:2]))
    damage(entry, masks, str(entry["anno_id"][0]))
    for name, content in (("meta_expressions", meta), ("mask_dict", masks)):
        (data / "valid_u" / f"{name}.json").write_text(json.dumps(content))
    report = score_predictions(ScoreRequest(parse_data(f"mevis:{data}"), "valid_u", V1, workers=1))
    told = {one.about for one in report.deviations if "nothing to compare" in one.strict}
    assert told
    for variant in ("published", "strict"):
        samples = report.variants[variant].samples
        assert samples.items() <= before.variants[variant].samples.items()
        assert before.variants[variant].samples.keys() - samples.keys() == told


def test_masks_of_another_size_than_the_pictures_are_scored_in_their_own(tmp_path: Path) -> None:
    """The published scorer reads no picture of the video; missing ones do not matter."""
    before = scored("mevis", "valid_u", V1)
    data = Path(shutil.copytree(ROOTS["mevis"], tmp_path / "data"))
    pictures = data / "valid_u/JPEGImages"
    for path in sorted(pictures.rglob("*.jpg"))[:9]:
        Image.new("RGB", (7, 5)).save(path)
    report = score_predictions(ScoreRequest(parse_data(f"mevis:{data}"), "valid_u", V1, workers=1))
    assert (report.figures, report.deviations) == (before.figures, before.deviations)


def test_answer_of_one_pixel_is_repeated_as_published_and_nothing_strictly(answers: Path) -> None:
    """By numpy, to the size of `00000.png`."""
    before = scored("mevis", "valid_u", answers)
    Image.fromarray(np.full((1, 1), 255, np.uint8)).save(answers / "5e0d7c31b2a9/0/00003.png")
    one = scored("mevis", "valid_u", answers)
    with Image.open(answers / "5e0d7c31b2a9/0/00000.png") as other:
        shape = (other.height, other.width)
    Image.fromarray(np.full(shape, 255, np.uint8)).save(answers / "5e0d7c31b2a9/0/00003.png")
    assert one.figures == scored("mevis", "valid_u", answers).figures != before.figures
    assert one.variants["strict"].frames["5e0d7c31b2a9/0"]["J"][3] == 0
    assert one.deviations[0].about == "5e0d7c31b2a9/0"


def test_missing_video_is_zero_for_all_its_sentences(tmp_path: Path) -> None:
    """The published scorer counts it; it is told once."""
    out = Path(shutil.copytree(YTVOS / "valid", tmp_path / "out"))
    shutil.rmtree(out / "Annotations/00mini87f1")
    report = scored("ref-youtube-vos", "valid", out, TRUTH)
    published = expected("ref_youtube_vos")["results"]["valid_without_video_00mini87f1"]
    expect_published(report.variants["published"], published)
    assert [(one.about, one.published) for one in report.deviations] == [("00mini87f1", "J = F = 0 for each")]


def test_dropped_sentences_are_named_and_zero_in_the_strict_count() -> None:
    """What makes the published worker die: no folder, no frame, another size."""
    report = scored("mevis", "valid_u", V1 / "valid_u_faulty")
    strict, published = report.variants["strict"], report.variants["published"]
    texts = {one.about: one.text for one in report.deviations if "drops" in one.published}
    assert texts == {
        "5e0d7c31b2a9/1": "there is no folder of it",
        "5e0d7c31b2a9/2": "frame 00005 is missing",
        "3c2d1e0f9a8b/0": "frame 00000 has 50x37 pixels; expected 100x75",
    }
    assert strict.counts["n_scored"] == 11
    assert strict.samples["5e0d7c31b2a9/1"]["J"] == strict.samples["3c2d1e0f9a8b/0"]["F"] == 0
    assert strict.samples["5e0d7c31b2a9/2"]["J"] == pytest.approx(5 / 6)
    assert all(strict.samples[name]["J"] == figures["J"] for name, figures in published.samples.items())


def test_other_form_of_pictures_gives_the_same_figures(answers: Path) -> None:
    """Palette, 1-bit, colour and 16-bit pictures: any value but 0 is object."""
    as_it_was = scored("mevis", "valid_u", answers).figures
    modes = iter(("P", "1", "RGB", "L"))
    for expression in sorted((answers / "5e0d7c31b2a9").iterdir()):
        mode = next(modes)
        for path in expression.iterdir():
            pixels = np.asarray(Image.open(path)) > 0
            picture = Image.fromarray(pixels.astype(np.uint8) * (1 if mode == "L" else 255)).convert(mode)
            if mode == "P":
                picture = Image.fromarray(pixels.astype(np.uint8), "L").convert("P")
                picture.putpalette([0, 0, 0, 128, 0, 0])
            picture.save(path)
    assert scored("mevis", "valid_u", answers).figures == as_it_was


def test_other_size_where_nothing_is_meant_is_scored_as_published_and_not_strictly(tmp_path: Path) -> None:
    """A truth without a mask takes the answer's size in the published scorer."""
    out = Path(shutil.copytree(V2 / "valid_u", tmp_path / "out"))
    for number, path in enumerate(sorted((out / "1f2e3d4c5b6a/1").iterdir())):
        pixels = np.zeros((30, 40), np.uint8)
        pixels[:, : 40 * (number == 0)] = 255
        Image.fromarray(pixels).save(path)
    report = scored("mevis-v2", "valid_u", out)
    sample = report.variants["published"].samples["1f2e3d4c5b6a/1"]
    assert sample["J"] == pytest.approx(5 / 6)
    assert sample["F"] == 1  # a whole picture has no boundary
    assert report.variants["strict"].samples["1f2e3d4c5b6a/1"]["J"] == 0
    assert [one.about for one in report.deviations] == ["1f2e3d4c5b6a/1"]


def test_extra_files_and_folders_are_ignored_and_named(answers: Path) -> None:
    """Videos, sentences and files that the data set does not have."""
    as_it_was = scored("mevis", "valid_u", answers).figures
    (answers / "unknown").mkdir()
    (answers / "5e0d7c31b2a9/77").mkdir()
    (answers / "5e0d7c31b2a9/0/99999.png").write_bytes(b"")
    (answers / "readme.txt").write_text("mine")
    (answers / os.fsdecode(b"latin-\xe9")).write_text("a name that is no UTF-8")
    report = scored("mevis", "valid_u", answers)
    assert report.figures == as_it_was
    ignored = {
        one.about for one in report.deviations if one.published == "ignores it" or "ignores them" in one.published
    }
    assert ignored == {"unknown", "5e0d7c31b2a9/77", "5e0d7c31b2a9/0", "readme.txt", os.fsdecode(b"latin-\xe9")}
    assert b"readme.txt" in score_to_json(report)


@pytest.mark.parametrize(
    "content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + b"\0\1\0\0\0\1\0\0" + b"\0" * 99]
)
def test_broken_or_huge_picture_is_a_deviation_and_no_crash(answers: Path, content: bytes) -> None:
    """It counts as the published scorer counts it: the sentence is dropped."""
    (answers / "5e0d7c31b2a9/0/00003.png").write_bytes(content)
    report = scored("mevis", "valid_u", answers)
    assert "5e0d7c31b2a9/0" not in report.variants["published"].samples
    assert "frame 00003 cannot be read" in next(one.text for one in report.deviations if one.about == "5e0d7c31b2a9/0")


def _die(data: ReferringData, name: str) -> None:
    """End the process that works on a video, as the kernel does when memory runs out."""
    os._exit(9)


def test_process_that_dies_is_an_error_that_names_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never silence."""
    monkeypatch.setattr("ssa_stream.evaluation.score.workers._FRAMES_WORTH_A_PROCESS", 1)
    request = ScoreRequest(parse_data(f"mevis:{ROOTS['mevis']}"), None, V1, workers=2)
    videos = {"5e0d7c31b2a9": 9, "3c2d1e0f9a8b": 5}
    with pytest.raises(ConfigError, match=r"was killed.*5e0d7c31b2a9"):
        each_video(request, request.open_data(), _die, videos, None)


def test_several_processes_give_what_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the time differs."""
    alone = scored("mevis", "valid_u", V1)
    monkeypatch.setattr("ssa_stream.evaluation.score.workers._FRAMES_WORTH_A_PROCESS", 1)
    assert scored("mevis", "valid_u", V1, workers=2) == alone


@pytest.mark.parametrize(
    ("root", "split", "folder", "text"),
    [
        ("mevis", "valid", V1, "not public"),
        ("ref-youtube-vos", "valid", YTVOS, "--truth"),
        ("mevis", "valid_u", V2, "no folder of any of the 4 videos"),
        ("mevis", "valid_u", V1 / "none", "are not there"),
        ("mevis", "unknown", V1, "no split"),
    ],
)
def test_what_cannot_be_scored_is_one_clear_error(root: str, split: str, folder: Path, text: str) -> None:
    """It says what is missing."""
    with pytest.raises(ConfigError, match=text):
        scored(root, split, folder)


def test_no_target_figures_of_mevis_v2_are_those_recorded() -> None:
    """N-acc, T-acc and Final, which no published scorer gives, by each way of counting."""
    report = scored("mevis-v2", "valid_u", V2)
    recorded = expected("mevis_v2")["own_derived_not_a_published_scorer"]
    variant = report.variants["own_derived_not_a_published_scorer"]
    assert {key: recorded[key] for key in ("n_no_target", "n_target")}.items() <= variant.counts.items()
    figures = {key: value for key, value in recorded.items() if isinstance(value, float)}
    assert variant.figures == pytest.approx(figures, **NEAR)
    assert report.figures["Final"] == variant.figures["Final (J&F over all, no answer = wrong)"]


def test_no_answer_is_wrong_or_none_by_variant(tmp_path: Path) -> None:
    """A missing folder of a no-target sentence; for a sentence with a target it is wrong either way."""
    out = Path(shutil.copytree(V2 / "valid_u", tmp_path / "out"))
    before = scored("mevis-v2", "valid_u", out).variants["own_derived_not_a_published_scorer"].figures
    shutil.rmtree(out / "1f2e3d4c5b6a/1")  # no-target, and rightly empty before
    shutil.rmtree(out / "1f2e3d4c5b6a/0")
    after = scored("mevis-v2", "valid_u", out).variants["own_derived_not_a_published_scorer"].figures
    name = "N-acc (no answer = {})"
    assert after[name.format("wrong")] == pytest.approx((before[name.format("wrong")] or 0) - 1 / 4)
    assert after[name.format("none")] == before[name.format("none")]
    assert after["T-acc"] == pytest.approx((before["T-acc"] or 0) - 1 / 5)


def test_file_in_place_of_the_folder_of_pictures_is_named_as_one(tmp_path: Path) -> None:
    """A zip as servers take it is to be unpacked; any other file is no folder."""
    codes = []
    for content, told in ((b"PK\x03\x04...", "is a zip: unpack it first"), (b"x", "is a file; expected the folder")):
        path = tmp_path / "answers.zip"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=told) as caught:
            score_predictions(ScoreRequest(parse_data(f"mevis:{ROOTS['mevis']}"), None, path, workers=1))
        codes.append(exit_code(caught.value))
    assert codes == [1, 2]


def test_truth_of_the_valid_split_is_found_beside_the_data_set(tmp_path: Path) -> None:
    """Only where the split has none of its own, and only of Ref-YouTube-VOS."""
    place = parse_data(f"ref-youtube-vos:{ROOTS['ref-youtube-vos']}")
    assert truth_beside(place, "valid") == TRUTH
    assert truth_beside(place, None) == TRUTH
    assert truth_beside(place, "train") is None
    assert truth_beside(parse_data(f"mevis:{ROOTS['mevis']}"), "valid") is None
    shutil.copytree(TRUTH, tmp_path / "set/extra_valid_truth")
    own = parse_data(f"ref-youtube-vos:{tmp_path / 'set'}")
    assert truth_beside(own, "valid") == tmp_path / "set/extra_valid_truth"
    (tmp_path / "set/valid/Annotations").mkdir(parents=True)
    assert truth_beside(own, "valid") is None
