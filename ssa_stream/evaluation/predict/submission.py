"""Results of all processes in one file, once all are there: the list of answers, or what a server takes."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

from ssa_stream.data import DataKind
from ssa_stream.evaluation.predict.folder import JournalLine
from ssa_stream.files import replacing

__all__ = ["ANSWERS_FILE", "has_server", "write_answers", "write_zip"]

ANSWERS_FILE = "predictions.json"
_SERVERS = {"mevis": ("valid",), "ref-youtube-vos": ("valid", "test")}
"""Splits whose masks are not public, by data set."""
_OLDEST = (1980, 1, 1, 0, 0, 0)
"""Every file in a zip has this time, so that equal masks make equal files."""


def has_server(kind: DataKind, split: str) -> bool:
    """Whether a server scores the split, as its masks are not public."""
    return split in _SERVERS.get(kind.name, ())


def write_answers(path: Path, entries: Iterable[JournalLine]) -> None:
    """Write the list of all answers, in order; those of one entry are in memory at a time."""
    with replacing(path) as partial, partial.open("wb") as file:
        file.write(b"[")
        separator = b"\n"
        for entry in entries:
            if content := bytes(entry.read().answers)[1:-1]:
                file.write(separator + content)
                separator = b",\n"
        file.write(b"\n]\n")


def write_zip(path: Path, kind: DataKind, root: Path, pictures: Iterable[Path]) -> None:
    """Write a zip for the data set's server.

    In it masks lie at `<video>/<expression>/<frame>.png`, for Ref-YouTube-VOS below `Annotations/`.

    Args:
        path: The zip.
        kind: Of the data set.
        root: The folder that holds those of the videos.
        pictures: All that go into it.
    """
    below = f"{root.name}/" if kind.name == "ref-youtube-vos" else ""
    # Pictures are compressed already.
    with replacing(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for file in pictures:
            entry = zipfile.ZipInfo(below + file.relative_to(root).as_posix(), _OLDEST)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())
