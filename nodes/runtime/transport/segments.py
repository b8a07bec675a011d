"""Shared memory as files that processes map: how they are named, made, found and removed.

Files rather than `multiprocessing.shared_memory`, whose resource tracker removes, in Python 3.11, what another process
still uses. Layout of a file, in words of 8 bytes: magic, generation, released generation; from byte 64 on, tensors.
"""

import mmap
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Self

import structlog

from ssa_stream.errors import MessageError

__all__ = ["ALIGNMENT", "HEADER_BYTES", "Segment", "free_bytes", "memory_folder", "remove_segments", "segment_prefix"]

ALIGNMENT = 64
"""Of every tensor: a cache line, and the widest vector registers."""
HEADER_BYTES = 64
_MAGIC = int.from_bytes(b"ssa-ring", "little")
_MAGIC_WORD, _GENERATION_WORD, _RELEASED_WORD = 0, 1, 2
_NAME = re.compile(r"ssa-[A-Za-z0-9_.-]{1,200}")
_SHARED_MEMORY = Path("/dev/shm")
_log = structlog.get_logger()


def memory_folder() -> Path:
    """Where segments lie: in memory, or where the system has no such folder, in the folder for temporary files."""
    if _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK | os.X_OK):
        return _SHARED_MEMORY
    return Path(tempfile.gettempdir())


def free_bytes(folder: Path) -> int:
    """Room that is left in a folder."""
    return shutil.disk_usage(folder).free


def segment_prefix(run_dir: Path) -> str:
    """With what the names of all segments of a graph begin; its run directory tells it from other graphs."""
    return f"ssa-{run_dir.name.removeprefix('ssa-')}-"


def remove_segments(prefix: str, *, node: str | None = None, folder: Path | None = None) -> int:
    """Remove what processes that were killed have left. Who has it mapped may go on reading.

    Args:
        prefix: Of the graph, see `segment_prefix`.
        node: Only of this node, all its incarnations; None: of all nodes.
        folder: Where; None for `memory_folder()`.
    Returns:
        How many were removed. Nothing is raised: what cannot be removed, or looked for, is left, and logged.
    """
    rest = ".*" if node is None else rf"{re.escape(node)}-[0-9]+-[0-9]+"
    pattern = re.compile(re.escape(prefix) + rest)
    place, removed = folder or memory_folder(), 0
    try:
        for path in [path for path in place.iterdir() if pattern.fullmatch(path.name)]:
            path.unlink(missing_ok=True)
            removed += 1
    except OSError as error:
        _log.warning("shared memory not removed", folder=str(place), prefix=prefix, error=str(error))
    return removed


class Segment:
    """One file of shared memory, mapped whole for reading and writing.

    The map goes when nothing refers to it any more, tensors in it included: it is never closed under them.

    Attributes:
        path: Of the file.
        capacity: Bytes for tensors.
    """

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path = path
        self.capacity = size - HEADER_BYTES
        self._memory = memoryview(mmap.mmap(descriptor, size))
        self._words = self._memory[:HEADER_BYTES].cast("Q")

    @classmethod
    def create(cls, path: Path, capacity: int) -> Self:
        """Make a new file, readable for its owner only.

        Raises:
            OSError: There is no room for it, or it exists.
        """
        size = HEADER_BYTES + capacity
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if hasattr(os, "posix_fallocate"):  # takes the memory now: later, a lack of it would end the process
                os.posix_fallocate(descriptor, 0, size)
            else:
                os.ftruncate(descriptor, size)
            segment = cls(path, descriptor, size)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        segment._words[_MAGIC_WORD] = _MAGIC
        return segment

    @classmethod
    def open(cls, folder: Path, name: str) -> Self:
        """Map another process's file.

        Raises:
            MessageError: It is gone, or not one of ours.
        """
        if not _NAME.fullmatch(name):
            raise MessageError(f"shared memory {name[:80]!r} is not a name of ours")
        path = folder / name
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise MessageError(f"shared memory {path} cannot be opened: {error}; its sender may have ended") from error
        try:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid() or status.st_size <= HEADER_BYTES:
                raise MessageError(f"shared memory {path} has {status.st_size} bytes of user {status.st_uid}; not ours")
            segment = cls(path, descriptor, status.st_size)
        finally:
            os.close(descriptor)
        if segment._words[_MAGIC_WORD] != _MAGIC:
            raise MessageError(f"shared memory {path} begins with other bytes than expected")
        return segment

    @property
    def generation(self) -> int:
        """Which content it holds; written by its sender before the content."""
        return self._words[_GENERATION_WORD]

    @generation.setter
    def generation(self, value: int) -> None:
        self._words[_GENERATION_WORD] = value

    @property
    def released(self) -> int:
        """Newest generation that was read and is not needed any more; written by its reader."""
        return self._words[_RELEASED_WORD]

    @released.setter
    def released(self, value: int) -> None:
        self._words[_RELEASED_WORD] = value

    def release(self, generation: int) -> None:
        """Give a content back, unless its sender has taken it back before."""
        if self.generation == generation:
            self.released = generation

    def view(self, offset: int, length: int) -> memoryview:
        """Bytes of the content."""
        return self._memory[HEADER_BYTES + offset : HEADER_BYTES + offset + length]

    def remove(self) -> None:
        """Remove the file. Whoever has it mapped may go on reading."""
        self.path.unlink(missing_ok=True)

    def is_listed(self) -> bool:
        """Whether the file is still there; it is not once it was replaced, or its sender ended."""
        return self.path.exists()
