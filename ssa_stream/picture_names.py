"""Which files a pattern names: numbered pictures (`frames/%03d.png`), or all that fit (`frames/*.png`)."""

import glob
import os
import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["NumberedPicture", "file_names", "is_pattern", "number_width", "pictures_of"]

_NUMBER = re.compile(r"%%|%(?P<zeros>0?)(?P<width>[0-9]*)d")
_GLOB = re.compile(r"[*?]|\[[^]]+\]")
_DIGITS = re.compile(r"([0-9]+)")


class NumberedPicture(NamedTuple):
    """A file and its place in the sequence."""

    number: int
    path: Path


def is_pattern(name: str) -> bool:
    """Whether a name that no file has stands for several pictures."""
    if any(match["width"] is not None for match in _NUMBER.finditer(Path(name).name)):
        return True
    return _GLOB.search(name) is not None


def pictures_of(pattern: str) -> list[NumberedPicture]:
    """The files that a pattern stands for: by number, or in natural order (`p2` before `p10`); none if none fits."""
    return _numbered(pattern) or _globbed(pattern)


def file_names(folder: Path) -> list[str]:
    """Names of the files in a folder, sorted; none if it cannot be read."""
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    except OSError:
        return []


def number_width(pattern: str) -> int:
    """How many digits a pattern's number has at least."""
    match = next((match for match in _NUMBER.finditer(Path(pattern).name) if match["width"] is not None), None)
    return int(match["width"] or 0) if match is not None else 0


def _numbered(pattern: str) -> list[NumberedPicture]:
    """The files that a pattern with a number stands for, by number."""
    folder, last = Path(pattern).parent, Path(pattern).name
    position, expression, groups = 0, "", 0
    for match in _NUMBER.finditer(last):
        is_number = match["width"] is not None
        expression += re.escape(last[position : match.start()]) + (_digits(match) if is_number else "%")
        position, groups = match.end(), groups + is_number
    if not groups:
        return []
    fits = re.compile(expression + re.escape(last[position:]))
    found: dict[int, str] = {}
    for name in file_names(folder):  # sorted, so that of p01 and p1 the last one stays, which is as printf writes it
        written = fits.fullmatch(name)
        numbers = {int(group) for group in written.groups() if group.strip()} if written is not None else set()
        if len(numbers) == 1:
            found[numbers.pop()] = name
    return [NumberedPicture(number, folder / found[number]) for number in sorted(found)]


def _digits(match: re.Match[str]) -> str:
    """What a number of a pattern looks like in a name: padded to its width, with zeros or spaces, or longer."""
    width = int(match["width"] or 0)
    if width < 2:
        return r"([0-9]+)"
    padded = r"[0-9]" if match["zeros"] else r"[ 0-9]"
    return rf"({padded}{{{width}}}|[1-9][0-9]{{{width},}})"


def _globbed(pattern: str) -> list[NumberedPicture]:
    """The files that fit, in natural order."""
    if _GLOB.search(pattern) is None:
        return []
    found = glob.glob(_with_literal_folder(pattern), recursive=True)
    paths = sorted((path for path in found if os.path.isfile(path)), key=_natural)
    return [NumberedPicture(position, Path(path)) for position, path in enumerate(paths)]


def _with_literal_folder(pattern: str) -> str:
    """The pattern with the folders that exist under the name that is written: `cam[1]` is no pattern if it is there."""
    path = Path(pattern)
    folder = next((folder for folder in path.parents if os.path.isdir(folder)), None)
    return pattern if folder is None else os.path.join(glob.escape(str(folder)), path.relative_to(folder))


def _natural(path: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isascii() and part.isdigit() else (-1, part) for part in _DIGITS.split(path)]
