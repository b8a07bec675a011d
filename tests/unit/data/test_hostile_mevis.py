"""Data-set folders from anywhere: nothing outside is read, nothing waits, nothing takes more memory than its limit."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssa_stream.data import MevisReader, reading
from ssa_stream.errors import ConfigError
from ssa_stream.run_lengths import encode_counts

_SIZE = (8, 12)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good data set of one video with two frames, which tests make bad."""
    mask = np.zeros(_SIZE, np.bool_)
    mask[2:4, 3:6] = True
    rle = {"size": list(_SIZE), "counts": encode_counts(mask).decode("ascii")}
    expression = {"exp": "the red circle", "obj_id": [0], "anno_id": [0]}
    _write(
        tmp_path / "meta_expressions.json", {"videos": {"v": {"frames": ["a", "b"], "expressions": {"0": expression}}}}
    )
    _write(tmp_path / "mask_dict.json", {"0": [rle, None]})
    (tmp_path / "JPEGImages" / "v").mkdir(parents=True)
    for name in ("a", "b"):
        Image.new("RGB", (_SIZE[1], _SIZE[0])).save(tmp_path / "JPEGImages" / "v" / f"{name}.jpg")
    return tmp_path


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def _read_all(folder: Path) -> None:
    reader = MevisReader(folder)
    for name in reader.videos:
        reader.frames(name)
        for expression in reader.video(name).expressions:
            reader.masks(name, expression)


def _edit(path: Path, keys: list[str | int], value: Any) -> None:
    content = inner = json.loads(path.read_text())
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    _write(path, content)


def test_good_folder_is_read(folder: Path) -> None:
    """What the others break."""
    _read_all(folder)


@pytest.mark.parametrize("name", ["../v", "/etc", "..", ".", "", "v/../v", "a\0b", "x" * 300, 7, None, ["a"]], ids=repr)
def test_name_that_leads_out_of_the_folder_is_refused(folder: Path, name: object) -> None:
    """Of a frame, and of a video."""
    meta = folder / "meta_expressions.json"
    good = json.loads(meta.read_text())
    _edit(meta, ["videos", "v", "frames", 1], name)
    with pytest.raises(ConfigError, match=r"meta_expressions\.json: videos\.v\.frames"):
        _read_all(folder)
    if isinstance(name, str):
        _write(meta, {"videos": {name: good["videos"]["v"]}})
        with pytest.raises(ConfigError, match=r"meta_expressions\.json: videos has the name"):
            _read_all(folder)


@pytest.mark.parametrize(
    "text", ["[" * 10**5, '{"videos": {}, "videos": {}}', '{"videos": {"v": NaN}}', "", '"\\ud800"']
)
@pytest.mark.parametrize("name", ["meta_expressions.json", "mask_dict.json"])
def test_text_that_is_no_strict_json_is_refused(folder: Path, name: str, text: str) -> None:
    """Deep, ambiguous, endless: each with the name of the file."""
    (folder / name).write_text(text)
    with pytest.raises(ConfigError, match=name):
        _read_all(folder)


@pytest.mark.parametrize(
    ("name", "keys", "value"),
    [
        ("meta_expressions.json", ["videos", "v", "expressions", "0", "anno_id"], [["0"]]),
        ("meta_expressions.json", ["videos", "v", "expressions", "0", "anno_id"], [None]),
        ("meta_expressions.json", ["videos", "v", "expressions", "0", "anno_id"], None),
        ("meta_expressions.json", ["videos", "v", "expressions", "0", "anno_id"], list(range(100_000))),
        ("meta_expressions.json", ["videos", "v", "frames"], "ab"),
        ("mask_dict.json", ["0", 0, "size"], [2**31, 2**31]),
        ("mask_dict.json", ["0", 0, "size"], [True, True]),
        ("mask_dict.json", ["0", 0, "size"], [-8, 12]),
        ("mask_dict.json", ["0", 0, "counts"], "0" * 10**6),
        ("mask_dict.json", ["0", 0, "counts"], "\u20ac"),
        ("mask_dict.json", ["0", 0], [[8, 12], "x"]),
        ("mask_dict.json", ["0"], [None]),
    ],
)
def test_value_of_the_wrong_kind_is_refused(folder: Path, name: str, keys: list[str | int], value: object) -> None:
    """With the name of the file, and without repeating all of it."""
    _edit(folder / name, keys, value)
    with pytest.raises(ConfigError, match=name) as told:
        _read_all(folder)
    assert len(str(told.value)) < 1000


