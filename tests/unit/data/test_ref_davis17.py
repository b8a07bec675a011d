"""Ref-DAVIS17: raw and converted layouts give the same; sentences of four annotators; void is no object."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssa_stream.data import KINDS, DataPlace, open_data
from ssa_stream.data.ref_davis17 import RefDavis17
from ssa_stream.errors import ConfigError
from tests.support.data_sets import DATA_SETS, ROOTS, expected
from tests.support.stored_answers import frame_ious

RAW, CONVERTED = ROOTS["ref-davis17-raw"], ROOTS["ref-davis17-converted"]
TEXTS = "davis_text_annotations"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A copy that tests change."""
    shutil.copytree(RAW, tmp_path / "raw")
    return tmp_path / "raw"


@pytest.mark.parametrize(("split", "sentences"), [("train", 12), ("valid", 36), ("val", 36)])
def test_both_layouts_give_the_same(split: str, sentences: int) -> None:
    """Videos, sentences and their ids, targets, frames, labels, masks."""
    kind = KINDS["ref-davis17"]
    raw, converted = (open_data(DataPlace(kind, root), split) for root in (RAW, CONVERTED))
    assert isinstance(raw, RefDavis17)
    assert isinstance(converted, RefDavis17)
    assert raw.annotators == converted.annotators == 4
    assert raw.videos == converted.videos
    assert sum(len(raw.video(name).expressions) for name in raw.videos) == sentences
    for name in raw.videos:
        assert raw.video(name) == converted.video(name)
        assert [item.expression_id for item in raw.video(name).expressions] == [
            str(number) for number in range(len(raw.video(name).expressions))
        ]
        np.testing.assert_array_equal(raw.frames(name), converted.frames(name))
        np.testing.assert_array_equal(raw.labels(name), converted.labels(name))
        for item in raw.video(name).expressions:
            np.testing.assert_array_equal(raw.masks(name, item), converted.masks(name, item))


@pytest.mark.parametrize("root", [RAW, CONVERTED], ids=["raw", "converted"])
def test_masks_give_the_published_figures_of_stored_answers(root: Path) -> None:
    """Every frame of every sentence."""
    published = expected("ref_davis17")["per_expression"]["per_frame"]
    found = frame_ious(RefDavis17(root, "valid"), DATA_SETS / "ref_davis17/predictions_per_expression")
    assert set(found) == set(published)
    for key, ious in found.items():
        np.testing.assert_allclose(ious, published[key]["J"], atol=1e-9, err_msg=key)


def test_void_stays_in_labels_and_is_no_object() -> None:
    """What the toolkit's figures need, and what sentences mean."""
    data = RefDavis17(RAW, "valid")
    labels = data.labels("motorbike", [0, 3])
    assert labels.shape == (2, *data.size("motorbike"))
    assert set(np.unique(labels)) == {0, 1, 2, 3, 255}
    for expression in data.video("motorbike").expressions:
        (mask,) = data.masks("motorbike", expression, [0, 3])
        np.testing.assert_array_equal(mask, labels == int(*expression.target_ids))
    with pytest.raises(ValueError, match="read-only"):
        labels[:] = 0


def test_sentences_are_read_as_they_are_written(raw: Path) -> None:
    """Latin-1, quotes inside, white space; ids in the order of text; a line ends where a file's line does."""
    data = RefDavis17(raw, "train")
    texts = [item.text for item in data.video("dogs-scale").expressions]
    assert texts[2] == 'the "blue" dog caf\u00e9'
    assert texts[3].endswith("isn\u0092t moving")
    assert texts[5] == "an old, rusty scale moving to the right"
    for annotator, name in enumerate(("1", "1_full_video", "2", "2_full_video")):
        path = raw / TEXTS / f"Davis17_annot{name}.txt"
        lines = [b'classic-car 10 "ten\x85 "%d""' % annotator, b'classic-car\t2   "two\xa0\t%d"  ' % annotator]
        if annotator < 2:
            lines = [line.decode("latin-1").encode() for line in lines]
        path.write_bytes(b"\r\n".join([*lines, b"", b"other 1 'x'", path.read_bytes()]))
    found = RefDavis17(raw, "train").video("classic-car").expressions
    assert [item.target_ids for item in found] == [(target,) for target in ("1", "10", "2") for _ in range(4)]
    assert [item.text for item in found[4:6]] == ['ten "0"', 'ten "1"']
    assert [item.text for item in found[8:]] == ["two 0", "two 1", "two 2", "two 3"]


