"""MeViS as it is published, versions 1 and 2: counts, masks, pictures in a tar file, files of either version."""

import io
import json
import pickle
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from ssa_stream.data import (
    KINDS,
    DataPlace,
    MevisReader,
    ReferringData,
    ReferringExpression,
    mevis,
    mevis_masks,
    open_data,
    packed_pictures,
)
from ssa_stream.data.json_entries import JsonEntries
from ssa_stream.errors import ConfigError
from tests.support.data_sets import DATA_SETS, ROOTS, expected
from tests.support.stored_answers import frame_ious

PACKED = ROOTS["mevis-v2"] / "valid"


def _open(root: str, split: str) -> ReferringData:
    return open_data(DataPlace(KINDS["mevis"], ROOTS[root]), split)


@pytest.mark.parametrize(
    ("root", "split", "version", "videos", "expressions", "without_target"),
    [
        ("mevis", "train", 1, 1, 2, 0),
        ("mevis", "valid_u", 1, 4, 11, 0),
        ("mevis", "valid", 1, 1, 2, 0),
        ("mevis-v2", "train", 2, 1, 2, 1),
        ("mevis-v2", "valid_u", 2, 3, 9, 4),
        ("mevis-v2", "valid", 2, 1, 2, 0),
    ],
)
def test_each_split_has_its_videos_and_sentences(
    root: str, split: str, version: int, videos: int, expressions: int, without_target: int
) -> None:
    """Versions are told apart by their files; `valid` has no targets, some sentences of version 2 mean nothing."""
    data = _open(root, split)
    assert isinstance(data, MevisReader)
    found = [expression for name in data.videos for expression in data.video(name).expressions]
    assert (data.version, len(data.videos), len(found)) == (version, videos, expressions)
    assert all(expression.has_targets == (split != "valid") for expression in found)
    empty = [expression for expression in found if expression.has_targets and not expression.target_ids]
    assert len(empty) == without_target
    for name in data.videos:
        assert data.frames(name).shape == (len(data.video(name).frames), *data.size(name), 3)
        for expression in data.video(name).expressions:
            if expression in empty:
                assert data.masks(name, expression).shape == (0, *data.frames(name).shape[:3])


@pytest.mark.parametrize(("root", "folder"), [("mevis", "mevis"), ("mevis-v2", "mevis_v2")])
def test_masks_give_the_published_figures_of_stored_answers(root: str, folder: str) -> None:
    """Every frame of every sentence; so the union of overlapping objects, absent objects and empty truth."""
    published = expected(folder)["results"]["valid_u"]["per_frame"]
    found = frame_ious(_open(root, "valid_u"), DATA_SETS / folder / "predictions/valid_u")
    assert set(found) == set(published)
    for key, ious in found.items():
        np.testing.assert_allclose(ious, published[key]["J"], atol=1e-9, err_msg=key)


def test_ids_may_be_text_and_unknown_keys_are_passed_over(tmp_path: Path) -> None:
    """In sentences, videos and at the top."""
    shutil.copytree(ROOTS["mevis-v2"] / "valid_u", tmp_path, dirs_exist_ok=True)
    path = tmp_path / "meta_expressions_v2.json"
    meta = json.loads(path.read_text())
    before = MevisReader(tmp_path)
    for video in meta["videos"].values():
        video["audio"] = {"0": None}
        for entry in video["expressions"].values():
            entry |= {"obj_id": [str(number) for number in entry["obj_id"]], "audio": 3, "tags": ["x"]}
            entry["anno_id"] = [str(number) for number in entry["anno_id"]]
    path.write_text(json.dumps(meta | {"info": []}))
    after = MevisReader(tmp_path)
    assert [after.video(name) for name in after.videos] == [before.video(name) for name in before.videos]


