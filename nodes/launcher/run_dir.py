"""The folder of a running graph: socket files and the pipeline, for its owner only, removed with the graph.

It lies in the folder for temporary files, which is cleaned of what was not used for some days. Systemd's cleaner passes
over a folder that somebody has locked, so its launcher holds a lock on it; whatever another cleaner takes is made again
(`docs/adr/0078-a-locked-run-folder.md`). The lock ends with the launcher, and by that others know what it has left.
"""

import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from ssa_stream.errors import ConfigError, TransportError
from ssa_stream.nodes.pipeline import PipelineConfig, save_pipeline
from ssa_stream.nodes.runtime.logs import LogLimit
from ssa_stream.nodes.runtime.transport.segments import segment_prefix

__all__ = ["LockedFolder", "RunDir", "remove_leftovers"]

# The longest path of a socket is 107 bytes on Linux, 103 on macOS.
_MAX_SOCKET_PATH = 103
_NAME = re.compile(r"ssa-(?P<graph>[a-z0-9-]{1,24})-(?P<pid>[0-9]+)-[0-9a-f]{4}")
# Says that the maker of a folder holds a lock on it as long as it lives. Without this bit, which has no other meaning
# for a private folder, its process tells: in earlier versions, and on file systems without locks.
_HAS_LOCK = stat.S_ISVTX
_TOUCH_S = 3600.0
_LOG = structlog.get_logger()
RemoveSegments = Callable[[str], object]


class LockedFolder:
    """A private folder under the temporary one that is there as long as this process.

    Args:
        name: In its name, besides the process and some digits.
    """

    def __init__(self, name: str) -> None:
        self.path = Path(tempfile.gettempdir(), f"ssa-{name}-{os.getpid()}-{secrets.token_hex(2)}")
        self._lock: int | None = None
        self._touched_s = time.monotonic()
        self._limit = LogLimit(every_s=_TOUCH_S)

    def make(self) -> None:
        """Make the folder.

        Raises:
            TransportError: It cannot be made.
        """
        try:
            self.path.mkdir(mode=0o700)
        except OSError as error:
            raise TransportError(
                f"cannot create the folder {self.path} for sockets ({error.strerror}); set TMPDIR to a folder that can "
                f"be written to"
            ) from error
        self._take_lock()

    def keep(self) -> bool:
        """Make the folder again if somebody has removed it, and let cleaners see that it is used. Never raises.

        Returns:
            Whether it is there and ours.
        """
        try:
            if not self._is_there():
                self._unlock()
                self.path.mkdir(mode=0o700, exist_ok=True)
                if not _is_ours(self.path):
                    raise PermissionError(f"{self.path} belongs to another user")
                self.path.chmod(0o700)
                self._take_lock()
                _LOG.warning("the folder of the run was removed; it is made again", path=str(self.path))
            elif self._lock is None:
                self._take_lock()
            if time.monotonic() - self._touched_s > _TOUCH_S:
                self._touched_s = time.monotonic()
                for path in (self.path, *self.path.iterdir()):
                    os.utime(path, follow_symlinks=False)
        except OSError as error:
            if (left_out := self._limit.due("keep")) is not None:
                _LOG.error("the folder of the run is lost", path=str(self.path), error=str(error), left_out=left_out)
            return False
        return True

    def remove(self) -> None:
        """Remove the folder. May be called again."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._unlock()

    def _is_there(self) -> bool:
        """Whether the folder is the one that is locked, or where nothing can be locked, one of ours."""
        if self._lock is None:
            return _is_ours(self.path)
        try:
            named, opened = self.path.lstat(), os.fstat(self._lock)
        except OSError:
            return False
        return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)

    def _take_lock(self) -> None:
        """Lock it, if the system can; else the process is the only sign that it is used, and it is tried again."""
        try:
            self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.fchmod(self._lock, 0o700 | _HAS_LOCK)
        except OSError as error:
            self._unlock()
            if self._limit.due("lock") == 0:
                _LOG.warning("the folder of the run cannot be locked", path=str(self.path), error=str(error))

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class RunDir(LockedFolder):
    """The folder of a graph of processes, and the shared memory whose names begin with its name.

    Args:
        config: Names the graph; written for the nodes.
        remove_segments: Removes shared memory by the beginning of its name.
    """

    def __init__(self, config: PipelineConfig, remove_segments: RemoveSegments) -> None:
        super().__init__(config.name)
        self._config = config
        self._remove_segments = remove_segments
        longest = max((self.path / f"{name}.sock" for name in config.all_names), key=lambda path: len(bytes(path)))
        if len(bytes(longest)) > _MAX_SOCKET_PATH:
            raise ConfigError(
                f"the socket file {longest} has a path of {len(bytes(longest))} bytes; at most {_MAX_SOCKET_PATH} are "
                f"possible: shorten the names of pipeline and streams, or set TMPDIR to a shorter folder"
            )

    @property
    def pipeline(self) -> Path:
        """Where the pipeline is written for the nodes."""
        return self.path / "pipeline.yaml"

    def write_pipeline(self) -> None:
        """Write the pipeline for a node that starts now, whatever has become of the folder and of the file before.

        Raises:
            OSError: It is not there and cannot be written.
        """
        self.keep()
        try:
            save_pipeline(self._config, self.pipeline, survives_power_cut=False)
        except OSError:  # a full disk: that of an earlier start is as good
            if not (_is_ours(self.path) and self.pipeline.is_file()):
                raise

    def remove(self) -> None:
        """Remove the folder and the shared memory. May be called again."""
        self._remove_segments(segment_prefix(self.path))
        super().remove()


def remove_leftovers(remove_segments: RemoveSegments) -> list[str]:
    """Remove what launchers left that were killed.

    Returns:
        Names of the graphs whose folders were removed.
    """
    removed: list[str] = []
    try:
        found = list(Path(tempfile.gettempdir()).glob("ssa-*"))
    except OSError:
        return removed  # clean-up ends nothing; the next graph tries again
    for path in found:
        match = _NAME.fullmatch(path.name)
        if match is None or not _is_ours(path):
            continue
        if (lock := _lock_of_nobody(path, int(match["pid"]))) is None:
            continue
        try:
            remove_segments(segment_prefix(path))
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)
        removed.append(match["graph"])
    return removed


def _lock_of_nobody(path: Path, pid: int) -> int | None:
    """A folder's lock, to be closed, if nobody uses the folder any more; else None.

    Args:
        path: Of the folder.
        pid: The process that made it. Its number may be another one's by now.
    """
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # removed just now; or there are too many open files, and it is left for another time
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_left = bool(os.fstat(lock).st_mode & _HAS_LOCK) or not _is_running(pid)
    except BlockingIOError:
        is_left = False
    except OSError:  # a file system without locks
        is_left = not _is_running(pid)
    if not is_left:
        os.close(lock)
    return lock if is_left else None


def _is_ours(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False  # another launcher has just removed it
    return path.is_dir() and not path.is_symlink() and status.st_uid == os.getuid()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
