"""The installed command line and the examples, as a user runs them."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import yaml

from tests.support.tiny_model import tiny_config

__all__ = ["CONSOLE_SCRIPT", "ROOT", "run_command", "write_tiny_config"]

ROOT = Path(__file__).parents[2]
CONSOLE_SCRIPT = Path(sys.executable).with_name("ssa-stream")
_TIMEOUT_S = 240.0


def run_command(
    *arguments: str | Path, cwd: Path, stdin: str = "", program: Sequence[str | Path] = (CONSOLE_SCRIPT,)
) -> subprocess.CompletedProcess[str]:
    """Run `ssa-stream ARGUMENTS` to its end and keep what it printed."""
    command = [str(part) for part in (*program, *arguments)]
    return subprocess.run(
        command, cwd=cwd, input=stdin, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )


def write_tiny_config(folder: Path) -> Path:
    """Write the configuration of the tests' small network, for `--model`."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(msgspec.to_builtins(tiny_config())))
    return path
