"""Ref-YouTube-VOS: splits, targets, label pictures; truth of `valid` from a folder; folders from anywhere."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssa_stream.data import KINDS, DataPlace, ReferringData, open_data
from ssa_stream.data.ref_youtube_vos import RefYoutubeVos
from ssa_stream.errors import ConfigError
from tests.support.data_sets import DATA_SETS, ROOTS, expected
from tests.support.stored_answers import frame_ious

ROOT = ROOTS["ref-youtube-vos"]
TRUTH = DATA_SETS / "ref_youtube_vos/extra_valid_truth"


def _open(split: str, truth: Path | None = None) -> ReferringData:
    return open_data(DataPlace(KINDS["ref-youtube-vos"], ROOT), split, truth)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy that tests make bad."""
    shutil.copytree(ROOT, tmp_path / "root")
    return tmp_path / "root"


def _edit(path: Path, keys: list[str], value: Any) -> None:
    content = inner = json.loads(path.read_text())
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(content))


def test_each_split_has_its_videos() -> None:
    """Those of test, which the file of valid lists too, are not of valid."""
    assert list(_open("train").videos) == ["00mini408d", "00mini83b5", "00mini5fba"]
    assert sorted(_open("valid").videos) == expected("ref_youtube_vos")["valid_videos_after_removing_test"]
    assert list(_open("test").videos) == ["t0test0001", "t0test0002"]
    for split in ("train", "valid", "test"):
        data = _open(split)
        for name in data.videos:
            assert data.frames(name).shape == (len(data.video(name).frames), *data.size(name), 3)


def test_objects_are_values_of_the_label_pictures() -> None:
    """Ids with a gap, a video that starts late, an object that is absent at first; sentences as they are written."""
    data = _open("train")
    late = data.video("00mini83b5")
    assert late.frames == ("00010", "00015", "00020", "00025")
    assert [expression.target_ids for expression in late.expressions] == [("1",), ("3",)]
    second = data.video("00mini408d").expressions[1]
    assert second.text == 'the "second" penguin,  standing'
    masks = data.masks("00mini408d", second)
    assert masks.shape == (1, 6, 48, 64)
    assert masks.sum((0, 2, 3)).tolist() == [0, 0, 328, 332, 330, 334]
    np.testing.assert_array_equal(data.masks("00mini408d", second, [4, 2]), masks[:, [4, 2]])
    assert len(pickle.dumps(data)) < 3000  # without what was read last, which has 18 kB


@pytest.mark.parametrize(("split", "truth"), [("train", None), ("valid", TRUTH)])
def test_masks_give_the_published_figures_of_stored_answers(split: str, truth: Path | None) -> None:
    """Every frame of every sentence."""
    published = expected("ref_youtube_vos")["results"][split]["per_frame"]
    found = frame_ious(_open(split, truth), DATA_SETS / f"ref_youtube_vos/predictions/{split}/Annotations")
    assert set(found) == set(published)
    for key, ious in found.items():
        np.testing.assert_allclose(ious, published[key]["J"], atol=1e-9, err_msg=key)


def test_targets_that_are_not_released_are_told(root: Path) -> None:
    """Unless they lie in the folder of the split, with a file of their own or in that of the sentences."""
    data = _open("valid")
    (expression, *_) = data.video("0amini7fde").expressions
    assert (expression.has_targets, expression.target_ids) == (False, ())
    with pytest.raises(ConfigError, match=r"gives no obj_id for 'a skateboard' of '0amini7fde': no masks"):
        data.masks("0amini7fde", expression)
    given = _open("valid", TRUTH)
    shutil.copytree(TRUTH, root / "valid", dirs_exist_ok=True)
    _expect_equal(RefYoutubeVos(root, "valid"), given)
    (root / "valid/meta_expressions_with_obj_id.json").replace(root / "meta_expressions/valid/meta_expressions.json")
    _expect_equal(RefYoutubeVos(root, "valid"), given)


def _expect_equal(found: ReferringData, given: ReferringData) -> None:
    """Videos in any order."""
    assert set(found.videos) == set(given.videos)
    for name in found.videos:
        assert found.video(name) == given.video(name)
        for item in found.video(name).expressions:
            np.testing.assert_array_equal(found.masks(name, item), given.masks(name, item))


