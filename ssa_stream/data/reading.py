"""What all readers of data sets use: JSON, pictures and label pictures of folders from anywhere, within limits.

A folder may come from anywhere: whatever is wrong with it is a ConfigError, no name leads out of it, and nothing in it
takes more memory than the limits below.
"""

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from ssa_stream.data.packed_pictures import PackedPicture
from ssa_stream.errors import ConfigError
from ssa_stream.files import open_ordinary, read_limited
from ssa_stream.picture_limits import USUAL_LIMITS
from ssa_stream.strict_json import parse_json
from ssa_stream.texts import encodable

__all__ = [
    "MOST_ARRAY_BYTES",
    "expect_to_fit",
    "field",
    "frame_at",
    "is_file_name",
    "optional_field",
    "picture_size",
    "read_frames",
    "read_json",
    "read_labels",
    "read_values",
    "whole_number",
]

MOST_ARRAY_BYTES: Final = 8 * 2**30
"""Of a video's frames, or of the masks of one sentence: 1,390 frames of 1920 x 1080."""
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_PICTURE_FORMATS: Final = ("JPEG", "PNG")
"""Pillow goes by content, not by name, and knows formats that run other programs."""


def read_json(path: Path, most_bytes: int, expected: str, *, allows_not_a_number: bool = False) -> Any:
    """Read a JSON file.

    Args:
        path: Where it is.
        most_bytes: A larger file is refused.
        expected: What the folder should be, for the message where the file is missing.
        allows_not_a_number: See `parse_json`.
    Raises:
        ConfigError: The file is missing, too large or no JSON.
    """
    try:
        return parse_json(read_limited(path, most_bytes=most_bytes), allows_not_a_number=allows_not_a_number)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; expected {expected}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as JSON: {error}") from error


def read_frames(paths: Sequence[Path | PackedPicture], named_in: str) -> npt.NDArray[np.uint8]:
    """Read pictures of one size.

    Args:
        paths: At least one.
        named_in: The file that lists them, for messages.
    Returns:
        `(T, H, W, 3)` uint8 RGB.
    Raises:
        ConfigError: A picture is missing, broken or of another size than the first.
    """
    if not paths:
        raise ConfigError(f"no frame was asked for; expected at least one of those that {named_in} names")
    folder = paths[0].parent
    size = picture_size(paths[0], named_in)
    expect_to_fit((len(paths), *size, 3), f"{len(paths)} frames of {folder}")
    frames = np.empty((len(paths), *size, 3), np.uint8)
    for number, path in enumerate(paths):
        with _opened_picture(path, named_in) as picture:
            pixels = np.asarray(picture.convert("RGB"), np.uint8)
        if pixels.shape[:2] != size:
            raise ConfigError(f"frames of {folder} differ in size; expected one size a video")
        frames[number] = pixels
    return frames


def read_labels(path: Path, named_in: str) -> npt.NDArray[np.uint8]:
    """Read a picture whose values are numbers of objects: a palette picture's indices, or grey values.

    Args:
        path: A PNG file of mode P, L or 1.
        named_in: What names the file, for messages.
    Returns:
        `(H, W)` uint8.
    Raises:
        ConfigError: The picture is missing, broken or has colours.
    """
    with _opened_picture(path, named_in) as picture:
        if picture.mode not in ("P", "L", "1"):
            raise ConfigError(
                f"{path} has the mode {picture.mode}; expected numbers of objects: a palette or grey values"
            )
        return np.array(picture, np.uint8)


def read_values(path: Path, named_in: str) -> npt.NDArray[Any]:
    """Read a picture of any mode as numpy has it from Pillow: published code does so with answers.

    Returns:
        `(H, W)` or `(H, W, channels)`: bool, uint8, uint16 or int32; a palette picture has indices.
    Raises:
        ConfigError: The picture is missing or broken.
    """
    with _opened_picture(path, named_in) as picture:
        return np.array(picture)


def picture_size(path: Path | PackedPicture, named_in: str) -> tuple[int, int]:
    """Height and width of a picture; ConfigError if it is missing or broken."""
    with _opened_picture(path, named_in) as picture:
        return picture.height, picture.width


@contextmanager
def _opened_picture(path: Path | PackedPicture, named_in: str) -> Iterator[Image.Image]:
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            open_ordinary(path) if isinstance(path, Path) else path.open() as file,
            Image.open(file, formats=_PICTURE_FORMATS) as picture,
        ):
            _expect_size(picture)
            yield picture
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; {named_in} names it") from error
    except ConfigError:
        raise
    except UnidentifiedImageError as error:
        raise ConfigError(f"{path} cannot be read as a picture: it is no JPEG or PNG picture") from error
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


def expect_to_fit(shape: tuple[int, ...], what: str) -> None:
    """Refuse an array of more bytes than `MOST_ARRAY_BYTES`; ConfigError names `what`."""
    if (size := math.prod(shape)) > MOST_ARRAY_BYTES:
        raise ConfigError(f"{what} have {size:,} bytes; expected at most {MOST_ARRAY_BYTES:,}")


def is_file_name(name: object) -> bool:
    """Whether a name stays in its folder."""
    return isinstance(name, str) and 0 < len(name) <= 200 and name not in (".", "..") and not set(name) & set("/\\\0")


def whole_number(value: object) -> int | None:
    """A whole number, which may be written as text; None if it is none."""
    if type(value) is int:
        return value
    return int(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def field(value: object, name: str, kind: type, path: Path, where: str) -> Any:
    """A field of a JSON object.

    Args:
        value: The object.
        name: Of the field.
        kind: Its type.
        path: The file, for messages.
        where: Where in the file the object is, for messages.
    Raises:
        ConfigError: `value` is no object, or the field is missing or of another type.
    """
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: {where} is {type(value).__name__}; expected an object")
    if name not in value:
        raise ConfigError(f"{path}: {where} has no field {name!r}; expected {kind.__name__}")
    if not isinstance(value[name], kind):
        raise ConfigError(f"{path}: {where}.{name} is {type(value[name]).__name__}; expected {kind.__name__}")
    return value[name]


def optional_field(value: dict[str, Any], name: str, kind: type, path: Path, where: str) -> Any:
    """As `field`; None if it is missing or null."""
    return None if value.get(name) is None else field(value, name, kind, path, where)


def frame_at(names: Sequence[str], index: int, video: str) -> str:
    """The name of a frame by its index; ConfigError if there is none."""
    if not 0 <= index < len(names):
        raise ConfigError(f"frame {index} of video {video!r} was asked for; it has {len(names)}")
    return names[index]