def test_files_of_both_versions_in_one_folder_are_refused_and_none_is_told(tmp_path: Path) -> None:
    """Which is meant cannot be known; of the two files of version 2 the one with targets is read."""
    for name in ("meta_expressions.json", "meta_expressions_v2.json"):
        (tmp_path / name).write_text('{"videos": {}}')
    with pytest.raises(ConfigError, match=r"meta_expressions.json of MeViS version 1 and meta_expressions_v2.json"):
        MevisReader(tmp_path)
    (tmp_path / "meta_expressions.json").rename(tmp_path / "meta_expressions_v2_release.json")
    (tmp_path / "meta_expressions_v2_release.json").write_text("broken")
    assert MevisReader(tmp_path).version == 2
    with pytest.raises(ConfigError, match=r"meta_expressions.json is missing, or meta_expressions_v2.json"):
        MevisReader(tmp_path / "nowhere")


def test_packed_pictures_are_those_that_unpacking_gives(tmp_path: Path) -> None:
    """In place, in another process too; a folder beside the tar file goes before it."""
    shutil.copytree(PACKED, tmp_path, dirs_exist_ok=True)
    packed = pickle.loads(pickle.dumps(MevisReader(tmp_path)))  # as it is sent to a worker
    frames = packed.frames("cafe0000babe")
    with tarfile.open(tmp_path / "JPEGImages.tar") as tar:
        tar.extractall(tmp_path, filter="data")
    np.testing.assert_array_equal(MevisReader(tmp_path).frames("cafe0000babe"), frames)
    (tmp_path / "JPEGImages.tar").write_bytes(b"no tar file")
    np.testing.assert_array_equal(MevisReader(tmp_path).frames("cafe0000babe", [2, 0]), frames[[2, 0]])


def test_masks_are_parsed_once_for_a_sentence_and_its_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are asked for in pieces; only some objects are kept."""
    asked: list[str] = []
    entry = JsonEntries.entry

    def noted(entries: JsonEntries, key: str) -> list[object]:
        asked.append(key)
        return entry(entries, key)

    monkeypatch.setattr(JsonEntries, "entry", noted)
    data = MevisReader(ROOTS["mevis"] / "valid_u")
    _, two, one, all_three = data.video("5e0d7c31b2a9").expressions

    def parsed(expression: ReferringExpression) -> list[str]:
        asked.clear()
        for index in range(6):
            data.masks("5e0d7c31b2a9", expression, [index])
        return list(asked)

    assert [parsed(expression) for expression in (two, two, one, all_three)] == [["51", "53"], [], ["54"], []]
    monkeypatch.setattr(mevis_masks, "_MOST_KEPT", 1)
    data.masks("5e0d7c31b2a9", all_three)
    assert parsed(two)[:2] == ["51", "53"]


def test_indexes_go_to_another_process_with_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not read them again."""
    sent = [pickle.dumps(_open("mevis-v2", split)) for split in ("valid", "valid_u")]
    monkeypatch.setattr(mevis, "index_pictures", None)
    monkeypatch.setattr(mevis_masks, "JsonEntries", None)
    packed, masked = map(pickle.loads, sent)
    assert packed.frames("cafe0000babe").shape == (4, 48, 64, 3)
    for expression in masked.video("1f2e3d4c5b6a").expressions:
        assert masked.masks("1f2e3d4c5b6a", expression).shape[1:] == (6, 60, 80)


def test_masks_are_read_where_there_are_no_pictures(tmp_path: Path) -> None:
    """Scores need none; a sentence without target has the size of the video's other masks."""
    for name in ("meta_expressions_v2.json", "mask_dict.json"):
        shutil.copy(ROOTS["mevis-v2"] / "valid_u" / name, tmp_path)
    data, full = MevisReader(tmp_path), _open("mevis-v2", "valid_u")
    for name in full.videos:
        for expression in full.video(name).expressions:
            np.testing.assert_array_equal(data.masks(name, expression), full.masks(name, expression))
    with pytest.raises(ConfigError, match=r"00000\.jpg is missing"):
        data.frames("9a8b7c6d5e4f")


