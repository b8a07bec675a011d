"""JHMDB-Sentences as published: the frozen list decides, and masks are those of the published truth."""

import json
import os
import shutil
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from typer.testing import CliRunner

from ssa_stream.cli.main import app
from ssa_stream.data import puppet_masks
from ssa_stream.data.jhmdb_list import derive_jhmdb_list
from ssa_stream.data.jhmdb_sentences import JHMDB_LIST, JhmdbSentences
from ssa_stream.data.kinds import KINDS, DataPlace, open_data
from ssa_stream.errors import ConfigError
from ssa_stream.run_lengths import decode_counts
from tests.support.data_sets import ROOTS, expected

_ROOT = ROOTS["jhmdb-sentences"]
_BOW = "MiniArcher_shoot_bow_u_nm_np1_le_goo_1"
_KICK = "MiniKick_-_yard_kick_ball_f_cm_np1_ba_bad_4"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy that tests change, under another name."""
    return shutil.copytree(_ROOT, tmp_path / "jhmdb copy")


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A folder with the list alone."""
    shutil.copy(_ROOT / JHMDB_LIST, tmp_path)
    return tmp_path


def test_masks_are_those_of_the_published_truth_pixel_by_pixel() -> None:
    """And the samples are all that it has."""
    data = open_data(DataPlace(KINDS["jhmdb-sentences"], _ROOT))
    truth = json.loads((_ROOT / "jhmdb_sentences_gt_annotations_in_coco_format.json").read_text("utf-8"))
    published = {entry["image_id"]: entry["segmentation"] for entry in truth["annotations"]}
    seen = []
    for name in data.videos:
        (expression,) = data.video(name).expressions
        masks = data.masks(name, expression)
        assert masks.shape == (1, len(expression.sample_ids), *data.size(name))
        for sample, mask in zip(expression.sample_ids, masks[0], strict=True):
            rle = published[sample]
            np.testing.assert_array_equal(mask, decode_counts(rle["counts"], tuple(rle["size"])))
            seen.append(sample)
    assert seen == list(published)
    assert len(seen) == expected("jhmdb_sentences")["n_samples"]


def test_usable_frames_are_those_of_the_list() -> None:
    """A video of ten pictures and seven masks has seven frames; words are lower-cased, their spaces single."""
    data = JhmdbSentences(_ROOT)
    assert len(list((_ROOT / "Rename_Images/kick_ball" / _KICK).iterdir())) == 10
    video = data.video(_KICK)
    assert video.frames == tuple(f"{number:05d}" for number in range(1, 8))
    assert video.expressions[0].annotated == (1, 2, 6)
    texts = [data.video(name).expressions[0].text for name in data.videos]
    assert texts == [
        "someone in grey pulling up a bar",
        "anna is kicking a square ball in a tiny stadium",
        "person in a striped vest waving one hand",
        'a man, in "green", shooting a bow',
    ]
    assert data.listed_samples == 12


def test_frames_are_read_by_index() -> None:
    """Index 0 is 00001.png; one behind the usable frames is refused though its picture is there."""
    data = JhmdbSentences(_ROOT)
    pictures = [
        np.asarray(Image.open(_ROOT / f"Rename_Images/kick_ball/{_KICK}/{number:05d}.png")) for number in range(1, 8)
    ]
    np.testing.assert_array_equal(data.frames(_KICK), np.stack(pictures))
    np.testing.assert_array_equal(data.frames(_KICK, [6, 0, 6]), np.stack([pictures[at] for at in (6, 0, 6)]))
    for read in (data.frames, lambda name, at: data.masks(name, data.video(name).expressions[0], at)):
        with pytest.raises(ConfigError, match="frame"):
            read(_KICK, [7])


