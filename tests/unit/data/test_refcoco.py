"""RefCOCO, RefCOCO+ and RefCOCOg: equal samples from each of their files, pictures, masks and boxes."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssa_stream.data import KINDS, DataPlace, ReferringData, open_data
from ssa_stream.data.plain_pickle import read_plain_pickle
from ssa_stream.data.refcoco import Refcoco
from ssa_stream.data.refcoco_index import Sample, read_samples
from ssa_stream.errors import ConfigError
from tests.support.data_sets import ROOTS, expected

ROOT = ROOTS["refcoco"]
CONVERTED = [(kind, split) for kind in ("refcoco", "refcoco+") for split in ("train", "val", "testA", "testB")]
CONVERTED += [("refcocog", split) for split in ("train", "val", "test")]
Prepare = Callable[..., Path]


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """Make a copy of the data set without files of some patterns; pictures are those of the original."""

    def prepared(*without: str) -> Path:
        shutil.copytree(ROOT, tmp_path / "data", ignore=shutil.ignore_patterns("train2014", *without))
        (tmp_path / "data/coco/train2014").symlink_to(ROOT / "coco/train2014")
        return tmp_path / "data"

    return prepared


def _edit(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")


def _samples(data: ReferringData) -> dict[str | int, tuple[str, str, tuple[str, ...]]]:
    return {
        expression.sample_ids[0]: (name, expression.text, expression.target_ids)
        for name in data.videos
        for expression in data.video(name).expressions
    }


@pytest.mark.parametrize(("kind", "split"), CONVERTED)
def test_samples_are_those_of_referformers_file_whichever_file_they_are_from(kind: str, split: str) -> None:
    """Ids, sentences, pictures and objects; of the file itself, too."""
    source, converted = read_samples(kind, ROOT, split)
    assert source.name == f"instances_{kind}_{split}.json"
    content = json.loads(source.read_text("utf-8"))
    assert [(one.sample_id, one.text, one.file_name, one.annotation_id) for one in converted] == [
        (image["id"], image["caption"], image["file_name"], annotation["original_id"])
        for image, annotation in zip(content["images"], content["annotations"], strict=True)
    ]
    assert [json.loads(one.target.segmentation or b"") for one in converted if one.target is not None] == [
        annotation["segmentation"] for annotation in content["annotations"]
    ]


@pytest.mark.parametrize("without", ["instances_*", "instances_*|refs*"], ids=["refs", "mdetr"])
def test_samples_are_the_same_without_referformers_file(prepare: Prepare, without: str) -> None:
    """From the refs, which have all splits, and from MDETR's files, of which the set has two."""
    root = prepare(*without.split("|"))
    pairs = [(kind, split) for kind, split in CONVERTED if "refs*" not in without or split in ("train", "val")]
    for kind, split in pairs:
        source, samples = read_samples(kind, root, split)
        assert source.name.startswith("finetune_" if "refs*" in without else "refs(")
        assert samples == read_samples(kind, ROOT, split)[1]


@pytest.mark.parametrize(
    ("kind", "splits", "name"),
    [
        ("refcoco", ("train", "val", "testA", "testB"), "refcoco(unc)"),
        ("refcoco", ("google-train", "google-val", "google-test"), "refcoco(google)"),
        ("refcoco+", ("train", "val", "testA", "testB"), "refcoco+(unc)"),
        ("refcocog", ("train", "val", "test"), "refcocog(umd)"),
        ("refcocog", ("google-train", "google-val"), "refcocog(google)"),
    ],
)
def test_splits_and_masks_have_the_published_readers_numbers(kind: str, splits: tuple[str, ...], name: str) -> None:
    """Sentences of each split, and pixels of each mask."""
    figures = expected("refcoco")["refer_reader"][name]
    refs = read_plain_pickle(ROOT / f"coco/{kind}/refs({name.partition('(')[2]}.p", most_bytes=10**6)
    pixels = {ref["ann_id"]: figures["mask_pixels_by_ref"][str(ref["ref_id"])] for ref in refs}
    for split in splits:
        data = open_data(DataPlace(KINDS[kind], ROOT), split)
        assert isinstance(data, Refcoco)
        videos = [data.video(name) for name in data.videos]
        sentences = [expression for video in videos for expression in video.expressions]
        assert len(sentences) == figures["sentences_by_split"][split.removeprefix("google-")]
        for video in videos:
            assert data.frames(video.name).shape == (1, *data.size(video.name), 3)
            for expression in video.expressions:
                masks = data.masks(video.name, expression)
                assert masks.shape == (1, 1, *data.size(video.name))
                assert masks.sum() == pixels[int(expression.target_ids[0])]
                assert expression.annotated == (0,)


