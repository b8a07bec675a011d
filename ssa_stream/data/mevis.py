"""Reader of the MeViS format: the public data set, and ours from `write_mevis`.

On disk: `JPEGImages/<video>/<frame>.jpg`, `meta_expressions.json` and, where masks are public,
`mask_dict.json`. Frames and masks are read when they are asked for.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ssa_stream.errors import ConfigError, MessageError
from ssa_stream.run_lengths import decode_counts

__all__ = ["MevisExpression", "MevisReader", "MevisVideo"]


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
        meta = _read_json(self._meta_path)
        videos = _field(meta, "videos", dict, self._meta_path, "top level")
        self._videos = {str(name): self._parse_video(str(name), value) for name, value in videos.items()}
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
            raise ConfigError(f"{self._meta_path} has no video {name!r}; it has {len(self._videos)} others")
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
        pictures = [_read_image(self._root / "JPEGImages" / name / f"{_at(names, i, name)}.jpg") for i in chosen]
        if len({picture.shape for picture in pictures}) > 1:
            raise ConfigError(f"frames of {self._root / 'JPEGImages' / name} differ in size; expected one size a video")
        if not pictures:
            raise ConfigError(f"no frame of video {name!r} was asked for; expected at least one")
        return np.stack(pictures)

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
        path, where = self._meta_path, f"videos.{name}"
        frames = _field(value, "frames", list, path, where)
        if not frames or not all(isinstance(frame, str) for frame in frames):
            raise ConfigError(f"{path}: {where}.frames is {str(frames)[:60]}; expected a list of one name or more")
        expressions = _field(value, "expressions", dict, path, where)
        parsed = [
            self._parse_expression(str(key), entry, f"{where}.expressions.{key}") for key, entry in expressions.items()
        ]
        return MevisVideo(name, tuple(frames), tuple(parsed))

    def _parse_expression(self, key: str, entry: object, where: str) -> MevisExpression:
        path = self._meta_path
        text = _field(entry, "exp", str, path, where)
        assert isinstance(entry, dict)
        if "anno_id" not in entry:
            return MevisExpression(key, text, has_targets=False)
        anno_ids = _field(entry, "anno_id", list, path, where)
        obj_ids = _field(entry, "obj_id", list, path, where)
        try:
            numbers = tuple(int(value) for value in obj_ids)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{path}: {where}.obj_id is {obj_ids}; expected a list of whole numbers") from error
        return MevisExpression(
            key,
            text,
            numbers,
            tuple(str(value) for value in anno_ids),
            True,
            _optional(entry, "type", str, path, where),
            _optional(entry, "held_out_pair", bool, path, where),
            _optional(entry, "held_out_phrasing", bool, path, where),
        )

    def _track(self, anno_id: str, num_frames: int) -> list[dict[str, Any] | None]:
        path = self._root / "mask_dict.json"
        if self._mask_dict is None:
            content = _read_json(path)
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
                if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
                    raise ConfigError(f"{path}: {anno_id}[{index}].size is {size}; expected [height, width]")
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


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
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
        with Image.open(path) as picture:
            yield picture
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; meta_expressions.json names it among the frames") from error
    except (OSError, SyntaxError) as error:
        raise ConfigError(f"{path} cannot be read as a picture: {error}") from error


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