def test_mask_of_any_usable_frame_is_read(folder: Path) -> None:
    """Also of frames that are not in the list; a single mask has no third axis in MATLAB's files."""
    data = JhmdbSentences(folder)
    expression = data.video(_BOW).expressions[0]
    every = data.masks(_BOW, expression, range(5))
    assert every.shape == (1, 5, 64, 48)
    np.testing.assert_array_equal(every[:, :3], data.masks(_BOW, expression))
    savemat(_masks(folder), {"part_mask": every[0, 0].astype(np.uint8), "other": np.zeros((2, 2))})
    np.testing.assert_array_equal(data.masks(_BOW, expression, [0]), every[:, :1])
    with pytest.raises(ConfigError, match=r"puppet_mask\.mat has 1 masks, .* says that 5 can be used; .* frame 2"):
        data.masks(_BOW, expression)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", [np.uint8, np.bool_])
def test_masks_are_found_among_other_variables(folder: Path, compressed: bool, kind: type) -> None:
    """As scipy writes them, which is what the published loader reads with."""
    masks = np.random.default_rng(0).random((64, 48, 5)) < 0.5
    content = {"a": 1.5, "text": "part_mask", "cells": {"part_mask": masks}, "part_mask": masks.astype(kind), "z": [1]}
    savemat(_masks(folder), content, do_compression=compressed)
    data = JhmdbSentences(folder)
    read = data.masks(_BOW, data.video(_BOW).expressions[0], range(5))
    np.testing.assert_array_equal(read[0], masks.transpose(2, 0, 1))


def test_missing_list_is_never_drawn_anew(folder: Path) -> None:
    """The message says where it comes from and what makes another; reading makes none."""
    (folder / JHMDB_LIST).unlink()
    with pytest.raises(ConfigError, match=r"metadata\.json is missing; expected the frozen list .* MTTR.*jhmdb-list"):
        JhmdbSentences(folder)
    assert not (folder / JHMDB_LIST).exists()


def test_list_is_derived_when_asked_for(folder: Path) -> None:
    """Three frames a video, of the usable ones; twice the same; never in place of another list."""
    with pytest.raises(ConfigError, match="is there already"):
        derive_jhmdb_list(folder)
    frozen = JhmdbSentences(folder)
    contents = []
    for _ in range(2):
        (folder / JHMDB_LIST).unlink()
        assert derive_jhmdb_list(folder) == 12
        contents.append((folder / JHMDB_LIST).read_bytes())
    assert contents[0] == contents[1]
    derived = JhmdbSentences(folder)
    assert derived.videos == frozen.videos
    for name in derived.videos:
        mine, theirs = derived.video(name), frozen.video(name)
        assert (mine.frames, mine.expressions[0].text) == (theirs.frames, theirs.expressions[0].text)
        assert derived.masks(name, mine.expressions[0]).shape[1] == 3
    assert derived.video(_KICK).expressions[0].annotated == (1, 3, 5)


def test_list_is_not_derived_from_a_part_of_the_set(folder: Path) -> None:
    """A video without a folder, one without its first picture, one that is there twice."""
    (folder / JHMDB_LIST).unlink()
    bow = folder / "Rename_Images/shoot_bow" / _BOW
    again = shutil.copytree(bow, folder / "Rename_Images/wave" / _BOW)
    with pytest.raises(ConfigError, match=f"has '{_BOW}' in"):
        derive_jhmdb_list(folder)
    shutil.rmtree(again)
    (bow / "00001.png").unlink()
    with pytest.raises(ConfigError, match=r"has no 00001\.png"):
        derive_jhmdb_list(folder)
    shutil.rmtree(bow)
    with pytest.raises(ConfigError, match=rf"annotation\.txt, line 5: no folder Rename_Images/ACTION/{_BOW}"):
        derive_jhmdb_list(folder)
    assert not (folder / JHMDB_LIST).exists()