def test_a_picture_is_one_video_with_all_its_sentences() -> None:
    """So that it is read once; indices choose its one frame as often as they like."""
    data = Refcoco("refcoco", ROOT, "val")
    assert data.videos == (
        "COCO_train2014_000000112638",
        "COCO_train2014_000000111731",
        "COCO_train2014_000000106861",
    )
    video = data.video(data.videos[1])
    assert video.frames == (video.name,)
    assert [expression.expression_id for expression in video.expressions] == ["2", "3", "4"]
    assert [expression.sample_ids for expression in video.expressions] == [(2,), (3,), (4,)]
    assert data.boxes(video.name, video.expressions[0]).tolist() == [[34.28, 16.41, 23.79, 24.81]]
    assert data.frames(video.name, [0, 0]).shape == (2, 60, 80, 3)
    assert data.masks(video.name, video.expressions[0], [0, 0]).shape == (1, 2, 60, 80)
    with pytest.raises(ConfigError, match="frame 1 of video"):
        data.frames(video.name, [1])
    with pytest.raises(ConfigError, match="frame 1 of video"):
        data.masks(video.name, video.expressions[0], [1])


def test_the_split_test_has_both_tests_as_in_refer(prepare: Prepare) -> None:
    """Any split that has the word in it; a ref of testAB is of testA and of testB."""
    data = open_data(DataPlace(KINDS["refcoco"], ROOT), "test")
    refs = read_plain_pickle(ROOT / "coco/refcoco/refs(unc).p", most_bytes=10**6)
    texts = [one["sent"] for ref in refs if "test" in ref["split"] for one in ref["sentences"]]
    assert [text for _, (_, text, _) in sorted(_samples(data).items(), key=lambda item: int(item[0]))] == texts
    root = prepare("instances_*")
    next(ref for ref in refs if ref["split"] == "train")["split"] = "testAB"
    (root / "coco/refcoco/refs(unc).p").write_bytes(pickle.dumps(refs, 0))
    more = {split: len(read_samples("refcoco", root, split)[1]) for split in ("train", "testA", "testB", "test")}
    assert more == {"train": 3, "testA": 6, "testB": 7, "test": 12}


def test_ids_of_referformers_file_count_and_not_its_order(prepare: Prepare) -> None:
    """Images and annotations are found by their ids; results are stored under these."""

    def shuffle(content: Any) -> None:
        content["images"].reverse()
        content["annotations"] = content["annotations"][2:] + content["annotations"][:2]

    root = prepare()
    _edit(root / "coco/refcoco/instances_refcoco_val.json", shuffle)
    assert read_samples("refcoco", root, "val")[1] == read_samples("refcoco", ROOT, "val")[1]


def test_a_crowd_is_drawn_and_sentences_are_in_lower_case(prepare: Prepare) -> None:
    """Run lengths of a crowd are not compressed."""

    def make_crowd(content: Any) -> None:
        image, annotation = _first(content)
        image["caption"] = "Café LADY"
        size = [image["height"], image["width"]]
        counts = [size[0] + 2, 3, size[0] * size[1] - size[0] - 5]
        annotation.update(segmentation={"size": size, "counts": counts}, iscrowd=1)

    root = prepare()
    _edit(root / "coco/refcoco/instances_refcoco_train.json", make_crowd)
    data = Refcoco("refcoco", root, "train")
    name = data.videos[0]
    expression = data.video(name).expressions[0]
    assert expression.text == "café lady"
    assert data.target(name, expression).is_crowd
    assert np.argwhere(data.masks(name, expression)[0, 0]).tolist() == [[2, 1], [3, 1], [4, 1]]


