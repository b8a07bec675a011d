"""Predictions that are pictures: where they lie in what people hand over, and how the published scorers read them."""

import os
import struct
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ssa_stream.data.reading import is_file_name, picture_size
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.score.grey_png import decode_grey_png
from ssa_stream.files import read_limited
from ssa_stream.picture_limits import USUAL_LIMITS

__all__ = [
    "MissingAnswerError",
    "UnreadableAnswerError",
    "folder_of_answers",
    "listed",
    "places_of_answers",
    "read_grey",
]

_MOST_BYTES: Final = 64 * 2**20
"""Of one picture."""
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HEAD_BYTES: Final = 24
_SAME_SPLITS: Final = {"valid": "val", "val": "valid"}


class MissingAnswerError(Exception):
    """There is no such picture."""


class UnreadableAnswerError(Exception):
    """There is a file, and it is no picture."""


def places_of_answers(root: Path, split: str) -> Iterator[Path]:
    """Where the folders of videos may lie in what was given: it, its `Annotations`, its split, its split's."""
    names = ("", split, _SAME_SPLITS.get(split, ""))
    for name in dict.fromkeys(names):
        yield from (root / name, root / name / "Annotations")


def folder_of_answers(root: Path, split: str, names: Collection[str]) -> Path | None:
    """The folder that holds the folders of videos, or of whatever has these names.

    Args:
        root: What was given.
        split: Name of the split, for folders of that name.
        names: At least one of them must be there.
    Returns:
        The first place that holds a folder of one of these names; None if there is none.
    """
    for place in places_of_answers(root, split):
        if any((place / name).is_dir() for name in names):
            return place
    return None


def listed(folder: Path) -> list[str]:
    """Names in a folder, sorted; none if it is no folder."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read: {error.strerror}; check its rights") from error


def expect_names(names: Sequence[str], what: str) -> None:
    """Refuse names from a data set that would lead out of the folder of predictions.

    Raises:
        ConfigError: One of them is no name of a file.
    """
    for name in names:
        if not is_file_name(name):
            raise ConfigError(f"{what} has the name {name!r}; expected the name of a folder of predictions")


def read_grey(path: Path) -> npt.NDArray[np.uint8]:
    """Read an answer as the scorers of MeViS and of SSA do: with OpenCV, as grey values.

    Grey, palette, 1-bit and colour pictures have a value for each pixel; 0 is background.

    Returns:
        `(H, W)` uint8.
    Raises:
        MissingAnswerError: There is no such file.
        UnreadableAnswerError: It is no picture, or too large.
    """
    try:
        content = read_limited(path, most_bytes=_MOST_BYTES)
        if content[:8] == _SIGNATURE and len(content) >= _HEAD_BYTES:
            width, height = struct.unpack(">II", content[16:24])
        else:
            height, width = picture_size(path, "the data set")
    except FileNotFoundError as error:
        raise MissingAnswerError(str(path)) from error
    except (OSError, ConfigError) as error:
        raise UnreadableAnswerError(str(error)) from error
    if (problem := USUAL_LIMITS.problem(width, height)) is not None:
        raise UnreadableAnswerError(f"it has {problem}")
    if (decoded := decode_grey_png(content)) is not None:
        return decoded
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error as error:
        raise UnreadableAnswerError("it cannot be decoded") from error
    if pixels is None:
        raise UnreadableAnswerError("it cannot be decoded")
    return np.asarray(pixels, np.uint8)
