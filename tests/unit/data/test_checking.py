"""What is there of a data set, what is missing, and what cannot be read."""

import json
import os
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ssa_stream.cli.views.data_tables import print_check
from ssa_stream.data import KINDS, DataPlace, ReferringExpression, ReferringVideo
from ssa_stream.data.checking import DataCheck, check_data
from ssa_stream.data.published_counts import ALL_SPLITS, PUBLISHED
from ssa_stream.data.trial_reading import read_videos
from ssa_stream.errors import ConfigError
from tests.support.data_sets import ROOTS

COUNTED = {
    "a2d-sentences": {"train": (2, 4, 3, 3, 7), "test": (4, 7, 7, 13, 19)},
    "jhmdb-sentences": {"test": (4, 4, 4, 12, 12)},
    "mevis": {"train": (1, 2, 2, 5, 0), "valid_u": (4, 11, 8, 22, 0), "valid": (1, 2, 0, 0, 0)},
    "mevis-v2": {"train": (1, 2, 1, 4, 0), "valid_u": (3, 9, 6, 15, 0), "valid": (1, 2, 0, 0, 0)},
    "ref-youtube-vos": {"train": (3, 6, 5, 12, 0), "valid": (3, 7, 0, 0, 0), "test": (2, 3, 0, 0, 0)},
    "ref-davis17-raw": {"train": (2, 12, 3, 6, 0), "valid": (4, 36, 9, 20, 0)},
    "ref-davis17-converted": {"train": (2, 12, 3, 6, 0), "valid": (4, 36, 9, 20, 0)},
    "refcocog": {
        "train": (3, 9, 4, 3, 9),
        "val": (3, 5, 3, 3, 5),
        "test": (2, 6, 3, 2, 6),
        "google-train": (4, 13, 5, 4, 13),
        "google-val": (5, 11, 5, 5, 11),
    },
}
"""Videos, sentences, objects, annotated frames and samples of the miniature sets."""


def _place(name: str) -> DataPlace:
    kind = next(kind for kind in sorted(KINDS, key=len, reverse=True) if name.startswith(kind))
    return DataPlace(KINDS[kind], ROOTS["refcoco" if name.startswith("refcoco") else name])


@pytest.mark.parametrize("name", COUNTED)
def test_a_whole_data_set_is_counted_and_usable(name: str) -> None:
    """Every public one, all of it read."""
    check = check_data(_place(name), reads_all=True, workers=1)
    assert check.is_usable
    assert {
        one.split: (one.videos, one.sentences, one.objects, one.annotated_frames, one.samples) for one in check.splits
    } == COUNTED[name]
    assert {one.state for one in check.splits} == {"there"}
    assert all(one.read_videos == one.videos and not one.problems for one in check.splits)
    assert check.data == ("mevis version 2" if name == "mevis-v2" else _place(name).kind.name)


def test_sentences_without_targets_and_with_hidden_ones_are_told_apart() -> None:
    """The first mean nothing in their video, of the others nobody outside knows."""
    counts = {one.split: (one.without_targets, one.hidden_targets) for one in check_data(_place("mevis-v2")).splits}
    assert counts == {"train": (1, 0), "valid_u": (4, 0), "valid": (0, 2)}


def test_published_counts_stand_beside_those_that_were_found() -> None:
    """Of splits that were looked at; the lists of A2D-Sentences have entries that are not read."""
    found = {(one.split, one.what): (one.found, one.published) for one in check_data(_place("a2d-sentences")).counts}
    assert found == {("all", "listed_videos"): (8, 3782), ("all", "listed_sentences"): (12, 6655)}
    assert not check_data(_place("a2d-sentences"), "test").counts
    found = {(one.split, one.what): (one.found, one.published) for one in check_data(_place("refcocog")).counts}
    assert found["val+test", "sentences"] == (11, 14498)
    assert found["google-val", "videos"] == (5, 4650)


def test_published_counts_are_of_splits_and_counts_that_there_are() -> None:
    """And each names its source."""
    for name, counts in PUBLISHED.items():
        kind = KINDS[name.removesuffix(" version 2")]
        for split, what, number, source in counts:
            assert split == ALL_SPLITS or set(split.split("+")) <= set(kind.splits)
            assert hasattr(check_data(_place("mevis"), "train").splits[0], what)
            assert number > 0
            assert source
    assert {name.removesuffix(" version 2") for name in PUBLISHED} == set(KINDS)