def test_objects_that_annotators_do_not_share_are_paired_by_order_and_told(
    raw: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As the published conversion does: what is over is left out."""
    path = raw / TEXTS / "Davis17_annot1.txt"
    path.write_text(path.read_text().replace('dogs-scale 1 "the small dog"\n', ""))
    with caplog.at_level(logging.WARNING):
        found = RefDavis17(raw, "train").video("dogs-scale").expressions
    assert [item.target_ids for item in found] == [("2",), ("1",), ("1",), ("1",)]
    assert "do not speak of the same objects of dogs-scale" in caplog.text


def test_converted_files_beside_raw_ones_are_read(raw: Path) -> None:
    """The script that converts moves the pictures away."""
    shutil.copytree(CONVERTED, raw, dirs_exist_ok=True)
    shutil.rmtree(raw / "DAVIS/JPEGImages")
    assert RefDavis17(raw, "valid").frames("goldfish").shape[0] == 4


def test_missing_files_are_named(raw: Path, tmp_path: Path) -> None:
    """Of either layout."""
    with pytest.raises(ConfigError, match=r"is missing; expected the root of Ref-DAVIS17: DAVIS and davis_text"):
        RefDavis17(tmp_path, "valid")
    data = RefDavis17(raw, "valid")
    (raw / "DAVIS/Annotations_unsupervised/480p/goldfish/00002.png").unlink()
    with pytest.raises(ConfigError, match=r"Annotations_unsupervised/480p/goldfish/00002\.png is missing"):
        data.labels("goldfish")
    shutil.rmtree(raw / "DAVIS/JPEGImages/480p/goldfish")
    with pytest.raises(ConfigError, match=r"480p/goldfish cannot be read"):
        RefDavis17(raw, "valid")
    (raw / TEXTS / "Davis17_annot2.txt").unlink()
    with pytest.raises(ConfigError, match=r"Davis17_annot2\.txt is missing"):
        RefDavis17(raw, "valid")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("DAVIS/ImageSets/2017/val.txt", b"../up\n", r"val\.txt has the line '\.\./up'"),
        ("DAVIS/ImageSets/2017/val.txt", b"unsaid\n", r"Davis17_annot1\.txt has no sentence about 'unsaid'"),
        (f"{TEXTS}/Davis17_annot1.txt", b"\xff\xfe", r"Davis17_annot1\.txt cannot be read as utf-8"),
        (f"{TEXTS}/Davis17_annot2.txt", b"goldfish", r"annot2\.txt, line 1 is 'goldfish'; expected a video, the"),
        (f"{TEXTS}/Davis17_annot2.txt", b'goldfish 0 "x"', r"annot2\.txt, line 1 is .*; expected a video, the"),
        (f"{TEXTS}/Davis17_annot2.txt", b'goldfish 255 "x"', r"annot2\.txt, line 1 is .*; expected a video, the"),
        (f"{TEXTS}/Davis17_annot2.txt", b"goldfish 1 " + b"x" * 5000, r"annot2\.txt, line 1 has more than 1000"),
    ],
)
def test_text_that_makes_no_sense_is_refused(raw: Path, file: str, content: bytes, message: str) -> None:
    """With the name of the file and the line."""
    (raw / file).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        RefDavis17(raw, "valid")


def test_label_picture_in_colours_is_refused(raw: Path) -> None:
    """With its name."""
    path = raw / "DAVIS/Annotations_unsupervised/480p/goldfish/00001.png"
    Image.open(path).convert("RGB").save(path)
    with pytest.raises(ConfigError, match=r"goldfish/00001\.png has the mode RGB"):
        RefDavis17(raw, "valid").labels("goldfish")
