"""Hostile data sets in the MeViS format."""

import functools
import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.fuzzing.mutations import break_bytes, break_values, misplace, outcome
from ssa_stream.evaluation import ReferringDataset, plan_questions
from ssa_stream.run_lengths import encode_counts

__all__ = ["attempt", "case"]

_SIZE = (24, 32)
_FRAMES = 3
_VIDEOS = ("one", "two")


def case(chance: random.Random, folder: Path) -> Path:
    """Write one hostile data set; returns its folder."""
    root = folder / "data"
    meta, masks = _meta(), _masks()
    names = [f"{video}/{number:05d}.jpg" for video in _VIDEOS for number in range(_FRAMES)]
    pictures = dict.fromkeys(names, _picture(_SIZE, "JPEG"))
    way = chance.random()
    if way < 0.4:
        break_values(chance, meta)
    elif way < 0.7:
        break_values(chance, masks)
    elif way < 0.8:
        pictures[chance.choice(list(pictures))] = _hostile_picture(chance)
    for name, content in pictures.items():
        path = root / "JPEGImages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    written = {"meta_expressions.json": _json(chance, meta), "mask_dict.json": _json(chance, masks)}
    for name, content in written.items():
        hostile = way > 0.8 and chance.random() < 0.3
        (root / name).write_bytes(break_bytes(chance, content) if hostile else content)
    if way > 0.9:
        misplace(chance, root / chance.choice([*written, *(f"JPEGImages/{name}" for name in pictures)]))
    return root


def attempt(seed: int, folder: Path) -> str:
    """Make a data set and read all of it; `taken`, or `refused` with an error of the package."""
    return outcome(_read, case(random.Random(seed), folder))


def _read(root: Path) -> None:
    data = ReferringDataset.of_folder(root)
    for plan in plan_questions(data.videos):
        frames = data.frames(plan.video)
        for question in plan.questions:
            targets = data.targets(plan.video, question.sentence.expression_id)
            if targets.shape[1:] != frames.shape[:3]:
                raise AssertionError(f"masks are {targets.shape}, frames {frames.shape}")


def _meta() -> dict[str, Any]:
    frames = [f"{number:05d}" for number in range(_FRAMES)]
    expression = {"exp": "the red circle", "obj_id": [0], "anno_id": [0], "type": "appearance"}
    expressions = {"0": expression, "1": {**expression, "exp": "nothing", "obj_id": [], "anno_id": []}}
    return {"videos": {video: {"expressions": {**expressions}, "frames": [*frames], "vid_id": 0} for video in _VIDEOS}}


def _masks() -> dict[str, Any]:
    mask = np.zeros(_SIZE, np.bool_)
    mask[4:9, 5:20] = True
    rle = {"size": list(_SIZE), "counts": encode_counts(mask).decode("ascii")}
    return {"0": [{**rle}, None, {**rle, "size": [*rle["size"]]}], "1": [None, None, None]}


def _json(chance: random.Random, values: Any) -> bytes:
    """As JSON, at times with what JSON should not have."""
    text = json.dumps(values)
    way = chance.random()
    if way < 0.05:
        return text.replace('"videos"', '"videos": {}, "videos"').replace('"0":', '"0": [], "0":').encode()
    if way < 0.1:
        depth = chance.choice([100, 1000, 100_000])
        return text.replace("null", "[" * depth + "]" * depth).encode()
    if way < 0.13:
        return text.replace("null", chance.choice(["NaN", "-Infinity", "1" * 5000, "1e999", '"\\ud83d"'])).encode()
    return text.encode(chance.choice(["utf-8"] * 8 + ["utf-16", "utf-8-sig"]))


@functools.cache
def _picture(size: tuple[int, int], kind: str) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (size[1], size[0]), (200, 30, 30)).save(content, format=kind)
    return content.getvalue()


def _hostile_picture(chance: random.Random) -> bytes:
    """A broken picture, one of another size or kind, or one that claims to be huge."""
    way = chance.randrange(4)
    if way == 0:
        return break_bytes(chance, _picture(_SIZE, chance.choice(["JPEG", "PNG"])))
    if way == 1:
        return _picture(chance.choice([(1, 1), (32, 24), (600, 8)]), "JPEG")
    if way == 2:
        return _picture(_SIZE, chance.choice(["GIF", "BMP", "TIFF", "WEBP", "PPM", "PDF", "EPS", "TGA", "ICO"]))
    picture = bytearray(_picture(_SIZE, chance.choice(["JPEG", "PNG"])))
    start = picture.find(b"IHDR") + 4 if b"IHDR" in picture else picture.find(b"\xff\xc0") + 5
    picture[start : start + 4] = chance.choice([b"\xff" * 4, b"\x7f\xff\x7f\xff", b"\0" * 4, b"\0\1\0\1"])
    return bytes(picture)
