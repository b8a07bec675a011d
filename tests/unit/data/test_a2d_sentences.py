"""A2D-Sentences as published: the index, the masks and the frames are those of the published loader."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import h5py
import numpy as np
import numpy.typing as npt
import pytest

from ssa_stream.data.a2d_sentences import A2dSentences
from ssa_stream.data.kinds import KINDS, DataPlace, open_data
from ssa_stream.errors import ConfigError
from ssa_stream.run_lengths import decode_counts
from tests.support.data_sets import ROOTS, expected

_ROOT = ROOTS["a2d-sentences"]
_TEXTS = "text_annotations"
_MASKS = f"{_TEXTS}/a2d_annotation_with_instances"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy that tests change."""
    return shutil.copytree(_ROOT, tmp_path / "a2d_sentences")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A copy of the text files alone."""
    return shutil.copytree(_ROOT, tmp_path / "texts", ignore=shutil.ignore_patterns("*.h5", "*.mp4", "*.json"))


@pytest.mark.parametrize("split", ["train", "test"])
def test_index_has_the_rows_that_the_published_loader_wrote(split: str) -> None:
    """Copies, missed videos, frames without the instance: all as there. White space is collapsed here, not there."""
    data = A2dSentences(_ROOT, split)
    rows = [
        [expression.text, name, index + 1, int(expression.target_ids[0])]
        for name in data.videos
        for expression in data.video(name).expressions
        for index in expression.annotated or ()
    ]
    published = json.loads((_ROOT / f"a2d_sentences_single_frame_{split}_annotations.json").read_text("utf-8"))
    assert sorted(rows) == sorted([" ".join(text.split()), *rest] for text, *rest in published)
    assert len(rows) == {"train": 7, "test": expected("a2d_sentences")["n_samples"]}[split]
    assert (data.listed_videos, data.listed_sentences) == (8, 12)


def test_masks_are_those_of_the_published_truth_pixel_by_pixel() -> None:
    """Transposed, unsorted, with and without an axis of instances; sample ids in the order of the frames."""
    data = A2dSentences(_ROOT, "test")
    truth = json.loads((_ROOT / "a2d_sentences_test_annotations_in_coco_format.json").read_text("utf-8"))
    published = {entry["image_id"]: entry["segmentation"] for entry in truth["annotations"]}
    seen = set()
    for name in data.videos:
        for expression in data.video(name).expressions:
            masks = data.masks(name, expression)
            assert masks.shape == (1, len(expression.sample_ids), *data.size(name))
            for sample, mask in zip(expression.sample_ids, masks[0], strict=True):
                rle = published[sample]
                np.testing.assert_array_equal(mask, decode_counts(rle["counts"], tuple(rle["size"])))
                seen.add(sample)
    assert seen == published.keys()


def test_missed_videos_have_no_sentences(texts: Path) -> None:
    """Even where the text file has them."""
    with (texts / _TEXTS / "a2d_missed_videos.txt").open("a") as file:
        file.write("\naBcDeF12345\n")
    assert A2dSentences(texts, "test").videos == ("_9x-YzQ0w1E", "-Kk3_tT77uU", "sqU4reExact")


def test_video_that_is_listed_twice_alike_is_one(texts: Path) -> None:
    """Both rows count, as in the published count."""
    path = texts / "Release/videoset.csv"
    path.write_text(path.read_text("utf-8") + path.read_text("utf-8").splitlines()[0], "utf-8")
    data = A2dSentences(texts, "test")
    assert data.listed_videos == 9
    assert data.videos.count("aBcDeF12345") == 1


def test_sentence_keeps_quotes_commas_and_accents() -> None:
    """In small letters, with single spaces, without the ends."""
    data = open_data(DataPlace(KINDS["a2d-sentences"], _ROOT))
    assert data.videos == ("aBcDeF12345", "_9x-YzQ0w1E", "-Kk3_tT77uU", "sqU4reExact")
    texts = [expression.text for name in data.videos for expression in data.video(name).expressions]
    assert texts[:4] == [
        'the dog with a red collar, jumping over the "fence"',
        "the baby's ball is rolling",
        "bird flying to the left",
        "café cat \u2013 climbing, then jumping",
    ]


def test_second_sentence_of_an_instance_has_an_id_of_its_own() -> None:
    """Two sentences of the same object in a training video."""
    video = A2dSentences(_ROOT, "train").video("trainVideo1")
    assert [(one.expression_id, one.target_ids) for one in video.expressions] == [
        ("1", ("1",)),
        ("2", ("2",)),
        ("2.2", ("2",)),
    ]


def test_frames_are_decoded_by_index_in_any_order_and_again() -> None:
    """Frame k of the annotation is decoded frame k - 1; a copy in another process reads the same."""
    data = A2dSentences(_ROOT, "test")
    decoded = _decoded(_ROOT / "Release/clips320H/sqU4reExact.mp4")
    assert data.video("sqU4reExact").frames == tuple(str(number) for number in range(1, 31))
    np.testing.assert_array_equal(data.frames("sqU4reExact"), decoded)
    for indices in ([29, 3, 3], [0], [7, 28, 2]):
        np.testing.assert_array_equal(data.frames("sqU4reExact", indices), decoded[indices])
        copied = pickle.dumps(data)
        assert len(copied) < 4000  # without frames
        sent = pickle.loads(copied)  # what the test made, as a worker gets it
        np.testing.assert_array_equal(sent.frames("sqU4reExact", indices), decoded[indices])
    other = _decoded(_ROOT / "Release/clips320H/aBcDeF12345.mp4")
    np.testing.assert_array_equal(data.frames("aBcDeF12345", [7]), other[[7]])
    np.testing.assert_array_equal(data.frames("sqU4reExact", [7]), decoded[[7]])


@pytest.mark.parametrize("indices", [[-1], [30], []], ids=str)
def test_frame_that_is_not_there_is_refused(indices: list[int]) -> None:
    """Also one counted from the end."""
    with pytest.raises(ConfigError, match=r"asked for"):
        A2dSentences(_ROOT, "test").frames("sqU4reExact", indices)


def test_mask_of_a_frame_without_annotation_is_refused() -> None:
    """The message says which frames have one."""
    data = A2dSentences(_ROOT, "test")
    expression = data.video("-Kk3_tT77uU").expressions[1]
    np.testing.assert_array_equal(
        data.masks("-Kk3_tT77uU", expression, [19]), data.masks("-Kk3_tT77uU", expression)[:, 1:]
    )
    with pytest.raises(ConfigError, match=r"frame 12 of -Kk3_tT77uU has no mask of instance 2; expected one of 4, 20"):
        data.masks("-Kk3_tT77uU", expression, [11])


@pytest.mark.parametrize("listed", [25, 40])
def test_clip_of_another_length_than_listed_counts(folder: Path, listed: int) -> None:
    """The published loader keeps to what it decodes; without the clip the list is all there is."""
    _replace(folder / "Release/videoset.csv", "60,80,30,5", f"60,80,{listed},5")
    assert len(A2dSentences(folder, "test").video("sqU4reExact").frames) == 30
    (folder / "Release/clips320H/sqU4reExact.mp4").unlink()
    data = A2dSentences(folder, "test")
    video = data.video("sqU4reExact")
    assert len(video.frames) == max(listed, 30)  # frame 30 is annotated
    assert data.masks("sqU4reExact", video.expressions[0]).any()
    with pytest.raises(ConfigError, match=r"sqU4reExact\.mp4 is missing"):
        data.frames("sqU4reExact", [0])


def test_annotated_frame_behind_the_clips_end_shows_the_last_frame(folder: Path) -> None:
    """As in the published loader; the sample is scored."""
    masks = folder / _MASKS / "sqU4reExact"
    (masks / "00030.h5").rename(masks / "00033.h5")
    data = A2dSentences(folder, "test")
    video = data.video("sqU4reExact")
    assert video.expressions[0].sample_ids[-1] == "v_sqU4reExact_f_33_i_1"
    assert len(video.frames) == 33
    last = _decoded(_ROOT / "Release/clips320H/sqU4reExact.mp4")[-1]
    np.testing.assert_array_equal(data.frames("sqU4reExact", [32, 29]), np.stack([last, last]))
    np.testing.assert_array_equal(data.frames("sqU4reExact", [31]), last[None])  # from what is kept


def test_cut_off_clip_is_refused_where_it_ends(folder: Path) -> None:
    """Its head is whole and says how many frames there were; those before the cut are read."""
    clip = folder / "Release/clips320H/sqU4reExact.mp4"
    _encode(clip, 30)
    whole = clip.read_bytes()
    assert A2dSentences(folder, "test").frames("sqU4reExact").shape == (30, 60, 80, 3)
    clip.write_bytes(whole[: len(whole) * 3 // 4])
    data = A2dSentences(folder, "test")
    assert data.frames("sqU4reExact", [0, 4]).shape == (2, 60, 80, 3)
    with pytest.raises(ConfigError, match=r"sqU4reExact\.mp4 is cut off or damaged: \d+ frames .* says 30"):
        data.frames("sqU4reExact", [29])


def test_other_forms_of_the_same_annotation_are_read(folder: Path) -> None:
    """A single mask with three axes, ids as a column of floats, a short name, files of other programs."""
    masks = folder / _MASKS / "sqU4reExact"
    before = A2dSentences(folder, "test")
    want = before.masks("sqU4reExact", before.video("sqU4reExact").expressions[0])
    with h5py.File(masks / "00009.h5", "r+") as file:
        stored = file["reMask"][()]
        del file["reMask"], file["instance"]
        file["reMask"], file["instance"] = stored[None], np.array([[1.0]])
    (masks / "00030.h5").rename(masks / "4.h5")
    (masks / "._00003.h5").write_bytes(b"\0")
    (masks / "Thumbs.db").write_bytes(b"\0")
    data = A2dSentences(folder, "test")
    expression = data.video("sqU4reExact").expressions[0]
    assert expression.annotated == (2, 3, 8, 9, 20)
    np.testing.assert_array_equal(data.masks("sqU4reExact", expression), want[:, [0, 4, 1, 2, 3]])


def test_text_files_of_other_systems_are_read(folder: Path) -> None:
    """A byte order mark, line ends of Windows, empty lines."""
    before = A2dSentences(folder, "test")
    for path in (folder / "Release/videoset.csv", *(folder / _TEXTS).glob("*.txt")):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
    data = A2dSentences(folder, "test")
    assert [data.video(name) for name in data.videos] == [before.video(name) for name in before.videos]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("Release/videoset.csv", "30,5,1", "30,5,2", r"videoset\.csv, line 4: the subset is '2'"),
        ("Release/videoset.csv", "30,5,1", "30,5", r"videoset\.csv, line 4: 8 values; expected 9"),
        ("Release/videoset.csv", "30,5,1", "-1,5,1", r"line 4: '-1' frames; expected a number from 0"),
        ("Release/videoset.csv", "30,5,1", "9999999,5,1", r"line 4: '9999999' frames"),
        ("Release/videoset.csv", "sqU4reExact", "../sqU4reExact", r"line 4: the video is '\.\./sqU4reExact'"),
        (
            "Release/videoset.csv",
            "sqU4reExact",
            "noSentences",
            r"line 5: the video 'noSentences' comes twice, with other",
        ),
        (f"{_TEXTS}/a2d_annotation.txt", "video_id", "id", r"annotation\.txt begins with 'id,instance_id,query'"),
        (f"{_TEXTS}/a2d_annotation.txt", "sqU4reExact,1,", "sqU4reExact,one,", r"line 10: the instance is 'one'"),
        (f"{_TEXTS}/a2d_annotation.txt", "car rolling", "car, rolling", r'line 10: 4 values.*"quotes"'),
        (f"{_TEXTS}/a2d_annotation.txt", "car rolling on the road", " ", r"line 10: a sentence of 0 characters"),
        (f"{_TEXTS}/a2d_annotation.txt", "car rolling", "car " * 300, r"line 10: a sentence of 12"),
    ],
)
def test_text_file_that_is_wrong_is_refused_by_line(texts: Path, file: str, old: str, new: str, message: str) -> None:
    """Before any video is opened."""
    _replace(texts / file, old, new)
    with pytest.raises(ConfigError, match=message):
        A2dSentences(texts, "test")


@pytest.mark.parametrize(
    "name", ["Release/videoset.csv", f"{_TEXTS}/a2d_annotation.txt", f"{_TEXTS}/a2d_missed_videos.txt"]
)
def test_text_file_that_is_missing_or_no_text_is_named(texts: Path, name: str) -> None:
    """With what the folder should be."""
    (texts / name).write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=rf"{name} cannot be read as UTF-8"):
        A2dSentences(texts, "test")
    (texts / name).unlink()
    with pytest.raises(ConfigError, match=rf"{name} is missing; expected the folder a2d_sentences"):
        A2dSentences(texts, "test")


def test_video_or_split_of_no_name_is_refused() -> None:
    """A video of the other split is none of this one."""
    with pytest.raises(ConfigError, match="no split 'val'"):
        A2dSentences(_ROOT, "val")
    with pytest.raises(ConfigError, match="no sentence of a video 'trainVideo1' in test"):
        A2dSentences(_ROOT, "test").video("trainVideo1")


def test_video_without_annotations_is_named(folder: Path) -> None:
    """Neither scored as nothing nor left out in silence."""
    shutil.rmtree(folder / _MASKS / "sqU4reExact")
    with pytest.raises(ConfigError, match=r"sqU4reExact is missing or cannot be read; expected the masks"):
        A2dSentences(folder, "test").video("sqU4reExact")
    (folder / _MASKS / "sqU4reExact").mkdir()
    with pytest.raises(ConfigError, match=r"sqU4reExact holds no annotation"):
        A2dSentences(folder, "test").video("sqU4reExact")


def _replaces(name: str, value: object) -> Callable[[h5py.File], None]:
    """What puts something else into the place of an array."""

    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return change


def _huge(file: h5py.File) -> None:
    """Terabytes that take no room in the file."""
    del file["reMask"]
    file.create_dataset("reMask", (2**20, 8000, 8000), np.uint8, chunks=(1, 80, 60))


def _huge_chunk(file: h5py.File) -> None:
    """A small array, of which any part is read as 2 GB."""
    del file["reMask"]
    file.create_dataset("reMask", (1, 80, 60), np.uint8, chunks=(16, 2**15, 2**12), maxshape=(None, None, None))


def _huge_picture(file: h5py.File) -> None:
    """More pixels than a picture may have."""
    del file["reMask"]
    file.create_dataset("reMask", (10_000, 10_000), np.uint8, chunks=(80, 60))


def _in_another_file(file: h5py.File) -> None:
    """The bytes of an array are those of a file outside."""
    del file["reMask"]
    file.create_dataset("reMask", (80, 60), np.uint8, external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])


def _virtual(file: h5py.File) -> None:
    """An array that is put together of those of other files."""
    del file["reMask"]
    layout = h5py.VirtualLayout((80, 60), np.uint8)
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "reMask", (80, 60))
    file.create_virtual_dataset("reMask", layout)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_replaces("reMask", h5py.ExternalLink("/tmp/other.h5", "reMask")), "reMask leads elsewhere"),
        (_replaces("instance", h5py.ExternalLink("/tmp/other.h5", "x")), "instance leads elsewhere"),
        (_replaces("reMask", h5py.SoftLink("/reMask")), "reMask leads elsewhere"),
        (_in_another_file, "reMask lies in other files"),
        (_virtual, "reMask lies in other files"),
        (_huge, "reMask takes .* bytes"),
        (_huge_chunk, "reMask takes .* bytes"),
        (_huge_picture, "reMask has 10000x10000 pixels"),
        (_replaces("reMask", np.zeros((80, 60), np.float32)), r"reMask is float32 \(80, 60\); expected uint8"),
        (_replaces("reMask", np.zeros(80, np.uint8)), r"reMask is uint8 \(80,\)"),
        (_replaces("reMask", np.uint8(1)), "reMask is no array"),
        (_replaces("reMask", "text"), "reMask is no array"),
        (_replaces("instance", [7, 1]), r"reMask is \(80, 60\); expected a mask for each of 2 instances"),
        (_replaces("instance", [1.5]), r"instance is \[1\.5\]; expected whole numbers"),
        (_replaces("instance", [np.nan]), r"instance is \[nan\]; expected whole numbers"),
        (_replaces("instance", ["1"]), r"instance is object \(1,\)"),
        (_replaces("instance", np.ones((2, 2))), r"instance is float64 \(2, 2\)"),
        (_replaces("instance", np.ones(5000)), r"instance is float64 \(5000,\)"),
        (lambda file: file.pop("reMask"), "has no reMask"),
        (lambda file: file.pop("instance"), "has no instance"),
    ],
)
def test_hostile_annotation_is_refused_before_it_is_read(
    folder: Path, change: Callable[[h5py.File], None], message: str
) -> None:
    """With the name of the file."""
    path = folder / _MASKS / "sqU4reExact" / "00009.h5"
    with h5py.File(path, "r+") as file:
        change(file)
    data = A2dSentences(folder, "test")
    with pytest.raises(ConfigError, match=message) as caught:
        data.masks("sqU4reExact", data.video("sqU4reExact").expressions[0])
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["00009.h5", "clip"])
@pytest.mark.parametrize("content", [b"", b"text", b"cut"])
def test_broken_file_is_named(folder: Path, name: str, content: bytes) -> None:
    """Of masks and of frames: empty, of another format, cut in half."""
    path = folder / _MASKS / "sqU4reExact" / name if name != "clip" else folder / "Release/clips320H/sqU4reExact.mp4"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content == b"cut" else content)
    data = A2dSentences(folder, "test")
    with pytest.raises(ConfigError, match=rf"{path.name} cannot be read as"):
        data.frames("sqU4reExact", [0]) if name == "clip" else data.video("sqU4reExact")


@pytest.mark.parametrize("name", ["0.h5", "x.h5", "9.h5", "-1.h5"])
def test_annotation_named_as_no_frame_is_refused(folder: Path, name: str) -> None:
    """Frames count from 1, and there is one file for each."""
    masks = folder / _MASKS / "sqU4reExact"
    shutil.copy(masks / "00009.h5", masks / name)
    with pytest.raises(ConfigError, match="is named as no frame, or as one that is there already"):
        A2dSentences(folder, "test").video("sqU4reExact")


def test_clip_of_another_format_is_not_read(folder: Path) -> None:
    """Only MP4 is, whatever the name says: other formats may name files."""
    clip = folder / "Release/clips320H/sqU4reExact.mp4"
    _encode(clip, 30, "avi")
    with pytest.raises(ConfigError, match="cannot be read as an MP4 clip"):
        A2dSentences(folder, "test").frames("sqU4reExact", [0])


def _replace(path: Path, old: str, new: str) -> None:
    """Change the one place of a text file."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def _decoded(path: Path) -> npt.NDArray[np.uint8]:
    """All frames of a clip, the plain way."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def _encode(path: Path, count: int, format_name: str = "mp4") -> None:
    """Write a clip whose head comes first, so that it can be opened when it is cut off."""
    with av.open(
        str(path), "w", format_name, options={"movflags": "faststart"} if format_name == "mp4" else {}
    ) as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 80, 60, "yuv420p"
        noise = np.random.default_rng(0)
        for _ in range(count):
            frame = av.VideoFrame.from_ndarray(noise.integers(0, 255, (60, 80, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
