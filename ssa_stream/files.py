"""Atomic file writes: a half-written file never has the final name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing", "write_report", "write_whole"]


@contextmanager
def replacing(
    path: str | Path, *, mode: int = 0o666, overwrite: bool = True, survives_power_cut: bool = True
) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; on success it takes the place of `path`, else it is removed.

    Args:
        path: The final name, in a folder that is there.
        mode: Permissions from the first moment on, less those that the user's umask takes away.
        overwrite: Whether `path` may be there already.
        survives_power_cut: Whether to wait until the content is on the disk, which takes some milliseconds.

    Raises:
        OSError: The folder is not there or cannot be written, the disk is full, or the file is there already.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError("it is a folder")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"it has no folder to lie in: {path.parent} is not there; create it")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode))
    try:
        allowed = partial.stat().st_mode
        yield partial
        partial.chmod(allowed)  # some writers set their own
        if survives_power_cut:
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
        if overwrite:
            partial.replace(path)
        else:
            _put_new(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(
    path: str | Path,
    content: bytes | str,
    *,
    mode: int = 0o666,
    overwrite: bool = True,
    survives_power_cut: bool = True,
) -> None:
    """Write a file as a whole; text as UTF-8. See `replacing` for the arguments and errors."""
    with replacing(path, mode=mode, overwrite=overwrite, survives_power_cut=survives_power_cut) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def write_report(path: str | Path, content: bytes | str) -> None:
    """Write a file where a user wants it: as a whole, or straight to a device, a pipe or what a link leads to.

    Raises:
        OSError: See `replacing`.
    """
    path = Path(path)
    if path.is_symlink() or (path.exists() and not path.is_file() and not path.is_dir()):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    else:
        write_whole(path, content)


def _put_new(partial: Path, path: Path) -> None:
    """Give a file its final name unless another has it."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if path.exists():
            raise FileExistsError(f"{path} is there already") from None
        partial.replace(path)
