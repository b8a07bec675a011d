"""`meta_expressions.json`: videos with their frames and sentences, as MeViS, Ref-YouTube-VOS and Ref-DAVIS17 list them.

The data sets differ in how a sentence names its targets; what reads these is given by each reader.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ssa_stream.data.reading import field, is_file_name, read_json
from ssa_stream.data.referring import ReferringExpression, ReferringVideo
from ssa_stream.errors import ConfigError
from ssa_stream.texts import brief

__all__ = ["MOST_CHARACTERS", "MOST_FRAMES", "ParseTargets", "read_meta_expressions"]

_log = logging.getLogger(__name__)
MOST_FRAMES: Final = 100_000
"""Of a video."""
MOST_CHARACTERS: Final = 1000
"""Of a sentence, as in a message; what is longer is cut."""
_MOST_BYTES: Final = 256 * 2**20

ParseTargets = Callable[[str, str, dict[str, Any], str], ReferringExpression]
"""Makes a sentence of its id, its text, its entry in the file, and where that is, for messages."""


def read_meta_expressions(path: Path, expected: str, parse_targets: ParseTargets) -> dict[str, ReferringVideo]:
    """Read the videos of a file, in its order. Fields that are not known are left alone.

    Args:
        path: The JSON file.
        expected: What the folder should be, for the message where the file is missing.
        parse_targets: Reads what the data set says of a sentence's targets.
    Raises:
        ConfigError: The file is missing, or not in the format.
    """
    videos = field(read_json(path, _MOST_BYTES, expected), "videos", dict, path, "top level")
    return {name: _parse_video(path, name, value, parse_targets) for name, value in videos.items()}


def _parse_video(path: Path, name: str, value: object, parse_targets: ParseTargets) -> ReferringVideo:
    where = f"videos.{brief(name)[1:-1]}"
    if not is_file_name(name):
        raise ConfigError(f"{path}: videos has the name {brief(name)}; expected the name of a folder in JPEGImages")
    frames = field(value, "frames", list, path, where)
    if not 1 <= len(frames) <= MOST_FRAMES or not all(map(is_file_name, frames)):
        raise ConfigError(
            f"{path}: {where}.frames is {brief(frames)}; expected a list of one name or more, of "
            f"files in its folder, and at most {MOST_FRAMES}"
        )
    expressions = field(value, "expressions", dict, path, where)
    return ReferringVideo(
        name,
        tuple(frames),
        tuple(
            _parse_expression(path, key, entry, f"{where}.expressions.{brief(key)[1:-1]}", parse_targets)
            for key, entry in expressions.items()
        ),
    )


def _parse_expression(path: Path, key: str, entry: Any, where: str, parse_targets: ParseTargets) -> ReferringExpression:
    text = field(entry, "exp", str, path, where)
    if len(text) > MOST_CHARACTERS:
        _log.warning("%s: %s has %d characters; the first %d are taken", path, where, len(text), MOST_CHARACTERS)
        text = text[:MOST_CHARACTERS]
    if not is_file_name(key):
        raise ConfigError(f"{path}: {where} is no usual id; expected one that can name the folder of its predictions")
    return parse_targets(key, text, entry, where)