@pytest.mark.parametrize(
    ("name", "removed", "split"),
    [
        ("mevis", ("train",), "train"),
        ("ref-youtube-vos", ("train", "meta_expressions/train"), "train"),
        ("ref-davis17-raw", ("DAVIS/ImageSets/2017/train.txt",), "train"),
        ("ref-davis17-converted", ("train", "meta_expressions/train"), "train"),
        ("refcocog", ("coco/refcocog/refs(google).p",), "google-train"),
    ],
)
def test_a_missing_split_is_told_and_is_no_failure_unless_it_was_asked_for(
    tmp_path: Path, name: str, removed: Sequence[str], split: str
) -> None:
    """Most people download what they need."""
    place = DataPlace(_place(name).kind, tmp_path / "set")
    shutil.copytree(_place(name).root, place.root)
    for part in removed:
        path = place.root / part
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    check = check_data(place)
    states = {one.split: one.state for one in check.splits}
    assert states[split] == "missing"
    assert "missing" in (text := next(one.text for one in check.splits if one.split == split)) or "no file" in text
    assert "there" in states.values()
    assert check.is_usable
    assert not check_data(place, split).is_usable


def test_a_folder_without_any_split_is_not_usable(tmp_path: Path) -> None:
    """All are missing."""
    check = check_data(DataPlace(KINDS["ref-youtube-vos"], tmp_path))
    assert [one.state for one in check.splits] == ["missing"] * 3
    assert not check.is_usable
    with pytest.raises(ConfigError, match="has no split 'dev'"):
        check_data(DataPlace(KINDS["ref-youtube-vos"], tmp_path), "dev")


@pytest.fixture
def damaged(tmp_path: Path) -> DataPlace:
    """MeViS without a picture, with a broken one and with a mask of another size, all within one video."""
    place = DataPlace(KINDS["mevis"], tmp_path / "mevis")
    shutil.copytree(ROOTS["mevis"] / "valid_u", place.root / "valid_u")
    pictures = place.root / "valid_u/JPEGImages/5e0d7c31b2a9"
    (pictures / "00001.jpg").unlink()
    (pictures / "00004.jpg").write_bytes(b"no picture")
    masks = place.root / "valid_u/mask_dict.json"
    content = json.loads(masks.read_text())
    content["54"][3]["size"] = [10, 10]
    masks.write_text(json.dumps(content))
    return place


def _problems(check: DataCheck) -> list[tuple[str, str]]:
    return [(one.about, one.text) for one in check.splits[0].problems]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_problem_is_found_with_its_file_when_all_is_read(damaged: DataPlace, workers: int) -> None:
    """Reading goes on after each, in this process and in others alike."""
    heard: list[tuple[str, int, int]] = []
    check = check_data(
        damaged, "valid_u", reads_all=True, workers=workers, on_progress=lambda *told: heard.append(told)
    )
    assert not check.is_usable
    problems = _problems(check)
    assert check.splits[0].num_problems == len(problems)
    assert [(about, "00001.jpg is missing" in text) for about, text in problems[:2]] == [
        ("5e0d7c31b2a9", True),
        ("5e0d7c31b2a9", False),
    ]
    assert "00004.jpg cannot be read as a picture" in problems[1][1]
    assert [about for about, _ in problems[2:]] == ["5e0d7c31b2a9/2"]  # and not again for 3, of the same object
    assert all("mask_dict.json: 54[3].size is [10, 10]" in text for _, text in problems[2:])
    assert [done for _, done, _ in heard] == [1, 2, 3, 4]
    assert {(split, total) for split, _, total in heard} == {("valid_u", 4)}


def test_a_sample_reads_the_first_and_the_last_frame_of_videos(damaged: DataPlace) -> None:
    """It is quick, and does not see all."""
    pictures = damaged.root / "valid_u/JPEGImages/5e0d7c31b2a9"
    (pictures / "00005.jpg").unlink()
    problems = _problems(check_data(damaged, "valid_u"))
    assert [text.partition(" is missing")[0].rpartition("/")[2] for about, text in problems if "/" not in about] == [
        "00005.jpg"
    ]


def test_a_split_that_cannot_be_opened_is_unreadable(damaged: DataPlace) -> None:
    """That is a failure, though others can be read."""
    (damaged.root / "train").mkdir()
    (damaged.root / "train/meta_expressions.json").write_text("{")
    check = check_data(damaged)
    assert [one.state for one in check.splits] == ["unreadable", "there", "missing"]
    assert "cannot be read as JSON" in check.splits[0].text
    assert not check.is_usable


class _Odd:
    """A video whose masks have another size than its frames, and one of which nothing can be told."""

    videos = ("odd", "lost")

    def video(self, name: str) -> ReferringVideo:
        """One with two frames."""
        return ReferringVideo(name, ("0", "1"), (ReferringExpression("7", "it", ("1",), annotated=(1,)),))

    def frames(self, name: str, indices: Sequence[int] | None = None) -> npt.NDArray[np.uint8]:
        """Of the right shape."""
        return np.zeros((len(indices or (0, 1)), 4, 6, 3), np.uint8)

    def masks(
        self, name: str, expression: ReferringExpression, indices: Sequence[int] | None = None
    ) -> npt.NDArray[np.bool_]:
        """Transposed."""
        return np.zeros((1, len(indices or (1,)), 6, 4), np.bool_)

    def size(self, name: str) -> tuple[int, int]:
        """Of one of them."""
        if name == "lost":
            raise ConfigError("lost.mp4 is missing")
        return 4, 6


