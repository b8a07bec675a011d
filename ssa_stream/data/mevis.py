"""Reader of the MeViS format: the public data set, and ours from `write_mevis`.

On disk: `JPEGImages/<video>/<frame>.jpg`, `meta_expressions.json` and, where masks are public,
`mask_dict.json`. Frames and masks are read when they are asked for.

A folder may come from anywhere: whatever is wrong with it is a ConfigError, no name leads out of it, and nothing in it
takes more memory than the limits below.
"""

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from ssa_stream.errors import ConfigError, MessageError
from ssa_stream.files import open_ordinary, read_limited
from ssa_stream.picture_limits import USUAL_LIMITS
from ssa_stream.run_lengths import decode_counts
from ssa_stream.strict_json import parse_json
from ssa_stream.texts import brief, encodable

__all__ = ["MevisExpression", "MevisReader", "MevisVideo"]

_MOST_META_BYTES: Final = 256 * 2**20
_MOST_MASK_BYTES: Final = 2 * 2**30
_MOST_ARRAY_BYTES: Final = 8 * 2**30
"""Of a video's frames, or of the masks of one sentence: 1,390 frames of 1920 x 1080."""
_MOST_FRAMES: Final = 100_000
_MOST_TARGETS: Final = 1000
_MOST_CHARACTERS: Final = 1000
"""Of a sentence, as in a message."""
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_PICTURE_FORMATS: Final = ("JPEG", "PNG")
"""Pillow goes by content, not by name, and knows formats that run other programs."""


@dataclass(frozen=True, slots=True)
class MevisExpression:
    """One sentence; `type` and the held-out flags are ours, None in the public data set.

    Where the targets are not public (MeViS' own validation split), both id tuples are empty and
    `has_targets` is False.
    """

    expression_id: str
    text: str
    obj_ids: tuple[int, ...] = ()
    anno_ids: tuple[str, ...] = ()
    has_targets: bool = True
    type: str | None = None
    held_out_pair: bool | None = None
    held_out_phrasing: bool | None = None


@dataclass(frozen=True, slots=True)
class MevisVideo:
    """One video: its name, its frames' names in order, and the sentences about it."""

    name: str
    frames: tuple[str, ...]
    expressions: tuple[MevisExpression, ...]


