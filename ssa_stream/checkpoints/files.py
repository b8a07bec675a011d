"""Files of weights and of training appear whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ssa_stream.errors import CheckpointError
from ssa_stream.files import replacing

__all__ = ["saving"]


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
