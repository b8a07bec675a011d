"""Whole files or none: a half-written file never bears the final name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ssa_stream.errors import CheckpointError

__all__ = ["existing_file", "replacing"]


def existing_file(path: str | Path) -> Path:
    """Return `path` if it is a file.

    Raises:
        CheckpointError: There is nothing there, or a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; expected a weight file")
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}")
    return path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; on success it takes the place of `path`, else it is removed.

    Raises:
        CheckpointError: The folder is not there or cannot be written, or the disk is full.
    """
    path = Path(path)
    if not path.parent.is_dir() or path.is_dir():
        what = "is a folder" if path.is_dir() else f"has no folder to lie in: {path.parent} is not there; create it"
        raise CheckpointError(f"cannot write {path}: it {what}")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.touch()
        mode = partial.stat().st_mode  # what the user's umask gives; some writers are stricter
        yield partial
        partial.chmod(mode)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