def _packed(folder: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> MevisReader:
    shutil.copy(PACKED / "meta_expressions_v2_release.json", folder)
    with tarfile.open(folder / "JPEGImages.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return MevisReader(folder)


def _picture(name: str = "00000") -> bytes:
    with tarfile.open(PACKED / "JPEGImages.tar") as tar:
        file = tar.extractfile(f"JPEGImages/cafe0000babe/{name}.jpg")
        assert file is not None
        return file.read()


@pytest.mark.parametrize(
    "name",
    [
        "../cafe0000babe/00000.jpg",
        "JPEGImages/../00000.jpg",
        "/cafe0000babe/00000.jpg",
        "other/cafe0000babe/00000.jpg",
        "cafe0000babe/00001.jpg",
    ],
)
def test_members_of_other_names_are_passed_over(tmp_path: Path, name: str) -> None:
    """The picture is then not there."""
    reader = _packed(tmp_path, [(tarfile.TarInfo(name), _picture())])
    with pytest.raises(ConfigError, match=r"JPEGImages\.tar has no cafe0000babe/00000\.jpg"):
        reader.frames("cafe0000babe", [0])


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_members_that_are_no_files_are_passed_over(tmp_path: Path, kind: bytes) -> None:
    """No link is followed."""
    member = tarfile.TarInfo("JPEGImages/cafe0000babe/00000.jpg")
    member.type, member.linkname = kind, "/etc/hostname"
    with pytest.raises(ConfigError, match=r"has no cafe0000babe/00000\.jpg"):
        _packed(tmp_path, [(member, b"")]).frames("cafe0000babe", [0])


@pytest.mark.parametrize("name", ["./JPEGImages/cafe0000babe/00000.jpg", "cafe0000babe/00000.jpg"])
def test_members_are_found_however_the_archive_was_packed(tmp_path: Path, name: str) -> None:
    """From another folder; the last of two of one name holds, as when it is unpacked."""
    members = [(tarfile.TarInfo(name), b"an older one"), (tarfile.TarInfo(name), _picture())]
    assert _packed(tmp_path, members).frames("cafe0000babe", [0]).shape == (1, 48, 64, 3)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("text", "truncated header"),
        ("gzip", "truncated header"),
        ("cut", "unexpected end of data"),
        ("long-name", "a header has 16,777,216 bytes; expected at most 65,536"),
        ("negative-size", "a size in it is negative"),
        ("huge", "it has 1,048 bytes; expected at most 1,000"),
    ],
)
def test_archive_that_makes_no_sense_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, message: str
) -> None:
    """At once, by its name."""
    member = tarfile.TarInfo("JPEGImages/cafe0000babe/00000.jpg")
    reader = _packed(tmp_path, [(member, _picture()), (tarfile.TarInfo("b/c"), bytes(2000))])
    path = tmp_path / "JPEGImages.tar"
    content = path.read_bytes()
    header = bytearray(content[:512])
    match what:
        case "text":
            path.write_text("no tar file")
        case "gzip":
            with tarfile.open(path, "w:gz") as tar:
                tar.add(PACKED / "meta_expressions_v2_release.json", "a/b")
        case "cut":
            path.write_bytes(content[:900])
        case "long-name":
            header[156:157], header[124:136] = b"L", b"00077777777\0"
            path.write_bytes(_with_checksum(header))
        case "negative-size":
            header[124:136] = b"\xff" * 10 + b"\xfc\x00"
            path.write_bytes(_with_checksum(header) + content[512:])
        case "huge":
            monkeypatch.setattr(packed_pictures, "_MOST_PICTURE_BYTES", 1000)
    with pytest.raises(ConfigError, match=rf"JPEGImages\.tar.*{message}"):
        reader.frames("cafe0000babe", [0])


def _with_checksum(header: bytearray) -> bytes:
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)