def test_truth_of_another_release_is_refused(root: Path, tmp_path: Path) -> None:
    """Of other sentences, or of some only; and where it has no place."""
    truth = tmp_path / "truth"
    shutil.copytree(TRUTH, truth)
    path = truth / "meta_expressions_with_obj_id.json"
    _edit(path, ["videos", "00mini4f0a", "expressions", "1", "exp"], "a dog")
    with pytest.raises(ConfigError, match=r"another text for expression 1 of video '00mini4f0a'"):
        RefYoutubeVos(root, "valid", truth)
    _edit(path, ["videos", "00mini4f0a", "expressions"], {})
    with pytest.raises(ConfigError, match=r"no obj_id for expression 0 of video '00mini4f0a'"):
        RefYoutubeVos(root, "valid", truth)
    with pytest.raises(ConfigError, match=r"with_obj_id.json is missing; expected a folder of the truth"):
        RefYoutubeVos(root, "valid", tmp_path)
    with pytest.raises(ConfigError, match=r"MeViS takes none"):
        open_data(DataPlace(KINDS["mevis"], ROOTS["mevis"]), "valid", TRUTH)


def test_missing_files_are_named(root: Path) -> None:
    """Sentences, those of test beside valid, pictures, label pictures."""
    (root / "meta_expressions/test/meta_expressions.json").unlink()
    with pytest.raises(ConfigError, match=r"test/meta_expressions.json is missing; .*valid are listed with"):
        RefYoutubeVos(root, "valid")
    data = RefYoutubeVos(root, "train")
    (root / "train/JPEGImages/00mini5fba/00005.jpg").unlink()
    (root / "train/Annotations/00mini5fba/00005.png").unlink()
    with pytest.raises(ConfigError, match=r"00mini5fba/00005.jpg is missing"):
        data.frames("00mini5fba")
    with pytest.raises(ConfigError, match=r"00mini5fba/00005.png is missing"):
        data.masks("00mini5fba", data.video("00mini5fba").expressions[0])
    with pytest.raises(ConfigError, match="has no video 'nowhere'"):
        data.video("nowhere")
    with pytest.raises(ConfigError, match="frame 2 of video"):
        data.labels("00mini5fba", [2])


def _first_masks(data: RefYoutubeVos) -> None:
    """Read the masks of the sentence that tests break: without a usable target it leaves the others be."""
    data.masks("00mini5fba", data.video("00mini5fba").expressions[0])


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["videos"], {"../up": {"frames": ["a"], "expressions": {}}}, r"videos has the name '\.\./up'"),
        (["videos", "00mini5fba", "frames"], ["../../a"], r"frames is \['\.\./\.\./a'\]"),
        (["videos", "00mini5fba", "expressions"], {"../0": {"exp": "x", "obj_id": "1"}}, "is no usual id"),
        (["videos", "00mini5fba", "expressions", "0", "obj_id"], "0", "obj_id is '0'; expected the number"),
        (["videos", "00mini5fba", "expressions", "0", "obj_id"], 255, "obj_id is 255; expected the number"),
        (["videos", "00mini5fba", "expressions", "0", "obj_id"], ["1"], "obj_id is .* expected the number"),
        (["videos", "00mini5fba", "expressions", "0", "obj_id"], True, "obj_id is True; expected the number"),
    ],
)
def test_sentences_that_make_no_sense_are_refused(root: Path, keys: list[str], value: object, message: str) -> None:
    """With the name of the file; no name leads out of the folder."""
    _edit(root / "meta_expressions/train/meta_expressions.json", keys, value)
    with pytest.raises(ConfigError, match=rf"train/meta_expressions\.json.*{message}"):
        _first_masks(RefYoutubeVos(root, "train"))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("colours", "has the mode RGB; expected numbers of objects"),
        ("size", "has 10x10 pixels; expected 64x48, the size of the video's frames"),
        ("text", "cannot be read as a picture: it is no JPEG or PNG picture"),
        ("jpeg-of-other-size", "has 64x48 pixels; expected 10x10"),
    ],
)
def test_label_picture_that_makes_no_sense_is_refused(root: Path, what: str, message: str) -> None:
    """With its name."""
    path = root / "train/Annotations/00mini5fba/00000.png"
    match what:
        case "colours":
            Image.open(path).convert("RGB").save(path)
        case "size":
            Image.new("L", (10, 10)).save(path)
        case "text":
            path.write_text("no picture")
        case "jpeg-of-other-size":
            Image.new("RGB", (10, 10)).save(root / "train/JPEGImages/00mini5fba/00000.jpg")
    data = RefYoutubeVos(root, "train")
    with pytest.raises(ConfigError, match=rf"00mini5fba/00000\.png {message}"):
        data.masks("00mini5fba", data.video("00mini5fba").expressions[0])