def test_mdetrs_file_alone_gives_boxes_and_no_masks(prepare: Prepare) -> None:
    """It has no segmentations; sentences can still be predicted."""
    data = Refcoco("refcoco", prepare("instances*", "refs*"), "val")
    name = data.videos[0]
    (expression,) = data.video(name).expressions
    assert (expression.has_targets, expression.target_ids) == (False, ())
    assert data.boxes(name, expression).shape == (1, 4)
    with pytest.raises(ConfigError, match=r"annotation 1701694 of .* has no segmentation"):
        data.masks(name, expression)


def test_a_sample_without_its_object_or_picture_breaks_alone(prepare: Prepare) -> None:
    """The others keep their ids."""

    def remove(content: Any) -> None:
        content["annotations"] = [one for one in content["annotations"] if one["id"] != 1701111]
        content["images"] = [one for one in content["images"] if one["id"] != 106861]

    root = prepare("instances_*")
    _edit(root / "coco/refcoco/instances.json", remove)
    data = Refcoco("refcoco", root, "val")
    assert _samples(data) == _samples(Refcoco("refcoco", ROOT, "val"))
    without_object, without_picture = data.videos[1:]
    with pytest.raises(ConfigError, match=r"sentence 2 about .* is of annotation 1701111, which no file has"):
        data.masks(without_object, data.video(without_object).expressions[0])
    with pytest.raises(ConfigError, match=r"a picture COCO_train2014_000000106861 that instances.json lacks"):
        data.size(without_picture)
    assert data.frames(without_picture).shape == (1, 64, 48, 3)


@pytest.mark.parametrize(
    ("kind", "split", "without", "says"),
    [
        (
            "refcocog",
            "val",
            ("instances_*", "refs(umd).p", "finetune*"),
            r"expected one of .*refs\(google\).p is there",
        ),
        (
            "refcoco",
            "val",
            ("instances_*", "refs*", "finetune*"),
            r"coco/refcoco/instances_refcoco_val.json, .*_val.json$",
        ),
        ("refcoco", "val", ("instances*",), "instances.json is missing"),
    ],
    ids=["other-splitter", "none", "no-instances"],
)
def test_missing_files_are_named(prepare: Prepare, kind: str, split: str, without: tuple[str, ...], says: str) -> None:
    """All that would do, and the near miss: some documents list refs(unc).p for RefCOCOg."""
    root = prepare(*without)
    with pytest.raises(ConfigError, match=says) as caught:
        Refcoco(kind, root, split)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    with pytest.raises(ConfigError, match="looks like the folder coco itself"):
        Refcoco("refcoco+", ROOT / "coco", "val")


def _first(content: Any) -> tuple[Any, Any]:
    return content["images"][0], content["annotations"][0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: _first(c)[0].update(file_name="../secret.jpg"), "file name '../secret.jpg'"),
        (lambda c: _first(c)[0].update(height=0), "64x0 pixels"),
        (lambda c: _first(c)[0].update(caption=None), "no caption"),
        (lambda c: _first(c)[0].update(caption="long " * 500), "at most 1000 characters"),
        (lambda c: _first(c)[0].update(id="1"), r"Expected `int`, got `str` - at `\$.images\[0\].id`"),
        (lambda c: c["images"].append(c["images"][0]), "1 ids of images come twice"),
        (lambda c: c["annotations"].append(dict(c["annotations"][0])), "image 1 has two annotations"),
        (
            lambda c: c["images"].append({**c["images"][0], "id": 99, "width": 65}),
            "two pictures COCO_.*of different size",
        ),
        (lambda c: c.pop("images"), "missing required field `images`"),
    ],
    ids="outside empty no-sentence long type twice annotations size images".split(),
)
def test_a_broken_file_is_refused_with_its_name(prepare: Prepare, change: Callable[[Any], None], says: str) -> None:
    """One error, whatever is wrong."""
    root = prepare()
    _edit(root / "coco/refcoco/instances_refcoco_val.json", change)
    with pytest.raises(ConfigError, match=f"instances_refcoco_val.json.*{says}"):
        Refcoco("refcoco", root, "val")


