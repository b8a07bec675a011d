"""What is told of a process that ended."""

import asyncio
import sys

import pytest

from ssa_stream.nodes.launcher.child import Child, Exit

_LOG = 'timestamp=2026-01-01T00:00:00Z level=info node=cam0 event="the broker is back"'
_ERROR = "cam0: error: no such file"


async def _end_of(said: str, end: str) -> Exit:
    """Run a process that says something on stderr and ends in some way."""
    code = f"import os, signal, sys; sys.stderr.write({said!r}); sys.stderr.flush(); {end}"
    child = await Child.start("cam0", 0, [sys.executable, "-S", "-c", code], lambda line: None)
    try:
        return await child.wait()
    finally:
        await child.close()


def _kill(name: str) -> str:
    return f"os.kill(os.getpid(), signal.{name})"


@pytest.mark.parametrize(
    ("said", "end", "told"),
    [
        (f"{_LOG}\n", _kill("SIGKILL"), "ended by SIGKILL"),
        ("a warning of a library\n", _kill("SIGTERM"), "ended by SIGTERM"),
        (f"{_LOG}\n", _kill("SIGABRT"), "ended by SIGABRT"),
        (f"{_LOG}\nout of memory\n", _kill("SIGABRT"), "ended by SIGABRT: out of memory"),
        (f"{_ERROR}\n{_LOG}\n", _kill("SIGKILL"), f"ended by SIGKILL: error: no such file\n{_LOG}"),
        (f"{_LOG}\n{_ERROR}\n", "sys.exit(1)", "exit code 1: error: no such file"),
        ("Traceback\nValueError: x\n", "sys.exit(1)", "exit code 1: ValueError: x"),
        ("", _kill("SIGSEGV"), "ended by SIGSEGV"),
        ("", "sys.exit(1)", "exit code 1"),
    ],
)
def test_end_is_explained_by_what_can_be_its_reason(said: str, end: str, told: str) -> None:
    """Not by a log line that happened to be the last one before a signal came from outside."""
    assert str(asyncio.run(_end_of(said, end))) == told