@pytest.mark.parametrize(
    ("name", "keys", "value"),
    [
        ("meta_expressions.json", ["videos", "v", "expressions", "0", "anno_id"], [0, "0", 0]),
        ("meta_expressions.json", ["videos", "v", "expressions", "0", "obj_id"], [4.0, None]),
        ("meta_expressions.json", ["videos", "v", "expressions", "0", "exp"], "x" * 5000),
        ("meta_expressions.json", ["videos", "v", "frames"], ["a", "a"]),
        ("mask_dict.json", ["0", 1], {}),
    ],
)
def test_what_published_code_does_not_mind_is_read(folder: Path, name: str, keys: list[str | int], value: Any) -> None:
    """Ids and frames that come twice, other kinds of object numbers, long sentences (cut), `{}` for no mask."""
    _edit(folder / name, keys, value)
    reader = MevisReader(folder)
    (expression,) = reader.video("v").expressions
    assert reader.masks("v", expression).sum(axis=(2, 3)).tolist() == [[6, 0]]
    assert len(expression.text) <= 1000


@pytest.mark.parametrize("name", ["meta_expressions.json", "mask_dict.json", "JPEGImages/v/b.jpg"])
@pytest.mark.parametrize("what", ["pipe", "folder", "loop", "device", "huge", "empty", "missing"])
def test_file_that_is_none_is_refused_without_waiting(folder: Path, name: str, what: str) -> None:
    """At once, by its name."""
    path = folder / name
    path.unlink()
    match what:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "loop":
            path.symlink_to(path.name)
        case "device":
            path.symlink_to("/dev/zero")
        case "huge":
            with path.open("wb") as file:
                file.truncate(2**40)
        case "empty":
            path.touch()
    with pytest.raises(ConfigError, match=path.name):
        _read_all(folder)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM", "EPS", "WEBP"])
def test_picture_of_another_format_is_refused(folder: Path, kind: str) -> None:
    """Whatever its name: Pillow starts Ghostscript for some."""
    Image.new("RGB", (_SIZE[1], _SIZE[0])).save(folder / "JPEGImages" / "v" / "b.jpg", format=kind)
    with pytest.raises(ConfigError, match=r"b\.jpg cannot be read as a picture"):
        _read_all(folder)


def test_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded(folder: Path) -> None:
    """By the size in its header."""
    path = folder / "JPEGImages" / "v" / "a.jpg"
    data = bytearray(path.read_bytes())
    start = data.find(b"\xff\xc0") + 5
    data[start : start + 4] = b"\x3f\xff\x3f\xff"
    path.write_bytes(bytes(data))
    with pytest.raises(ConfigError, match=r"16383x16383 pixels|exceeds limit"):
        _read_all(folder)


def test_video_that_does_not_fit_into_memory_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its frames are read, and before its masks are decoded."""
    monkeypatch.setattr(reading, "MOST_ARRAY_BYTES", 2 * 8 * 12 * 3 - 1)
    reader = MevisReader(folder)
    with pytest.raises(ConfigError, match=r"2 frames of .* have 576 bytes"):
        reader.frames("v")
    monkeypatch.setattr(reading, "MOST_ARRAY_BYTES", 2 * 8 * 12 - 1)
    with pytest.raises(ConfigError, match="masks of 0 of v have 192 bytes"):
        reader.masks("v", reader.video("v").expressions[0])
