"""Video that comes through a pipe: standard input, a FIFO, an inherited descriptor. No wait is without a limit."""

import os
import select
import stat
import threading
import time

from ssa_stream.errors import SourceError, SourceErrorCode

__all__ = ["PipeReader", "open_descriptor", "open_fifo"]

_STDIN = 0
# How soon a read notices that the reader was closed by another thread.
_SLICE_S = 0.1


class PipeReader:
    """What FFmpeg reads a pipe through: as a file without a position, whose reads end in bounded time."""

    def __init__(self, descriptor: int, name: str, timeouts_s: tuple[float, float]) -> None:
        """Take over an open descriptor.

        Args:
            descriptor: Closed with this.
            name: What to call it in messages.
            timeouts_s: Longest wait for the first byte, and for one later read.
        """
        self.title = name
        self.problem: SourceError | None = None
        self._descriptor = descriptor
        self._timeouts_s = timeouts_s
        self._has_data = self._is_at_end = False
        self._closed = threading.Event()
        self._inside = threading.Lock()
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, waiting for the first one; none at the end.

        Raises:
            SourceError: Nothing came in time.
        """
        with self._inside:
            try:
                data = b"" if self._is_at_end else self._read(size)
            finally:
                self._release()
        self._has_data = self._has_data or bool(data)
        self._is_at_end = not data
        return data

    def close(self) -> None:
        """Let go of the pipe; a read that is under way ends soon."""
        self._closed.set()
        if self._inside.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._inside.release()

    @property
    def is_empty(self) -> bool:
        """Whether not a single byte came."""
        return not self._has_data

    def _read(self, size: int) -> bytes:
        limit_s = self._timeouts_s[self._has_data]
        end_s = time.monotonic() + limit_s
        while not self._closed.is_set():
            if self._poll.poll(_SLICE_S * 1000):
                return os.read(self._descriptor, size)
            if time.monotonic() > end_s:
                self.problem = self._silent(limit_s)
                raise self.problem
        return b""

    def _silent(self, limit_s: float) -> SourceError:
        if self._has_data:
            return SourceError(
                f"{self.title} stalled: the program that writes to it sent nothing for {limit_s:g} s",
                SourceErrorCode.STALLED,
            )
        return SourceError(
            f"cannot open {self.title}: it is a pipe and nobody wrote to it within {limit_s:g} s; start the program "
            "that writes, or allow more time",
            SourceErrorCode.TIMEOUT,
        )

    def _release(self) -> None:
        if self._closed.is_set() and self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def open_fifo(path: str, name: str, timeouts_s: tuple[float, float]) -> PipeReader:
    """Open a FIFO without waiting for a writer; the first read waits for one.

    Raises:
        SourceError: It may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SourceError(f"cannot open {name}: {error.strerror}") from error
    return PipeReader(descriptor, name, timeouts_s)


def open_descriptor(number: int, name: str, timeouts_s: tuple[float, float]) -> PipeReader | str:
    """Open what came to this process as an open descriptor.

    Returns:
        A pipe; or a path, if it is a file, which FFmpeg reads better under a name.
    Raises:
        SourceError: It is not open, a terminal, or nothing that holds a video.
    """
    what = "standard input" if number == _STDIN else f"descriptor {number}"
    advice = "pipe a video into it, such as: ffmpeg ... -f mpegts - | ssa-stream run - ..."
    try:
        mode = os.fstat(number).st_mode
    except OSError:
        raise SourceError(f"cannot open {name}: {what} is closed; {advice}") from None
    if stat.S_ISREG(mode):
        return f"/proc/self/fd/{number}"
    if os.isatty(number):
        raise SourceError(f"cannot open {name}: {what} is a terminal; {advice}")
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        raise SourceError(
            f"cannot open {name}: {what} is no pipe here (a node in a process of its own has none); {advice}, or give "
            "a file or a FIFO"
        )
    return PipeReader(os.dup(number), name, timeouts_s)