@pytest.mark.parametrize(
    ("refs", "says"),
    [
        ({"refs": []}, "Expected `array`, got `object`"),
        ([{"ref_id": 1}], "missing required field `ann_id`"),
        ([{"\ud800": 1}], "surrogates not allowed"),
        ([{"ref_id": 10**5000}], "Expected `int` <= 9223372036854775807"),
        (
            [{"ref_id": 1, "ann_id": 1, "image_id": 1, "split": "val", "sentences": [{"sent": 3}]}],
            "ref 1: Expected `str`",
        ),
    ],
    ids=["object", "field", "key", "number", "sentence"],
)
def test_refs_of_another_form_are_refused(prepare: Prepare, refs: Any, says: str) -> None:
    """Plain data, but not those of REFER."""
    root = prepare("instances_*")
    (root / "coco/refcoco/refs(unc).p").write_bytes(pickle.dumps(refs))
    with pytest.raises(ConfigError, match=rf"refs\(unc\).p: .*{says}"):
        Refcoco("refcoco", root, "val")


def test_a_pickle_of_no_refs_is_empty_or_broken(prepare: Prepare) -> None:
    """Such as one that tells of more bytes than it has; a data set without pictures would be told otherwise."""
    root = prepare("instances_*")
    path = root / "coco/refcocog/refs(umd).p"
    path.write_bytes(b"\x80\x04\x95\xff\xff\xff\x00\x00\x00\x00\x00]r\xff\xff\xff\x7f.")
    with pytest.raises(ConfigError, match=r"refs\(umd\)\.p holds no refs: it is empty or broken"):
        Refcoco("refcocog", root, "val")


def test_one_list_held_many_times_is_counted_before_it_is_read(prepare: Prepare) -> None:
    """A pickle of kilobytes could else stand for billions of sentences."""
    sentences = [{"sent": "a"}] * 2000
    ref = {"ref_id": 1, "ann_id": 1, "image_id": 1, "split": "val", "sentences": sentences}
    root = prepare("instances_*")
    (root / "coco/refcoco/refs(unc).p").write_bytes(pickle.dumps([ref] * 2000))
    with pytest.raises(ConfigError, match="has 4,000,000 sentences; expected at most 2,000,000"):
        Refcoco("refcoco", root, "val")


def test_a_picture_of_another_size_and_a_broken_polygon_are_told(prepare: Prepare) -> None:
    """With the file that says otherwise."""

    def change(content: Any) -> None:
        content["images"][0].update(height=50)
        content["annotations"][1].update(segmentation=[[1, 2, 3, 4, 5]])

    root = prepare()
    _edit(root / "coco/refcoco/instances_refcoco_val.json", change)
    data = Refcoco("refcoco", root, "val")
    with pytest.raises(ConfigError, match=r"112638.jpg has 64x48 pixels; expected 64x50, as its annotations say"):
        data.frames(data.videos[0])
    with pytest.raises(ConfigError, match=r"annotation 1701111 of .* cannot be drawn: a polygon has 5 numbers"):
        data.masks(data.videos[1], data.video(data.videos[1]).expressions[0])


def test_the_index_is_small_and_can_be_handed_to_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """They need not read the files again."""
    content = pickle.dumps(Refcoco("refcoco", ROOT, "val"))
    assert len(content) < 10_000

    def unread(*_: object) -> tuple[Path, list[Sample]]:
        raise AssertionError("the index was read again")

    monkeypatch.setattr("ssa_stream.data.refcoco.read_samples", unread)
    data = pickle.loads(content)  # made above
    assert np.any(data.masks(data.videos[0], data.video(data.videos[0]).expressions[0]))
