"""Standard streams of a program that must go on when nobody reads them any more.

A pager that was stopped, a terminal that was closed, a log disk that is full: writing to stderr then blocks, or raises.
Here it does neither. What cannot be written is counted and left out, and the next lines that can be written say how
many are missing. Results on stdout are another matter: see `ssa_stream.cli.views.console`.
"""

import atexit
import contextlib
import errno
import io
import logging
import os
import select
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import deque
from types import TracebackType
from typing import Any, NamedTuple, TextIO

from ssa_stream.log_lines import EVENT_BEGIN, LogLevel, as_json_line, is_logged, json_line, log_settings
from ssa_stream.printable import printable_lines

__all__ = [
    "READER_GONE",
    "LossyWriter",
    "finish_standard_streams",
    "lines_lost",
    "result_failure",
    "set_up_standard_streams",
    "show_exception",
    "silence",
]

READER_GONE = (errno.EPIPE, errno.EIO, errno.ECONNRESET)
"""Why a write fails when the reader has ended or its terminal was closed."""

_CAPACITY_BYTES = 2**18
"""What waits for a slow reader: some 2,000 lines."""
_LAST_WORDS_S = 1.0
_LONGEST_LINE_BYTES = 2**16
_STDOUT, _STDERR = 1, 2


class _Waiting(NamedTuple):
    data: bytes
    dropped_before: int


class LossyWriter(io.RawIOBase):
    """Writes to a descriptor from a thread of its own: `write` neither waits nor fails. May be used from any thread.

    Args:
        descriptor: Stays open.
        capacity_bytes: What may wait to be written; more is left out.
    """

    def __init__(self, descriptor: int, capacity_bytes: int = _CAPACITY_BYTES) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._capacity_bytes = capacity_bytes
        # Reentrant: a signal's handler may write while its thread is in here.
        self._condition = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._dropped = self._failed = self._told = 0
        self._is_broken_off = self._is_forked = self._has_ended = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    @property
    def lost(self) -> int:
        """Lines that were left out so far."""
        return self._dropped + self._failed

    def write(self, data: Any) -> int:
        """Take in whole lines, usually."""
        text = bytes(data)
        if self._is_forked:  # no thread is left there, and such processes do not serve streams
            os.write(self._descriptor, text)
            return len(text)
        with self._condition:
            if self._has_ended or self._waiting_bytes + len(text) > self._capacity_bytes:
                self._dropped += text.count(b"\n")
            else:
                self._waiting.append(_Waiting(text, self._dropped))
                self._waiting_bytes += len(text)
                self._start()
                self._condition.notify_all()
        return len(text)

    def drain(self, timeout_s: float) -> bool:
        """Wait until everything is written or has failed; False if that did not happen in time."""
        end_s = time.monotonic() + timeout_s
        with self._condition:
            while self._waiting and not self._is_forked:
                if not self._condition.wait(end_s - time.monotonic()) and time.monotonic() >= end_s:
                    return False
        return True

    def end(self, timeout_s: float) -> None:
        """Write what waits, for some time, and say what is missing at the end; later writes are left out."""
        with self._condition:
            if self._has_ended:
                return
            if self.lost > self._told:
                self._waiting.append(_Waiting(b"", self._dropped))
                self._start()
                self._condition.notify_all()
        is_drained = self.drain(timeout_s)
        with self._condition:
            self._has_ended = True
            self._condition.notify_all()
        thread = self._thread
        if is_drained and thread is not None and not self._is_forked:
            thread.join(timeout_s)

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal's."""
        return os.isatty(self._descriptor)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="stderr", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            with self._condition:
                while not self._waiting:
                    if self._has_ended:
                        return
                    self._condition.wait()
                item = self._waiting[0]
            is_written = self._put(item)
            with self._condition:
                if not is_written:
                    self._failed += item.data.count(b"\n")
                self._waiting.popleft()
                self._waiting_bytes -= len(item.data)
                self._condition.notify_all()

    def _put(self, item: _Waiting) -> bool:
        """Write it, after a line about what is missing before it; False if it fails, even in part."""
        lost = item.dropped_before + self._failed
        missing = lost - self._told
        rest = memoryview((self._note(missing) if missing > 0 else b"") + item.data)
        try:
            while rest:
                try:
                    rest = rest[os.write(self._descriptor, rest) :]
                except BlockingIOError:  # somebody has made the descriptor non-blocking
                    select.select([], [self._descriptor], [])
        except (OSError, ValueError):  # ValueError: a descriptor too large for select
            self._is_broken_off = self._is_broken_off or len(rest) < len(item.data)
            return False
        self._is_broken_off = False
        self._told = max(self._told, lost)
        return True

    def _note(self, missing: int) -> bytes:
        begin = "\n" if self._is_broken_off else ""
        text = f"(here {missing} lines are missing: they could not be written)"
        if log_settings().format == "json":
            text = json_line("warning", "lines are missing", text=text, lines=missing)
        return f"{begin}{text}\n".encode()

    def _after_fork(self) -> None:
        self._is_forked = True
        self._condition = threading.Condition(threading.RLock())
        self._thread = None
        self._waiting.clear()
        self._waiting_bytes = 0


