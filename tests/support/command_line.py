"""The installed command line and the examples, as a user runs them."""

import contextlib
import io
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
import pytest
import yaml

from tests.support.tiny_model import tiny_config

__all__ = ["CONSOLE_SCRIPT", "ROOT", "read_until", "run_command", "run_tool", "running", "write_tiny_config"]

ROOT = Path(__file__).parents[2]
CONSOLE_SCRIPT = Path(sys.executable).with_name("ssa-stream")
_TIMEOUT_S = 240.0


def run_command(
    *arguments: str | Path, cwd: Path, stdin: str = "", program: Sequence[str | Path] = (CONSOLE_SCRIPT,)
) -> subprocess.CompletedProcess[str]:
    """Run `ssa-stream ARGUMENTS` to its end and keep what it printed; all frames that it read are accounted for."""
    command = [str(part) for part in (*program, *arguments)]
    done = subprocess.run(
        command, cwd=cwd, input=stdin, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    _expect_accounts(done.stderr)
    return done


def _expect_accounts(printed: str) -> None:
    """A run that ended by itself says of every frame that it read what became of it."""
    for ended, read, parts in re.findall(r"^(done|ended).*\n(?:.*\n)*?read (\d+) frames: (.*)$", printed, re.MULTILINE):
        counts = {reason: int(count) for count, reason in (part.split(" ", 1) for part in parts.split(", "))}
        assert sum(counts.values()) == int(read), printed
        assert ended == "ended" or "under way" not in counts, printed


def run_tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `python tools/NAME.py ARGUMENTS` in this process, which has torch, and keep what it printed."""
    code, path = 0, str(ROOT / "tools" / f"{name}.py")
    command = [path, *map(str, arguments)]
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as errors,
    ):
        patch.setattr(sys, "argv", command)
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return subprocess.CompletedProcess(command, code, out.getvalue(), errors.getvalue())


@contextmanager
def running(command: Sequence[str | Path], *, cwd: Path, **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """Start a program; kill it if it has not ended with the body.

    Args:
        command: The program and its arguments.
        cwd: Its working folder.
        options: As `subprocess.Popen` takes them.
    """
    process = subprocess.Popen([str(part) for part in command], cwd=cwd, text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def read_until(pipe: IO[str] | None, text: str) -> str:
    """Read lines up to one that holds a text; what was read."""
    assert pipe is not None
    printed = ""
    while text not in printed:
        line = pipe.readline()
        assert line, printed
        printed += line
    return printed


def write_tiny_config(folder: Path) -> Path:
    """Write the configuration of the tests' small network, for `--model`."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(msgspec.to_builtins(tiny_config())))
    return path