class MevisReader:
    """Reads one split's directory.

    Args:
        directory: Where `meta_expressions.json` and `JPEGImages` are.

    Raises:
        ConfigError: If a file is missing, unreadable or not in the format.
    """

    def __init__(self, directory: Path | str) -> None:
        self._root = Path(directory)
        self._meta_path = self._root / "meta_expressions.json"
        meta = _read_json(self._meta_path, _MOST_META_BYTES)
        videos = _field(meta, "videos", dict, self._meta_path, "top level")
        self._videos = {name: self._parse_video(name, value) for name, value in videos.items()}
        self._mask_dict: dict[str, Any] | None = None

    @property
    def videos(self) -> tuple[str, ...]:
        """The videos' names, in the file's order."""
        return tuple(self._videos)

    def video(self, name: str) -> MevisVideo:
        """Give a video's frame names and sentences.

        Raises:
            ConfigError: If there is no such video.
        """
        if name not in self._videos:
            raise ConfigError(f"{self._meta_path} has no video {brief(name)}; it has {len(self._videos)} others")
        return self._videos[name]

    def frames(self, name: str, indices: Sequence[int] | None = None) -> npt.NDArray[np.uint8]:
        """Read frames, all of them unless told which.

        Returns:
            `(T, H, W, 3)` uint8 RGB.

        Raises:
            ConfigError: If a picture is missing, broken or of another size than the first.
        """
        names = self.video(name).frames
        chosen = range(len(names)) if indices is None else indices
        if not chosen:
            raise ConfigError(f"no frame of video {name!r} was asked for; expected at least one")
        folder = self._root / "JPEGImages" / name
        paths = [folder / f"{_at(names, index, name)}.jpg" for index in chosen]
        with _opened_image(paths[0]) as first:
            size = first.height, first.width
        _expect_to_fit((len(paths), *size, 3), f"{len(paths)} frames of {folder}")
        frames = np.empty((len(paths), *size, 3), np.uint8)
        for number, path in enumerate(paths):
            picture = _read_image(path)
            if picture.shape[:2] != size:
                raise ConfigError(f"frames of {folder} differ in size; expected one size a video")
            frames[number] = picture
        return frames

    def masks(
        self, name: str, expression: MevisExpression, indices: Sequence[int] | None = None
    ) -> npt.NDArray[np.bool_]:
        """Decode the masks of a sentence's targets, in all frames unless told which.

        Returns:
            `(n, T, H, W)` bool, in the order of `anno_ids`; without targets `(0, T, H, W)` with the
            size of the video's first frame.

        Raises:
            ConfigError: If the targets are not in the data, or a mask is missing, broken or of another size than the
                video.
        """
        names = self.video(name).frames
        if not expression.has_targets:
            raise ConfigError(f"{self._meta_path} gives no anno_id for {expression.text!r} of {name!r}: no masks")
        chosen = list(range(len(names)) if indices is None else indices)
        for index in chosen:
            _at(names, index, name)
        tracks = [self._track(anno_id, len(names)) for anno_id in expression.anno_ids]
        sizes = [tuple(rle["size"]) for track in tracks for rle in track if rle is not None]
        height, width = self._picture_size(name)
        if sizes and sizes[0] != (height, width):
            raise ConfigError(
                f"{self._root / 'mask_dict.json'}: masks of anno_id {', '.join(expression.anno_ids)} are of "
                f"{sizes[0][1]}x{sizes[0][0]} pixels; expected {width}x{height}, the size of the frames of {name!r}"
            )
        _expect_to_fit((len(tracks), len(chosen), height, width), f"masks of {expression.expression_id} of {name}")
        decoded = np.zeros((len(tracks), len(chosen), height, width), np.bool_)
        for row, track in enumerate(tracks):
            for column, index in enumerate(chosen):
                rle = track[index]
                if rle is not None:
                    decoded[row, column] = self._decode(rle, (height, width), expression.anno_ids[row], index)
        return decoded

    def _picture_size(self, name: str) -> tuple[int, int]:
        """Height and width of a video's first frame."""
        path = self._root / "JPEGImages" / name / f"{self.video(name).frames[0]}.jpg"
        with _opened_image(path) as picture:
            return picture.height, picture.width

    def _parse_video(self, name: str, value: object) -> MevisVideo:
        path = self._meta_path
        where = f"videos.{brief(name)[1:-1]}"
        if not _is_file_name(name):
            raise ConfigError(f"{path}: videos has the name {brief(name)}; expected the name of a folder in JPEGImages")
        frames = _field(value, "frames", list, path, where)
        if not 1 <= len(frames) <= _MOST_FRAMES or not all(map(_is_file_name, frames)):
            raise ConfigError(
                f"{path}: {where}.frames is {brief(frames)}; expected a list of one name or more, of "
                f"files in its folder, and at most {_MOST_FRAMES}"
            )
        if len(set(frames)) < len(frames):
            raise ConfigError(f"{path}: {where}.frames has a name twice; expected different ones")
        expressions = _field(value, "expressions", dict, path, where)
        parsed = [
            self._parse_expression(key, entry, f"{where}.expressions.{brief(key)[1:-1]}")
            for key, entry in expressions.items()
        ]
        return MevisVideo(name, tuple(frames), tuple(parsed))

    def _parse_expression(self, key: str, entry: object, where: str) -> MevisExpression:
        path = self._meta_path
        text = _field(entry, "exp", str, path, where)
        assert isinstance(entry, dict)
        if len(key) > _MOST_CHARACTERS or len(text) > _MOST_CHARACTERS:
            raise ConfigError(f"{path}: {where} has more than {_MOST_CHARACTERS} characters; expected a sentence")
        if "anno_id" not in entry:
            return MevisExpression(key, text, has_targets=False)
        anno_ids = _field(entry, "anno_id", list, path, where)
        obj_ids = _field(entry, "obj_id", list, path, where)
        numbers = [_whole(value) for value in obj_ids]
        if None in numbers:
            raise ConfigError(f"{path}: {where}.obj_id is {brief(obj_ids)}; expected a list of whole numbers")
        if not all(_is_id(value) for value in anno_ids):
            raise ConfigError(f"{path}: {where}.anno_id is {brief(anno_ids)}; expected a list of ids of mask_dict.json")
        if len(anno_ids) > _MOST_TARGETS or len(set(map(str, anno_ids))) < len(anno_ids):
            raise ConfigError(
                f"{path}: {where}.anno_id has {len(anno_ids)} ids; expected at most {_MOST_TARGETS}, and none twice"
            )
        return MevisExpression(
            key,
            text,
            tuple(number for number in numbers if number is not None),
            tuple(str(value) for value in anno_ids),
            True,
            _optional(entry, "type", str, path, where),
            _optional(entry, "held_out_pair", bool, path, where),
            _optional(entry, "held_out_phrasing", bool, path, where),
        )

    def _track(self, anno_id: str, num_frames: int) -> list[dict[str, Any] | None]:
        path = self._root / "mask_dict.json"
        if self._mask_dict is None:
            content = _read_json(path, _MOST_MASK_BYTES)
            if not isinstance(content, dict):
                raise ConfigError(f"{path}: top level is {type(content).__name__}; expected an object by anno_id")
            self._mask_dict = content
        track: list[dict[str, Any] | None] = _field(self._mask_dict, anno_id, list, path, "top level")
        if len(track) != num_frames:
            raise ConfigError(f"{path}: {anno_id} has {len(track)} masks; expected {num_frames}, one a frame")
        for index, rle in enumerate(track):
            if rle is not None:
                size = _field(rle, "size", list, path, f"{anno_id}[{index}]")
                _field(rle, "counts", str, path, f"{anno_id}[{index}]")
                if len(size) != 2 or not all(type(side) is int and 0 < side <= USUAL_LIMITS.edge_px for side in size):
                    raise ConfigError(f"{path}: {anno_id}[{index}].size is {brief(size)}; expected [height, width]")
        return track

    def _decode(self, rle: dict[str, Any], size: tuple[int, int], anno_id: str, index: int) -> npt.NDArray[np.bool_]:
        where = f"{self._root / 'mask_dict.json'}: {anno_id}[{index}]"
        if tuple(rle["size"]) != size:
            raise ConfigError(f"{where}.size is {rle['size']}; expected {list(size)}, that of the other masks")
        try:
            return decode_counts(rle["counts"], size)
        except MessageError as error:
            raise ConfigError(
                f"{where}.counts cannot be decoded: {error}; expected COCO's run-length string"
            ) from error


