"""Files of weights and of training: one that is there, and one that appears whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ssa_stream.errors import CheckpointError
from ssa_stream.files import replacing

__all__ = ["existing_file", "saving"]


def existing_file(path: str | Path) -> Path:
    """Return `path` if it is a file.

    Raises:
        CheckpointError: There is nothing there, a folder, a pipe or a device, or it may not be looked at.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise CheckpointError(f"{path} is a folder; expected a weight file")
        if path.is_file():
            return path
        if path.exists():
            raise CheckpointError(f"{path} is a pipe or a device; expected a weight file")
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    raise CheckpointError(f"there is no file {path}")


@contextmanager
def saving(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to, see `ssa_stream.files.replacing`.

    Raises:
        CheckpointError: The folder is not there or cannot be written, or the disk is full.
    """
    try:
        with replacing(path) as partial:
            yield partial
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error}") from error
