"""Whole files: written so that a half-written one never has the final name, read without waiting and up to a limit.

And folders that one process at a time writes.
"""

import fcntl
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from ssa_stream.errors import SinkError

__all__ = [
    "claim",
    "is_claimed",
    "is_stream",
    "move_into_place",
    "only_writer",
    "open_ordinary",
    "read_limited",
    "replacing",
    "write_report",
    "write_whole",
]

_log = logging.getLogger(__name__)
# Not /dev as a whole: /dev/shm holds ordinary files.
_STREAM_FOLDERS = ("/dev/fd/", "/proc/")
_STREAM_NAMES = ("/dev/stdin", "/dev/stdout", "/dev/stderr")
_MOST_LINKS = 40


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
        OSError: The folder is not there or cannot be written, the disk is full, the file is there already, or it is a
            pipe or a device.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError("it is a folder")
    if is_stream(path):
        raise OSError("it is a pipe or a device, which cannot be replaced by a file; give a file name")
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
        move_into_place(partial, path, overwrite=overwrite)
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
    """Write a file as a whole; text as UTF-8, with escapes for what that cannot hold. For the rest see `replacing`."""
    with replacing(path, mode=mode, overwrite=overwrite, survives_power_cut=survives_power_cut) as partial:
        partial.write_bytes(_encoded(content))


def read_limited(path: str | Path, *, most_bytes: int) -> bytes:
    """Read a whole file that anybody may have put there: it neither waits at a pipe nor fills the memory.

    Args:
        path: An ordinary file; or what the program was handed open, such as `/dev/stdin`.
        most_bytes: A larger file is refused.
    Raises:
        OSError: There is none, it cannot be read, it is a folder, a pipe or a device, or it is too large.
    """
    with open_ordinary(path) as file:
        too_large = OSError(f"it has more than {most_bytes:,} bytes, which is more than such a file may have")
        size = os.fstat(file.fileno()).st_size
        if size > most_bytes:
            raise too_large
        content = file.read(size + 1)
        if len(content) > size:  # its size is not known, or it has grown
            content += file.read(most_bytes + 1 - len(content))
    if len(content) > most_bytes:
        raise too_large
    return content


def open_ordinary(path: str | Path) -> BufferedReader:
    """Open a file for reading, if it is one; see `read_limited`.

    Raises:
        OSError: There is none, it cannot be read, or it is a folder, a pipe or a device.
    """
    name = os.path.abspath(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait for its writer
    except ValueError as error:  # a zero byte, half of a surrogate pair
        raise OSError(f"no file can have that name: {error}") from error
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError("it is a folder; expected a file")
        if not stat.S_ISREG(mode) and name not in _STREAM_NAMES and not name.startswith(_STREAM_FOLDERS):
            raise OSError("it is a pipe or a device; expected an ordinary file")
        os.set_blocking(descriptor, True)
        return open(descriptor, "rb")
    except BaseException:  # not to leave it open
        os.close(descriptor)
        raise


@contextmanager
def only_writer(folder: str | Path) -> Iterator[None]:
    """Be the only process that writes into a folder: for as long as the body lasts, or until this process is killed.

    Raises:
        SinkError: Another process is writing into it.
        OSError: There is no such folder, or it cannot be read.
    """
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SinkError(f"another process is writing into {folder}: wait for it, or give another folder") from None
        except OSError as error:
            _log.warning("%s cannot be locked (%s): another process that writes there is not noticed", folder, error)
        yield
    finally:
        os.close(lock)


def claim(path: str | Path) -> BinaryIO | None:
    """Claim a file for this process, whatever name it gets: other processes see it, and may be let write it.

    It is independent of the lock of who writes the file, so that a process can claim what another one writes for it.

    Returns:
        Open as long as the claim is to last. It ends with this process, and when this process closes the file anywhere.
        None if there is no ordinary file, another process has claimed it, or the file system has no locks.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return open(descriptor, "rb")
    except OSError as error:
        _log.debug("%s cannot be claimed: %s", path, error)
    os.close(descriptor)
    return None


def is_claimed(path: str | Path) -> bool:
    """Whether another process has claimed a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX allows for either
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False


def write_report(path: str | Path, content: bytes | str, *, overwrite: bool = True) -> None:
    """Write a file where a user wants it: as a whole, or straight to a device or a pipe. Links are followed.

    Args:
        path: The name.
        content: Text is written as UTF-8, with escapes for what UTF-8 cannot hold.
        overwrite: Whether an ordinary file may be there already.
    Raises:
        OSError: See `replacing`.
    """
    if is_stream(path):
        Path(path).write_bytes(_encoded(content))
    else:
        write_whole(os.path.realpath(path), content, overwrite=overwrite)


def _encoded(content: bytes | str) -> bytes:
    """UTF-8; a file name of other bytes in a report must not lose it, and in JSON the escapes are the right ones."""
    return content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content


def is_stream(path: str | Path) -> bool:
    """Whether a name leads to a pipe or a device, `/dev/stdout` included, which cannot be replaced or renamed.

    What standard output leads to may be a file; written through that name, it is used as a pipe is.
    """
    name = os.path.abspath(path)
    for _ in range(_MOST_LINKS):
        if name in _STREAM_NAMES or name.startswith(_STREAM_FOLDERS):
            return True
        try:
            name = os.path.join(os.path.dirname(name), os.readlink(name))
        except OSError:  # not a link
            break
        name = os.path.normpath(name)
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def move_into_place(partial: Path, path: Path, *, overwrite: bool) -> None:
    """Give a file that is complete its final name, in the same folder.

    Raises:
        FileExistsError: Another file has that name, and `overwrite` is False; `partial` stays.
        OSError: It cannot be renamed; `partial` stays.
    """
    if overwrite:
        partial.replace(path)
        return
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if path.exists():
            raise FileExistsError(f"{path} is there already") from None
        partial.replace(path)
    else:
        partial.unlink()