def _read_json(path: Path, most_bytes: int) -> Any:
    try:
        return parse_json(read_limited(path, most_bytes=most_bytes))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; expected a directory in the MeViS format") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as JSON: {error}") from error


def _read_image(path: Path) -> npt.NDArray[np.uint8]:
    with _opened_image(path) as picture:
        return np.asarray(picture.convert("RGB"), np.uint8)


@contextmanager
def _opened_image(path: Path) -> Iterator[Image.Image]:
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            open_ordinary(path) as file,
            Image.open(file, formats=_PICTURE_FORMATS) as picture,
        ):
            _expect_size(picture)
            yield picture
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; meta_expressions.json names it among the frames") from error
    except Exception as error:  # each of Pillow's formats has errors of its own for data that makes no sense
        raise ConfigError(f"{path} cannot be read as a picture: {encodable(str(error))}") from error


def _expect_size(picture: Image.Image) -> None:
    """Refuse a picture before it is decoded.

    Raises:
        ValueError: It is too large.
    """
    problem = USUAL_LIMITS.problem(*picture.size)
    if problem is not None:
        raise ValueError(problem)


def _expect_to_fit(shape: tuple[int, ...], what: str) -> None:
    if (size := math.prod(shape)) > _MOST_ARRAY_BYTES:
        raise ConfigError(f"{what} have {size:,} bytes; expected at most {_MOST_ARRAY_BYTES:,}")


def _is_file_name(name: object) -> bool:
    """Whether a name stays in its folder."""
    return isinstance(name, str) and 0 < len(name) <= 200 and name not in (".", "..") and not set(name) & set("/\\\0")


def _whole(value: object) -> int | None:
    """A whole number, which may be written as text; None if it is none."""
    if type(value) is int:
        return value
    return int(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def _is_id(value: object) -> bool:
    return type(value) is int or (isinstance(value, str) and len(value) <= 200)


def _field(value: object, name: str, kind: type, path: Path, where: str) -> Any:
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: {where} is {type(value).__name__}; expected an object")
    if name not in value:
        raise ConfigError(f"{path}: {where} has no field {name!r}; expected {kind.__name__}")
    if not isinstance(value[name], kind):
        raise ConfigError(f"{path}: {where}.{name} is {type(value[name]).__name__}; expected {kind.__name__}")
    return value[name]


def _optional(value: dict[str, Any], name: str, kind: type, path: Path, where: str) -> Any:
    return None if value.get(name) is None else _field(value, name, kind, path, where)


def _at(names: tuple[str, ...], index: int, video: str) -> str:
    if not 0 <= index < len(names):
        raise ConfigError(f"frame {index} of video {video!r} was asked for; it has {len(names)}")
    return names[index]
