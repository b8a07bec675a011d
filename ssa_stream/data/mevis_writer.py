"""Synthetic scenes written to disk in the format of MeViS."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from ssa_stream.data.synthetic.expressions import Expression, find_expressions
from ssa_stream.data.synthetic.sampling import SceneConfig, sample_scene
from ssa_stream.data.synthetic.seeds import Split, generator
from ssa_stream.data.synthetic.truth import ObservedClip, observe
from ssa_stream.errors import ConfigError, SinkError
from ssa_stream.files import only_writer, write_whole
from ssa_stream.run_lengths import encode_counts

__all__ = ["write_mevis"]

_EXPRESSIONS_STREAM: Final = 6
_JPEG_QUALITY: Final = 95

Rle = dict[str, Any]


def write_mevis(
    out_dir: Path | str,
    split: Split,
    seed: int,
    num_videos: int,
    *,
    num_frames: int = 24,
    per_type: int = 1,
    config: SceneConfig | None = None,
    overwrite: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write videos, sentences and masks: `JPEGImages/`, `meta_expressions.json` and `mask_dict.json`.

    Beside MeViS' own fields every expression has `type`, `held_out_pair` and `held_out_phrasing`. Until all frames are
    drawn they are in `JPEGImages.partial/`, so a run that fails leaves a data set that was there as it was. The JSON
    files come last, so a directory that has them is complete.

    Args:
        out_dir: Directory to write to; made if need be.
        split: Which range of seeds.
        seed: Number of the first scene within its split; the following scenes follow.
        num_videos: How many videos.
        num_frames: Frames of each.
        per_type: Most expressions of each type for each video.
        config: What scenes are drawn from; its `num_frames` is replaced by that given here.
        overwrite: Whether a data set that is there may be replaced, or other videos of the same names.
        on_progress: Called after every video with the number written and `num_videos`.

    Raises:
        ConfigError: If a number is out of range, or a file is there and may not be replaced.
        SinkError: If a file cannot be written, or another process is writing a data set there.
    """
    if num_videos < 1:
        raise ConfigError(f"num_videos is {num_videos}; expected 1 or more")
    root = Path(out_dir)
    names = [f"{split}{seed + number:08d}" for number in range(num_videos)]
    written = [root / "mask_dict.json", root / "meta_expressions.json", *(root / "JPEGImages" / name for name in names)]
    if not overwrite and (there := [path for path in written if path.exists()]):
        raise ConfigError(f"{there[0]} exists already: give another folder, or replace it with --overwrite")
    config = replace(config or SceneConfig(), num_frames=num_frames)
    videos: dict[str, Any] = {}
    mask_dict: dict[str, list[Rle | None]] = {}
    partial = root / "JPEGImages.partial"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with only_writer(root):
            try:
                shutil.rmtree(partial, ignore_errors=True)
                for number, name in enumerate(names):
                    scene = sample_scene(seed + number, split=split, config=config)
                    clip = observe(scene, 0, num_frames)
                    found = find_expressions(clip.truth, generator(scene.seed, _EXPRESSIONS_STREAM), per_type=per_type)
                    first_anno_id = len(mask_dict)
                    videos[name] = _video(clip, found, number, first_anno_id)
                    for offset, masks in enumerate(clip.masks):
                        mask_dict[str(first_anno_id + offset)] = [_encode(mask) for mask in masks]
                    _write_frames(partial / name, clip.frames)
                    if on_progress is not None:
                        on_progress(number + 1, num_videos)
                _move_frames(partial, root / "JPEGImages")
                _write_json(root / "mask_dict.json", mask_dict)
                _write_json(root / "meta_expressions.json", {"videos": videos})
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise SinkError(f"cannot write to {root}: {error}; check that there is space and leave to write") from error


def _video(clip: ObservedClip, found: list[Expression], number: int, first_anno_id: int) -> dict[str, Any]:
    ids = clip.truth.scene.ids
    expressions = {
        str(index): {
            "exp": expression.text,
            "obj_id": list(expression.target_ids),
            "anno_id": [first_anno_id + ids.index(object_id) for object_id in expression.target_ids],
            "type": expression.type,
            "held_out_pair": expression.held_out_pair,
            "held_out_phrasing": expression.held_out_phrasing,
        }
        for index, expression in enumerate(found)
    }
    frames = [f"{t:05d}" for t in range(len(clip.frames))]
    return {"expressions": expressions, "frames": frames, "vid_id": number}


def _encode(mask: npt.NDArray[np.bool_]) -> Rle | None:
    if not mask.any():
        return None
    return {"size": list(mask.shape), "counts": encode_counts(mask).decode("ascii")}


def _write_frames(folder: Path, frames: npt.NDArray[np.uint8]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for t, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{t:05d}.jpg", quality=_JPEG_QUALITY, subsampling=0)


def _move_frames(partial: Path, folder: Path) -> None:
    for video in sorted(partial.iterdir()):
        (folder / video.name).mkdir(parents=True, exist_ok=True)
        for picture in video.iterdir():
            picture.replace(folder / video.name / picture.name)


def _write_json(path: Path, content: object) -> None:
    write_whole(path, json.dumps(content))
