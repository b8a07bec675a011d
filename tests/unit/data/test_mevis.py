"""The MeViS format: what is written is read, and broken files are named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssa_stream.data import MevisReader, SceneConfig, render, sample_scene, write_mevis
from ssa_stream.errors import ConfigError, SinkError

CONFIG = SceneConfig(size=(48, 80), num_frames=6)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A directory of two short videos of the validation split."""
    write_mevis(tmp_path / "val", "val", 10, 2, num_frames=6, config=CONFIG)
    return tmp_path / "val"


def _edit(path: Path, keys: list[str | int], value: Any) -> None:
    content = json.loads(path.read_text())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(content))


def test_round_trip_gives_back_sentences_masks_and_frames(written: Path) -> None:
    """Masks exactly, frames up to JPEG."""
    reader = MevisReader(written)
    assert reader.videos == ("val00000010", "val00000011")
    types = set()
    meta = json.loads((written / "meta_expressions.json").read_text())["videos"]
    for offset, name in enumerate(reader.videos):
        scene = sample_scene(10 + offset, split="val", config=CONFIG)
        drawn = [render(scene, t) for t in range(6)]
        frames = reader.frames(name)
        assert frames.shape == (6, 48, 80, 3)
        assert np.abs(frames.astype(int) - np.stack([frame.image for frame in drawn])).mean() < 4.0
        for expression in reader.video(name).expressions:
            types.add(expression.type)
            object_ids = meta[name]["expressions"][expression.expression_id]["obj_id"]
            rows = [scene.ids.index(object_id) for object_id in object_ids]
            expected = np.stack([frame.masks for frame in drawn], axis=1)[rows]
            np.testing.assert_array_equal(reader.masks(name, expression), expected)
            np.testing.assert_array_equal(reader.masks(name, expression, [4, 1]), expected[:, [4, 1]])
    assert types >= {"appearance", "no_target"}


def test_files_have_the_field_names_of_the_public_data_set(written: Path) -> None:
    """Other readers of MeViS must find their way."""
    meta = json.loads((written / "meta_expressions.json").read_text())
    video = meta["videos"]["val00000010"]
    assert video["frames"] == [f"{t:05d}" for t in range(6)]
    assert set(video) >= {"expressions", "frames", "vid_id"}
    assert set(video["expressions"]["0"]) >= {"exp", "obj_id", "anno_id", "type"}
    mask_dict = json.loads((written / "mask_dict.json").read_text())
    for entry in video["expressions"].values():
        assert all(str(anno_id) in mask_dict for anno_id in entry["anno_id"])
    rle = next(rle for track in mask_dict.values() for rle in track if rle is not None)
    assert rle["size"] == [48, 80]
    assert isinstance(rle["counts"], str)
    assert (written / "JPEGImages" / "val00000010" / "00005.jpg").is_file()


def test_writing_the_same_seed_again_gives_the_same_bytes(tmp_path: Path) -> None:
    """And reports every video."""
    seen: list[tuple[int, int]] = []
    for name in ("a", "b"):
        write_mevis(
            tmp_path / name, "test", 0, 2, num_frames=3, config=CONFIG, on_progress=lambda *n: seen.append((n[0], n[1]))
        )
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 2 + 2 * 3
    for path in files:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()
    assert seen == [(1, 2), (2, 2)] * 2


def test_expressions_without_targets_as_in_the_public_validation_split_are_read(written: Path) -> None:
    """They have a text only, and asking for masks says so."""
    meta = written / "meta_expressions.json"
    _edit(meta, ["videos", "val00000010", "expressions"], {"0": {"exp": "the bird flying away"}})
    reader = MevisReader(written)
    (expression,) = reader.video("val00000010").expressions
    assert (expression.text, expression.type, expression.has_targets) == ("the bird flying away", None, False)
    with pytest.raises(ConfigError, match="no anno_id"):
        reader.masks("val00000010", expression)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["videos"], [], r"top level.videos is list; expected dict"),
        (["videos", "val00000010"], 3, r"videos.val00000010 is int"),
        (["videos", "val00000010", "frames"], [], r"frames is \[\]; expected a list of one name"),
        (["videos", "val00000010", "expressions", "0"], {}, r"expressions.0 has no field 'exp'"),
        (["videos", "val00000010", "expressions", "0", "exp"], 7, r"expressions.0.exp is int; expected str"),
    ],
    ids=["videos", "video", "frames", "no-exp", "exp"],
)
def test_broken_meta_names_file_field_and_expectation(
    written: Path, keys: list[str | int], value: object, message: str
) -> None:
    """So that it can be mended."""
    _edit(written / "meta_expressions.json", keys, value)
    with pytest.raises(ConfigError, match=message):
        MevisReader(written)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([None], "has 1 masks; expected 6"),
        ([{"size": [48]}] * 6, "has no field 'counts'"),
        ([{"size": [48], "counts": "x"}] * 6, r"size is \[48\]; expected \[height, width\]"),
        ([{"size": [48, 80], "counts": "\u00e9"}] * 6, "counts cannot be decoded"),
        ([{"size": [48, 80], "counts": "0"}] * 6, "counts cannot be decoded"),
    ],
    ids=["length", "no-counts", "size", "not-ascii", "too-short"],
)
def test_broken_masks_name_file_field_and_expectation(written: Path, value: object, message: str) -> None:
    """Found when the mask is asked for."""
    reader = MevisReader(written)
    expression = next(e for e in reader.video("val00000010").expressions if e.target_ids)
    _edit(written / "mask_dict.json", [expression.target_ids[0]], value)
    with pytest.raises(ConfigError, match=message):
        reader.masks("val00000010", expression)


def test_missing_files_are_named(written: Path, tmp_path: Path) -> None:
    """Meta data, masks and pictures."""
    with pytest.raises(ConfigError, match=r"meta_expressions.json is missing"):
        MevisReader(tmp_path)
    reader = MevisReader(written)
    expression = next(e for e in reader.video("val00000011").expressions if e.target_ids)
    (written / "mask_dict.json").unlink()
    with pytest.raises(ConfigError, match=r"mask_dict.json is missing"):
        reader.masks("val00000011", expression)
    (written / "JPEGImages" / "val00000011" / "00002.jpg").unlink()
    with pytest.raises(ConfigError, match=r"00002.jpg is missing"):
        reader.frames("val00000011")


def test_broken_json_and_broken_picture_are_named(written: Path) -> None:
    """Cut off in the middle."""
    picture = written / "JPEGImages" / "val00000010" / "00000.jpg"
    picture.write_bytes(picture.read_bytes()[:200])
    with pytest.raises(ConfigError, match=r"00000.jpg cannot be read"):
        MevisReader(written).frames("val00000010", [0])
    (written / "meta_expressions.json").write_text('{"videos"')
    with pytest.raises(ConfigError, match="cannot be read as JSON"):
        MevisReader(written)


def test_unknown_video_and_frame_are_refused(written: Path) -> None:
    """With what there is."""
    reader = MevisReader(written)
    with pytest.raises(ConfigError, match="no video 'nowhere'"):
        reader.video("nowhere")
    with pytest.raises(ConfigError, match="frame 6 of video"):
        reader.frames("val00000010", [6])


def test_writing_where_a_file_stands_is_refused(tmp_path: Path) -> None:
    """As an error of ours."""
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(SinkError, match="cannot write to"):
        write_mevis(tmp_path / "out", "val", 0, 1, num_frames=2, config=CONFIG)