def test_arrays_of_another_shape_than_promised_are_problems() -> None:
    """A reader that is wrong is found out, too."""
    read: list[Any] = [found for _, _, found in read_videos(_Odd(), _Odd.videos, reads_all=True, workers=1)]
    assert [(one.about, one.text) for one in read[0]] == [
        ("odd/7", "an array of (1, 1, 6, 4) came; expected (1, 1, 4, 6)")
    ]
    assert [(one.about, one.text) for one in read[1]] == [("lost", "lost.mp4 is missing")]


@pytest.mark.parametrize("reads_all", [True, False])
def test_a_first_frame_that_cannot_be_read_hides_no_other(tmp_path: Path, reads_all: bool) -> None:
    """Whoever repairs it would find the next one only then; each file is named once."""
    place = DataPlace(KINDS["mevis"], tmp_path / "mevis")
    shutil.copytree(ROOTS["mevis"] / "valid_u", place.root / "valid_u")
    folder = place.root / "valid_u/JPEGImages/5e0d7c31b2a9"
    first, *_, last = pictures = sorted(folder.glob("*.jpg"))
    for picture in (first, last):
        picture.unlink()
    os.mkfifo(first)
    last.symlink_to("/dev/zero")
    texts = [text for _, text in _problems(check_data(place, "valid_u", reads_all=reads_all, workers=1))]
    assert len(pictures) > 2
    assert [[str(picture) in text for text in texts].count(True) for picture in (first, last)] == [1, 1]
    assert all("it is a pipe or a device" in text for text in texts)


def test_packed_pictures_that_are_missing_are_all_named(tmp_path: Path) -> None:
    """A link in the tar file is none of its pictures, and neither is one of another name."""
    place = DataPlace(KINDS["mevis"], tmp_path / "mevis")
    shutil.copytree(ROOTS["mevis"] / "valid_u", place.root / "valid_u")
    folder = place.root / "valid_u/JPEGImages"
    first, second, *_, last = sorted((folder / "5e0d7c31b2a9").glob("*.jpg"))
    first.unlink()
    first.symlink_to(second.name)
    second.rename(second.with_name("x.jpg"))
    last.rename(last.with_name("y.jpg"))
    with tarfile.open(folder.with_suffix(".tar"), "w") as tar:
        tar.add(folder, "JPEGImages")
    shutil.rmtree(folder)
    texts = [text for _, text in _problems(check_data(place, "valid_u", reads_all=True, workers=1))]
    assert len(texts) == 3
    assert all(any(path.name in text for text in texts) for path in (first, second, last))


def test_a_broken_mask_file_is_named_once_and_a_video_that_is_left_out_is_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """JHMDB-Sentences has one file for all frames; of A2D-Sentences all broken files of a video are named."""
    place = DataPlace(KINDS["jhmdb-sentences"], tmp_path / "jhmdb")
    shutil.copytree(ROOTS["jhmdb-sentences"], place.root)
    broken = next(place.root.rglob("*.mat"))
    broken.write_bytes(b"no masks")
    check = check_data(place, reads_all=True, workers=1).splits[0]
    assert check.num_problems == 1
    assert str(broken) in check.problems[0].text
    place = DataPlace(KINDS["a2d-sentences"], tmp_path / "a2d")
    shutil.copytree(ROOTS["a2d-sentences"], place.root)
    folder = next(path for path in place.root.rglob("*") if len(list(path.glob("*.h5"))) > 1)
    two = sorted(folder.glob("*.h5"))[:2]
    for path in two:
        path.write_bytes(b"no masks")
    checks = check_data(place).splits
    found = next(check for check in checks if check.num_problems)
    whole = next(check for check in check_data(_place("a2d-sentences")).splits if check.split == found.split)
    assert all(str(path) in found.problems[0].text for path in two)
    assert (found.left_out_videos, found.videos) == (1, whole.videos - 1)
    print_check(DataCheck(data="a2d", root="r", splits=tuple(checks), counts=(), is_usable=False))
    assert f"{found.split}: 1 of {whole.videos} videos are left out of all counts" in capfd.readouterr().out


def test_counts_that_differ_are_told_in_the_last_line(capfd: pytest.CaptureFixture[str]) -> None:
    """Warnings are on another stream, so that the line may stand among them."""
    print_check(check_data(_place("a2d-sentences")))
    last = capfd.readouterr().out.splitlines()[-1]
    assert "without a problem; but 1 warnings tell of counts that differ" in last