def test_command_derives_the_list_and_says_what_it_is_not(folder: Path) -> None:
    """Nobody takes figures on it for those of the frozen list."""
    (folder / JHMDB_LIST).unlink()
    done = CliRunner().invoke(app, ["data", "jhmdb-list", str(folder)])
    assert done.exit_code == 0
    assert "listed 12 samples" in " ".join(done.output.split())
    assert "cannot be compared with published ones" in " ".join(done.output.split())
    assert JhmdbSentences(folder).listed_samples == 12


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (0, "../x", r"row 9: the video is '\.\./x'"),
        (0, 7, r"row 9 is .*; expected \[video, picture"),
        (1, "/etc/Rename_Images/a/b/00001.png", "row 9: a path is '/etc"),
        (1, "./jhmdb_sentences/Rename_Images/../b/00001.png", "row 9: a path is"),
        (1, "./jhmdb_sentences/puppet_mask/a/b/00001.png", "row 9: a path is"),
        (1, f"./jhmdb_sentences/Rename_Images/shoot_bow/{_BOW}/00006.png", r"row 9: the picture is 00006\.png"),
        (1, f"./jhmdb_sentences/Rename_Images/shoot_bow/{_BOW}/00000.png", r"row 9: the picture is 00000\.png"),
        (1, f"./jhmdb_sentences/Rename_Images/shoot_bow/{_BOW}/1.png", r"row 9: the picture is 1\.png"),
        (1, f"./jhmdb_sentences/Rename_Images/shoot_bow/{_BOW}/00002.png", r"row 10: frame 2 of .* comes twice"),
        (1, "./jhmdb_sentences/Rename_Images/wave/other/00001.png", r"row 10: .* has other paths"),
        (2, "./puppet_mask/shoot_bow/x/puppet_mask.mat", "row 9: a path is"),
        (3, 0, "row 9: 0 usable frames"),
        (3, "5", "row 9: '5' usable frames"),
        (3, 10**9, "row 9: 1000000000 usable frames"),
        (3, 6, "row 10: .* has other paths, usable frames or words"),
        (4, " ", "row 9: a sentence of 0 characters"),
        (4, "other words", "row 10: .* has other paths, usable frames or words"),
    ],
)
def test_row_of_the_list_that_is_wrong_is_refused(listed: Path, column: int, value: Any, message: str) -> None:
    """No path leads out of the folder."""
    rows = json.loads((listed / JHMDB_LIST).read_text("utf-8"))
    rows[9][column] = value
    (listed / JHMDB_LIST).write_text(json.dumps(rows), "utf-8")
    with pytest.raises(ConfigError, match=message):
        JhmdbSentences(listed)


@pytest.mark.parametrize("content", ["{}", "[]", "[", "[[]]", "[null]"])
def test_list_that_is_none_is_refused(listed: Path, content: str) -> None:
    """With its name."""
    (listed / JHMDB_LIST).write_text(content)
    with pytest.raises(ConfigError, match=JHMDB_LIST.replace(".", r"\.")):
        JhmdbSentences(listed)


def test_list_may_have_rows_in_any_order_and_other_numbers_of_frames(listed: Path) -> None:
    """Frames ascend in what is read, whatever their rows do."""
    path = listed / JHMDB_LIST
    rows = json.loads(path.read_text("utf-8"))
    rows[9][0] = rows[10][0] = rows[11][0] = "-_other"
    path.write_text(json.dumps([rows[11], *rows[:9], rows[9]]), "utf-8")
    data = JhmdbSentences(listed)
    assert data.videos[0] == "-_other"
    assert data.video("-_other").expressions[0].sample_ids == ("v_-_other_f_1", "v_-_other_f_3")
    with pytest.raises(ConfigError, match="has no video"):
        data.video(_BOW)


def test_list_may_count_fewer_usable_frames_than_there_are(folder: Path) -> None:
    """What it says is used, for pictures and masks."""
    path = folder / JHMDB_LIST
    rows = json.loads(path.read_text("utf-8"))
    for row in rows[9:]:
        row[3] = 4
    path.write_text(json.dumps(rows), "utf-8")
    data = JhmdbSentences(folder)
    assert data.frames(_BOW).shape == (4, 64, 48, 3)
    with pytest.raises(ConfigError, match=r"says that 4 can be used; there is none for frame 5"):
        data.masks(_BOW, data.video(_BOW).expressions[0], [4])


