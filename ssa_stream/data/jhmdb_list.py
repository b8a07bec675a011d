"""A list of samples for JHMDB-Sentences from one's own copy, for who cannot have the frozen one.

It is made when somebody asks for it and never in passing: figures on other frames than those of the frozen list cannot
be compared with published ones.
"""

import json
from pathlib import Path
from typing import Final

from ssa_stream.data.jhmdb_sentences import JHMDB_LIST
from ssa_stream.data.puppet_masks import puppet_mask_shape
from ssa_stream.data.reading import is_file_name
from ssa_stream.data.text_tables import read_table
from ssa_stream.errors import ConfigError, SinkError
from ssa_stream.files import write_whole
from ssa_stream.texts import brief

__all__ = ["derive_jhmdb_list"]

_SAMPLES: Final = 3
_EXPECTED: Final = "the folder jhmdb_sentences, with jhmdb_annotation.txt, Rename_Images and puppet_mask"


def derive_jhmdb_list(root: Path) -> int:
    """Write the list of samples into the data set's folder: the middles of the three thirds of each video.

    Equal copies give equal lists.

    Args:
        root: The folder with `Rename_Images`, `puppet_mask` and `jhmdb_annotation.txt`.
    Returns:
        How many samples there are.
    Raises:
        ConfigError: A list is there already; or pictures, masks or sentences are missing or broken.
        SinkError: The list cannot be written.
    """
    path = root / JHMDB_LIST
    if path.exists():
        raise ConfigError(f"{path} is there already; remove it first if it is not the frozen list of published figures")
    texts = root / "jhmdb_annotation.txt"
    actions = _actions(root / "Rename_Images")
    rows: list[tuple[str, str, str, int, str]] = []
    for line, (name, text) in read_table(texts, ("video_id", "query"), _EXPECTED):
        if not is_file_name(name) or name not in actions:
            raise ConfigError(f"{texts}, line {line}: no folder Rename_Images/ACTION/{brief(name)[1:-1]}")
        place = f"{actions[name]}/{name}"
        masks = f"puppet_mask/{place}/puppet_mask.mat"
        usable = min(_pictures(root / "Rename_Images" / place), puppet_mask_shape(root / masks)[2])
        numbers = sorted({(2 * part + 1) * usable // (2 * _SAMPLES) + 1 for part in range(_SAMPLES)})
        top = "./jhmdb_sentences"
        rows += [
            (name, f"{top}/Rename_Images/{place}/{number:05d}.png", f"{top}/{masks}", usable, text)
            for number in numbers
        ]
    if not rows:
        raise ConfigError(f"{texts} holds no sentence")
    try:
        write_whole(path, json.dumps(rows), overwrite=False)
    except OSError as error:
        raise SinkError(f"{path} cannot be written: {error}") from error
    return len(rows)


def _actions(folder: Path) -> dict[str, str]:
    """The action of each video."""
    try:
        pairs = [
            (video.name, action.name) for action in folder.iterdir() if action.is_dir() for video in action.iterdir()
        ]
    except OSError as error:
        raise ConfigError(f"{folder} is missing or cannot be read; expected {_EXPECTED}") from error
    actions = dict(pairs)
    for name, action in pairs:
        if actions[name] != action:
            raise ConfigError(f"{folder} has {brief(name)} in {action} and in {actions[name]}; expected it once")
    return actions


def _pictures(folder: Path) -> int:
    """How many pictures follow each other from 00001.png on; ConfigError if there is none."""
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read as a folder of pictures: {error.strerror}") from error
    count = next(number for number in range(len(names) + 1) if f"{number + 1:05d}.png" not in names)
    if not count:
        raise ConfigError(f"{folder} has no 00001.png; expected pictures numbered from 1")
    return count
