"""A node as a child process: start, output, end and exit reason."""

import asyncio
import os
import signal
import subprocess
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ssa_stream.log_lines import as_json_line, log_settings
from ssa_stream.nodes.runtime.logs import failure_in, is_log_line, text_of

__all__ = ["Child", "Exit"]

_LAST_LINES = 20
_READ_BYTES = 2**16
# What a process writes may outlive it in another one that it started; nobody waits for that for long.
_LAST_WORDS_S = 1.0
# What a process brings upon itself; the last line that it wrote may say how.
_CRASHES = frozenset(
    -number
    for number in (
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGSEGV,
        signal.SIGSYS,
        signal.SIGTRAP,
    )
)


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended.

    Attributes:
        code: Its exit code, or the number of the signal that ended it, negative.
        last_words: The error that it wrote to stderr, or else its last line there if that can be why it ended: after
            a signal that came from outside nothing can, after a crash no log line can.
    """

    code: int
    last_words: str = ""

    @property
    def is_own_verdict(self) -> bool:
        """Whether it reported an error of its own, as commands do: 1 the work failed, 2 it was set up wrongly."""
        return self.code in (1, 2)

    def __str__(self) -> str:
        if self.code < 0:
            try:
                how = f"ended by {signal.Signals(-self.code).name}"
            except ValueError:
                how = f"ended by signal {-self.code}"
        else:
            how = f"exit code {self.code}"
        return f"{how}: {self.last_words}" if self.last_words else how


class Child:
    """One start of a node. It has a process group of its own, so that Ctrl-C reaches the launcher only.

    Args:
        name: The node.
        incarnation: Which start of it.
        process: Running, with stderr piped.
        on_line: Called with each line that it writes to stderr.
    """

    def __init__(self, name: str, incarnation: int, process: Process, on_line: Callable[[str], None]) -> None:
        self.name = name
        self.incarnation = incarnation
        self._process = process
        self._on_line = on_line
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._reader = asyncio.create_task(self._read_stderr(), name=f"stderr of {name}")

    @classmethod
    async def start(
        cls, name: str, incarnation: int, command: Sequence[str], on_line: Callable[[str], None]
    ) -> "Child":
        """Start a process.

        Raises:
            OSError: There is no such program, or no room for another process.
        """
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
        return cls(name, incarnation, process, on_line)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    async def wait(self) -> Exit:
        """Wait for its end. Cancelling it leaves the process as it is."""
        code = await self._process.wait()
        if not self._reader.done():
            await asyncio.wait([self._reader], timeout=_LAST_WORDS_S)
        return Exit(code, self._last_words(code))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to what it has started; nothing if it has ended."""
        if self.is_running:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                pass  # it has ended and has not been waited for yet

    async def close(self) -> None:
        """Kill it if it runs, and wait for its end; nothing of it is left then."""
        self.signal(signal.SIGKILL)
        await self._process.wait()
        self._reader.cancel()
        await asyncio.wait([self._reader])

    def _last_words(self, code: int) -> str:
        """From the last line that begins as errors of nodes do, with the node's name; that may be several lines.

        Without such a line it is the last one, if it can be why the process ended with this code.
        """
        lines = [line for line in self._lines if line.strip()]
        failure = failure_in(lines, self.name)
        if failure is None:
            last = lines[-1] if lines else ""
            is_reason = code >= 0 or (code in _CRASHES and not is_log_line(last))
            return text_of(last) if is_reason else ""
        return failure

    async def _read_stderr(self) -> None:
        stream, rest = self._process.stderr, b""
        assert stream is not None  # it was asked for at the start
        while chunk := await stream.read(_READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _READ_BYTES:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._take(line)
        if rest:
            self._take(rest)

    def _take(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self._lines.append(text)
        self._on_line(as_json_line(text, node=self.name) if log_settings().format == "json" else text)