class _JsonLines(io.RawIOBase):
    """Takes lines of any kind, and passes each on as one JSON object (`ssa_stream.log_lines`)."""

    def __init__(self, writer: LossyWriter) -> None:
        super().__init__()
        self._writer = writer
        self._rest = b""

    def write(self, data: Any) -> int:
        """Take in any bytes; what is no whole line waits for its rest."""
        text = bytes(data)
        *lines, self._rest = (self._rest + text).split(b"\n")
        if len(self._rest) > _LONGEST_LINE_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            # An event begins a line of its own, also after something that did not end its line.
            begun, event, rest = line.decode(errors="replace").rstrip("\r").partition(EVENT_BEGIN)
            for part in filter(str.strip, (begun, event + rest)):
                self._writer.write(as_json_line(part).encode() + b"\n")
        return len(text)

    def end(self) -> None:
        """Nothing more comes: pass on what waits."""
        if self._rest:
            self.write(b"\n")

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """That of stderr."""
        return _STDERR

    def isatty(self) -> bool:
        """Not for those who ask: colours and moves of the cursor are no JSON."""
        return False


class _JsonStderr:
    """All that this process writes to stderr as JSON lines: by Python, and by libraries in C past it.

    The latter comes through a pipe that takes the place of the descriptor. The last words of a process that a signal
    ends may be lost in it.
    """

    def __init__(self, *, descriptor: bool) -> None:
        self._own = os.dup(_STDERR) if descriptor else _STDERR
        self.writer = LossyWriter(self._own)
        self.lines = _JsonLines(self.writer)
        self._thread: threading.Thread | None = None
        if descriptor:
            reading, writing = os.pipe()
            os.dup2(writing, _STDERR)
            os.close(writing)
            self._thread = threading.Thread(target=self._read, args=(reading,), name="stderr of libraries", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Take in what was written last; from now on the descriptor is stderr itself."""
        self.lines.end()
        if self._thread is not None:
            os.dup2(self._own, _STDERR)  # ends the pipe, unless another process holds it, too
            self._thread.join(_LAST_WORDS_S)
            self._thread = None

    def _read(self, reading: int) -> None:
        lines = _JsonLines(self.writer)
        while data := os.read(reading, _LONGEST_LINE_BYTES):
            lines.write(data)
        lines.end()
        os.close(reading)


class _WatchedFile(io.FileIO):
    """Remembers why it could not be written to."""

    failure: OSError | None = None
    former: TextIO | None = None
    """Not to be collected: it would close the descriptor."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.failure = error
            raise


# There is one of each in a process, as there is one descriptor 1 and one descriptor 2.
_stdout: _WatchedFile | None = None
_stderr: LossyWriter | None = None
_json_stderr: _JsonStderr | None = None


def set_up_standard_streams(*, libraries: bool = False) -> None:
    """Make the standard streams of this process safe to write to; called once, where a program starts.

    Descriptors 0 to 2 that are closed are opened on the null device: the next file or socket would get their number,
    and log lines would go into it. From then on `sys.stderr` neither waits nor fails, no text fails because the
    terminal cannot show it, and tracebacks, warnings and the lines of `logging` show what is hidden in them. A terminal
    that lets programs in the background not write (`stty tostop`) is written to all the same; programs that are
    started afterwards do so, too.

    Where the log is JSON (`ssa_stream.log_lines`), lines of any other kind become events of it.

    Args:
        libraries: Where the log is JSON: so does what libraries write past Python. Else that is left to whoever
            started this process and reads what it writes.
    """
    global _json_stderr, _stderr, _stdout
    _open_missing()
    if hasattr(signal, "SIGTTOU"):  # it would stop all threads: a service must not hang on a line of its log
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if _stdout is None and type(sys.stdout) is io.TextIOWrapper:  # else it is somebody's who captures what is printed
        _stdout = _WatchedFile(_STDOUT, "wb", closefd=False)
        _stdout.former = sys.stdout
        sys.stdout = io.TextIOWrapper(
            _stdout if sys.stdout.write_through else io.BufferedWriter(_stdout),
            encoding=sys.stdout.encoding,
            errors="backslashreplace",
            line_buffering=sys.stdout.line_buffering,
            write_through=sys.stdout.write_through,
        )
    if _stderr is None and log_settings().format == "json":
        _json_stderr = _JsonStderr(descriptor=libraries)
        _stderr = _json_stderr.writer
        sys.stderr = io.TextIOWrapper(
            _json_stderr.lines,  # likewise
            encoding="utf-8",
            errors="backslashreplace",
            line_buffering=True,
        )
        atexit.register(_stderr.end, _LAST_WORDS_S)
    elif _stderr is None:
        encoding = sys.stderr.encoding
        _stderr = LossyWriter(_STDERR)
        sys.stderr = io.TextIOWrapper(
            _stderr,  # takes what it is given at once, as a buffer does
            encoding=encoding,
            errors="backslashreplace",
            line_buffering=True,
        )
        atexit.register(_stderr.end, _LAST_WORDS_S)
    sys.excepthook = show_exception
    threading.excepthook = _show_thread_exception
    logging.lastResort = _plain_handler()
    warnings.formatwarning = _format_warning


def lines_lost() -> int:
    """How many lines of log and view this process could not write to stderr so far."""
    return 0 if _stderr is None else _stderr.lost


def finish_standard_streams(code: int) -> int:
    """Write what waits to stdout and, for a short time, to stderr. Nothing that fails here ends the process otherwise.

    Args:
        code: The exit code so far.
    Returns:
        The exit code; 1 in place of 0 if results could not be written, unless their reader has gone.
    """
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        silence(_STDOUT)
        if isinstance(error, OSError) and error.errno not in READER_GONE:
            with contextlib.suppress(OSError, ValueError):  # it may be gone, too
                text = f"cannot write to standard output ({error.strerror})"
                is_json = log_settings().format == "json"
                sys.stderr.write((json_line("error", "error", text=text) if is_json else f"error: {text}") + "\n")
            code = code or 1
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    if _json_stderr is not None:
        _json_stderr.end()
    if _stderr is not None:
        _stderr.end(_LAST_WORDS_S)
    return code


def result_failure(error: BaseException) -> OSError | None:
    """Why results could not be written to stdout, if that is what ended the program; else None.

    Args:
        error: What a library raised that prints by itself, such as a help text: the failure, or, where the reader has
            gone, the SystemExit into which typer and rich turn it.
    """
    cause = error.__context__ if isinstance(error, SystemExit) else error
    return cause if isinstance(cause, OSError) and _stdout is not None and cause is _stdout.failure else None


def silence(descriptor: int) -> None:
    """Let what is still written to a descriptor go nowhere, so that closing it at the end cannot fail."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, descriptor)
    os.close(null)


def show_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback, hidden characters written out; takes the place of `sys.excepthook`."""
    _show("unexpected error", kind, error, trace)


def _show(event: str, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    shown = "".join(traceback.format_exception(kind, error, trace)).rstrip("\n")
    if log_settings().format == "json":
        line = json_line("error", event, text=f"{kind.__name__}: {error}", exception=shown)
    else:
        line = printable_lines(shown)
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _show_thread_exception(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or args.exc_type is SystemExit:
        return
    name = args.thread.name if args.thread else "?"
    if log_settings().format == "text":
        sys.stderr.write(f"Exception in thread {name}:\n")
    _show(f"unexpected error in thread {name}", args.exc_type, args.exc_value, args.exc_traceback)


class _PlainFormatter(logging.Formatter):
    """Messages alone, as Python prints those of programs that set no logging up; a traceback keeps its lines."""

    def format(self, record: logging.LogRecord) -> str:
        if log_settings().format == "text":
            return printable_lines(super().format(record))
        trace = {"exception": self.formatException(record.exc_info)} if record.exc_info else {}
        library = record.name.partition(".")[0]
        return json_line(_level(record), record.getMessage(), library=library, **trace)


class _ToStderr(logging.StreamHandler[TextIO]):
    """Writes to whatever stderr is at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        if is_logged(_level(record)):
            self.stream = sys.stderr
            super().emit(record)


def _level(record: logging.LogRecord) -> LogLevel:
    """Of the levels of this package the one that is meant."""
    return "error" if record.levelno >= logging.ERROR else "warning"


def _plain_handler() -> "logging.StreamHandler[TextIO]":
    handler = _ToStderr()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_PlainFormatter())
    return handler


def _format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    text = f"{category.__name__}: {message}"
    if log_settings().format == "json":
        return json_line("warning", "warning of Python", text=text, file=filename, line=lineno) + "\n"
    return printable_lines(f"{filename}:{lineno}: {text}\n")


def _open_missing() -> None:
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest free number, and all below are taken
            os.set_inheritable(opened, True)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")
