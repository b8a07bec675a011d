"""Hostile copies of A2D-Sentences, JHMDB-Sentences and RefCOCO.

Text files, clips, HDF5, MATLAB's files, the list of samples; pickles and COCO's annotations.
"""

import csv
import functools
import io
import json
import pickle
import random
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

from benchmarks.fuzzing.mutations import HOSTILE_TEXTS, break_bytes, break_values, misplace, outcome
from ssa_stream.data.kinds import KINDS, DataPlace, open_data

__all__ = ["attempt", "case"]

_HEIGHT, _WIDTH, _FRAMES = 24, 32, 4
_FOLDERS = {"a2d-sentences": "a2d", "jhmdb-sentences": "jhmdb", "refcoco": "coco"}


def case(chance: random.Random, folder: Path) -> DataPlace:
    """Write one hostile data set."""
    kind = chance.choice(list(_FOLDERS))
    root = folder / _FOLDERS[kind]
    files = {"a2d-sentences": _a2d, "jhmdb-sentences": _jhmdb, "refcoco": _refcoco}[kind](chance)
    names = list(files)
    if chance.random() < 0.8:
        broken = chance.choice(names)
        files[broken] = break_bytes(chance, files[broken])
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if chance.random() < 0.1:
        misplace(chance, root / chance.choice(names))
    return DataPlace(KINDS[kind], root)


def attempt(seed: int, folder: Path) -> str:
    """Make a data set and read all of it; `taken`, or `refused` with an error of the package."""
    place = case(random.Random(seed), folder)
    return outcome(lambda _: _read(place), place.root)


def _read(place: DataPlace) -> None:
    data = open_data(place)
    for name in data.videos:
        video = data.video(name)
        for expression in video.expressions:
            masks = data.masks(name, expression)
            if masks.shape[:2] != (1, len(expression.sample_ids)) or masks.dtype != np.bool_:
                raise AssertionError(f"masks are {masks.dtype} {masks.shape}")
        some = range(min(len(video.frames), 2 * _FRAMES))
        if (shape := data.frames(name, some).shape) != (len(some), *data.size(name), 3):
            raise AssertionError(f"frames are {shape}")


def _a2d(chance: random.Random) -> dict[str, bytes]:
    videos: list[list[Any]] = [
        [name, 1, "0:00", "0:01", _HEIGHT, _WIDTH, _FRAMES, 2, subset] for name, subset in (("one", 1), ("-two", 0))
    ]
    sentences: list[list[Any]] = [
        ["video_id", "instance_id", "query"],
        ["one", 1, 'a "red", round thing'],
        ["one", "1 (copy)", "a thing"],
        ["one", 2, "a thing"],
    ]
    if chance.random() < 0.3:
        row = chance.choice(chance.choice([videos, sentences]))
        row[chance.randrange(len(row))] = chance.choice(HOSTILE_TEXTS).encode("utf-8", "replace").decode()
    masks = "text_annotations/a2d_annotation_with_instances/one"
    return {
        "Release/videoset.csv": _csv(videos),
        "text_annotations/a2d_annotation.txt": _csv(sentences),
        "text_annotations/a2d_missed_videos.txt": b"three\n",
        "Release/clips320H/one.mp4": _clip(),
        f"{masks}/00001.h5": _instances(2),
        f"{masks}/00004.h5": _instances(1),
    }


def _jhmdb(chance: random.Random) -> dict[str, bytes]:
    top = "./jhmdb_sentences"
    pictures, masks = "Rename_Images/wave/one", "puppet_mask/wave/one/puppet_mask.mat"
    rows = [
        ["one", f"{top}/{pictures}/{number:05d}.png", f"{top}/{masks}", _FRAMES, "A  person"] for number in (1, 2, 4)
    ]
    if chance.random() < 0.3:
        break_values(chance, rows)
    files = {f"{pictures}/{number:05d}.png": _picture() for number in range(1, _FRAMES + 1)}
    return {
        **files,
        masks: _puppets(chance.random() < 0.5),
        "jhmdb_sentences_samples_metadata.json": json.dumps(rows).encode(),
    }


def _refcoco(chance: random.Random) -> dict[str, bytes]:
    """The refs, of which one may run something, and the annotations that go with them."""
    polygons = [[2.0, 2.0, 20.5, 2.0, 11.0, 17.0], [1, 1, 4, 1, 4, 4]]
    runs = {"size": [_HEIGHT, _WIDTH], "counts": [30, 5, _HEIGHT * _WIDTH - 35]}
    refs: list[Any] = [
        {"ref_id": number, "ann_id": number, "image_id": 7, "split": "val", "sentences": [{"sent": "It"}] * 2}
        for number in (1, 2)
    ]
    instances: dict[str, Any] = {
        "images": [{"id": 7, "file_name": "one.jpg", "height": _HEIGHT, "width": _WIDTH}],
        "annotations": [
            {"id": number, "image_id": 7, "bbox": [1, 1, 9, 9], "area": 4.5, "iscrowd": 0, "segmentation": drawn}
            for number, drawn in ((1, polygons), (2, runs))
        ],
    }
    if chance.random() < 0.4:
        break_values(chance, chance.choice([refs, instances]))
    if chance.random() < 0.1:
        refs.append(chance.choice([print, Path("x"), range(3), b"bytes"]))
    return {
        "coco/refcoco/refs(unc).p": pickle.dumps(refs, chance.randrange(6)),
        "coco/refcoco/instances.json": json.dumps(instances).encode("utf-8", "replace"),
        "coco/train2014/one.jpg": _picture(),
    }


def _csv(rows: list[list[Any]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()


@functools.cache
def _clip() -> bytes:
    written = io.BytesIO()
    with av.open(written, "w", "mp4") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        for value in range(_FRAMES):
            pixels = np.full((_HEIGHT, _WIDTH, 3), 50 * value, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return written.getvalue()


@functools.cache
def _instances(count: int) -> bytes:
    written = io.BytesIO()
    masks = np.zeros((count, _WIDTH, _HEIGHT), np.uint8)
    masks[:, 3:9, 4:8] = 1
    with h5py.File(written, "w") as file:
        file.create_dataset("reMask", data=masks if count > 1 else masks[0], compression="gzip")
        file["instance"] = np.arange(count, 0, -1)
    return written.getvalue()


@functools.cache
def _puppets(is_compressed: bool) -> bytes:
    written = io.BytesIO()
    masks = np.zeros((_HEIGHT, _WIDTH, _FRAMES), np.uint8)
    masks[3:9, 4:8] = 1
    savemat(written, {"other": "text", "part_mask": masks}, do_compression=is_compressed)
    return written.getvalue()


@functools.cache
def _picture() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (_WIDTH, _HEIGHT), (200, 30, 30)).save(written, format="PNG")
    return written.getvalue()
