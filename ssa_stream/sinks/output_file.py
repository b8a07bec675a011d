"""The file of a sink: under a temporary name until it is complete, or a pipe or device that is written straight."""

import contextlib
import fcntl
import logging
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ssa_stream.errors import SinkError
from ssa_stream.files import is_claimed, is_stream, move_into_place
from ssa_stream.outputs import partial_path
from ssa_stream.sinks.sink import advice

__all__ = ["OutputFile", "finish_temporary"]

_log = logging.getLogger(__name__)
_SYNC_S = 1.0
"""Between two times when the system is told to put on the disk what it holds of a file: a power cut costs no more."""


class OutputFile:
    """A file that is being written.

    `overlay.mp4` is `overlay.partial.mp4`, in the same folder, until `finish` renames it; a killed process leaves it
    under that name, and the next one that writes the same output replaces it. A link is followed: the file that it
    leads to is replaced. Two processes never write one file: the temporary one is locked. The lock ends with its
    process, and programs that this one starts do not have it. Nor is a file replaced, complete or not, that a graph
    has claimed (`ssa_stream.files.claim`): a node of it that has died wrote it, and the next one writes beside it.

    Attributes:
        path: Where bytes are to be written now.
        is_stream: Whether it is a pipe or a device: it is written straight, and neither renamed nor removed.
    """

    def __init__(self, path: str | Path, *, overwrite: bool = True) -> None:
        """Make the temporary file.

        Args:
            path: The final name.
            overwrite: Whether a file of that name may be there.
        Raises:
            SinkError: It cannot be written, is there already or is being written by another process.
        """
        self._said = str(path)
        self._overwrite = overwrite
        self._lock: int | None = None
        self._whole_bytes = 0
        self._appended: tuple[int, bytes] | None = None
        self._synced_s = time.monotonic()
        self._syncing: threading.Thread | None = None
        self._sync_error: OSError | None = None
        self.is_stream = is_stream(path)
        self.path = Path(path)
        if self.is_stream:
            return
        self._final = Path(os.path.realpath(path))
        self.path = partial_path(self._final)
        try:
            self._lock = self._locked()
        except SinkError:
            raise
        except OSError as error:
            raise SinkError(f"cannot write {self._said}: {advice(error)}") from error

    def append(self, data: bytes) -> None:
        """Write something whole behind what is there, which may be written over later; nothing is left if it cannot be.

        Raises:
            OSError: It cannot be written.
        """
        assert self._lock is not None  # pipes and devices are not appended to
        end = os.fstat(self._lock).st_size
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._lock, data[written:], end + written)
        except OSError:
            os.ftruncate(self._lock, end)
            raise
        self.mark_whole()
        self._appended = end, data

    def mark_whole(self) -> None:
        """What is in the file now is whole, whatever fails later."""
        if self._lock is not None:
            self._whole_bytes, self._appended = os.fstat(self._lock).st_size, None

    @property
    def has_grown(self) -> bool:
        """Whether there is more in the file than at the last mark."""
        return self._lock is not None and os.fstat(self._lock).st_size > self._whole_bytes

    def cut_to_whole(self) -> None:
        """Remove what came after the last mark: a part of something that was not written to its end."""
        if self._lock is not None:
            with contextlib.suppress(OSError):  # it is broken anyway; what is before the mark is not touched
                if self._appended is not None:
                    os.pwrite(self._lock, self._appended[1], self._appended[0])
                os.ftruncate(self._lock, self._whole_bytes)

    def keep_safe(self) -> None:
        """To be called after writing: from time to time a thread has the content put on the disk. Does not wait.

        Raises:
            OSError: The disk did not take what was written before, or the file was removed.
        """
        if self._lock is None:
            return
        if self._sync_error is not None:
            raise self._sync_error
        is_busy = self._syncing is not None and self._syncing.is_alive()
        if is_busy or time.monotonic() - self._synced_s < _SYNC_S:
            return
        if os.fstat(self._lock).st_nlink == 0:
            raise OSError("somebody has removed it while it was written")
        self._synced_s = time.monotonic()
        self._syncing = threading.Thread(target=self._sync, args=(self._lock,), name="output to disk")
        self._syncing.start()

    def finish(self) -> None:
        """Give it its final name, now that it is complete.

        Raises:
            SinkError: It cannot be renamed; it stays under its temporary name, which the error says.
        """
        if self._lock is None:
            return
        try:
            if not _is_open_as(self._lock, self.path):
                raise FileNotFoundError(f"somebody has moved or replaced {self.path}")
            self._end_sync()
            os.fsync(self._lock)  # before the name: after a power cut there is no empty file with it
            move_into_place(self.path, self._final, overwrite=self._overwrite)
        except FileExistsError as error:
            raise SinkError(
                f"cannot finish {self._said}: a file of that name has been made meanwhile; what was written is kept in "
                f"{self.path}"
            ) from error
        except OSError as error:
            raise SinkError(f"cannot finish {self._said}: {error.strerror or error}; look for {self.path}") from error
        finally:
            self.leave()

    def discard(self) -> None:
        """Remove it: nothing was written."""
        if self._lock is not None and _is_open_as(self._lock, self.path):
            self.path.unlink(missing_ok=True)
        self.leave()

    def leave(self) -> None:
        """Keep it under its present name."""
        if self._lock is not None:
            if self._syncing is not None:
                self._syncing.join()
            os.close(self._lock)
            self._lock = None

    @property
    def kept_as(self) -> str:
        """Where it is if it cannot be completed, to be added to an error; empty for a pipe or a device."""
        return "" if self.is_stream else f"; look for {self.path}"

    def _sync(self, descriptor: int) -> None:
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            self._sync_error = error

    def _end_sync(self) -> None:
        """Wait for the thread.

        Raises:
            OSError: The disk did not take what was written.
        """
        if self._syncing is not None:
            self._syncing.join()
        if self._sync_error is not None:
            raise self._sync_error

    def _locked(self) -> int:
        if self._final.is_dir():
            raise IsADirectoryError(21, "Is a directory")
        replaced = self._final.stat() if self._final.exists() else None
        if replaced is not None and not self._overwrite:
            raise SinkError(f"cannot write {self._said}: it exists already; give another name, or let it be replaced")
        if replaced is not None and not os.access(self._final, os.W_OK):
            raise PermissionError(13, "Permission denied")
        # Before the lock: over the network both kinds may be one, and the lock would end with the question.
        if is_claimed(self.path) or is_claimed(self._final):
            raise self._is_written()
        while True:
            lock = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            try:
                self._take(lock)
                if _is_open_as(lock, self.path):
                    if not self._overwrite and os.fstat(lock).st_size:
                        raise SinkError(
                            f"cannot write {self._said}: {self.path} is there, left by a killed process perhaps; "
                            f"rename it, or let it be replaced"
                        )
                    os.ftruncate(lock, 0)
                    if replaced is not None:
                        os.fchmod(lock, stat.S_IMODE(replaced.st_mode))
                    return lock
            except BaseException:  # whatever it is, the file is not left open
                os.close(lock)
                raise
            os.close(lock)  # whoever had it has just finished it

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._is_written() from None
        except OSError as error:
            _log.warning(
                "%s is on a file system without locks (%s): another process that writes it, too, is not noticed",
                self._said,
                error.strerror,
            )

    def _is_written(self) -> SinkError:
        return SinkError(f"cannot write {self._said}: another process is writing it ({self.path}); give another name")


def finish_temporary(path: Path, *, overwrite: bool, has_content: Callable[[Path], bool]) -> bool:
    """Give the temporary file that a killed process left its final name.

    Args:
        path: The final name.
        overwrite: Whether a file of that name may be replaced.
        has_content: Whether there is anything in a file; one without is removed.
    Returns:
        Whether it was done; not if it is still being written or another file has that name.
    """
    final = Path(os.path.realpath(path))
    partial = partial_path(final)
    try:
        lock = os.open(partial, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_open_as(lock, partial):
            return False
        if not has_content(partial):
            partial.unlink()
            return False
        move_into_place(partial, final, overwrite=overwrite)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _is_open_as(descriptor: int, path: Path) -> bool:
    """Whether an open file still has a name."""
    try:
        named = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    opened = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)