def _matlab_73(path: Path) -> None:
    """MATLAB's HDF5 form: its own head before that of HDF5."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file["part_mask"] = np.zeros((5, 48, 64), np.uint8)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def _too_long(path: Path) -> None:
    """Numbers that go on behind the end of the file, as scipy believes."""
    savemat(path, {"part_mask": np.ones((4, 4, 4), np.uint8)})
    content = path.read_bytes()
    assert content[-72:-64] == struct.pack("<II", 2, 64)
    path.write_bytes(content[:-72] + struct.pack("<II", 2, 2**24) + content[-64:])


def _bomb(path: Path) -> None:
    """Ten million zeros in place of 256, after a head that announces 100 of them."""
    savemat(path, {"part_mask": np.ones((16, 16), np.uint8)})
    content = path.read_bytes()
    assert content.count(struct.pack("<II", 16, 16)) == 1
    body = content[128:].replace(struct.pack("<II", 16, 16), struct.pack("<II", 10_000, 10))
    packed = zlib.compress(body + bytes(10**7), 1)
    path.write_bytes(content[:128] + struct.pack("<II", 15, len(packed)) + packed)


def _edge(path: Path) -> None:
    """A mask that is too wide for a picture."""
    savemat(path, {"part_mask": np.zeros((1, 20_000, 1), np.uint8)}, do_compression=True)


def _pipe(path: Path) -> None:
    """Nobody writes to it."""
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_matlab_73, r"it is of MATLAB 7\.3; save it again with -v7"),
        (_too_long, r"puppet_mask\.mat cannot be read as a MATLAB file: it is cut off"),
        (_edge, "part_mask has 20000x1 pixels"),
        (lambda path: savemat(path, {"mask": np.zeros((2, 2), np.uint8)}), "has 0 variables part_mask"),
        (lambda path: savemat(path, {"part_mask": np.zeros((2, 2))}), r"part_mask is double \(2, 2\)"),
        (lambda path: savemat(path, {"part_mask": np.zeros((2, 0, 3), np.uint8)}), r"part_mask is uint8 \(2, 0, 3\)"),
        (lambda path: savemat(path, {"part_mask": np.zeros((2, 2, 2, 2), np.uint8)}), r"\(2, 2, 2, 2\)"),
        (lambda path: savemat(path, {"part_mask": {"a": 1}}), r"part_mask is struct"),
        (lambda path: path.write_bytes(b""), "cannot be read as a MATLAB file"),
        (lambda path: path.write_bytes(b"x" * 1000), "cannot be read as a MATLAB file"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "cannot be read as a MATLAB file"),
        (lambda path: path.unlink(), "is missing; expected the masks"),
        (_pipe, "it is a pipe or a device"),
    ],
)
def test_masks_that_are_wrong_are_refused_by_name(folder: Path, make: Callable[[Path], object], message: str) -> None:
    """Before they are read, where their head says so; nothing waits for a pipe."""
    make(_masks(folder))
    data = JhmdbSentences(folder)
    with pytest.raises(ConfigError, match=message) as caught:
        data.masks(_BOW, data.video(_BOW).expressions[0])
    assert "puppet_mask.mat" in str(caught.value)


def test_masks_are_inflated_as_far_as_their_head_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the ten million bytes that are there."""
    monkeypatch.setattr(puppet_masks, "_MOST_FILE_BYTES", 2**18)  # Python takes as much before it reads
    _bomb(_masks(folder))
    data = JhmdbSentences(folder)
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match=r"part_mask has 256 bytes of type 2; expected 100,000"):
            data.masks(_BOW, data.video(_BOW).expressions[0])
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_split_of_another_name_is_refused() -> None:
    """There is one."""
    with pytest.raises(ConfigError, match="no split 'train'; expected test"):
        JhmdbSentences(_ROOT, "train")


def _masks(folder: Path) -> Path:
    """The masks of one video."""
    return folder / "puppet_mask/shoot_bow" / _BOW / "puppet_mask.mat"
