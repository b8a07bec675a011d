"""Runs programs in forks of one process in which torch cannot be imported: `without_torch.py < JSON`.

The input is a list of programs, each a list of words: the first one is `ssa-stream` or the path of a Python file. The
output is a list of `[exit code, stdout, stderr]`.
"""

import contextlib
import gc
import json
import os
import runpy
import sys
import tempfile
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path

_MODULES = (
    "ssa_stream.cli.entry",
    "ssa_stream.cli.checks.arguments",
    "ssa_stream.evaluation",
    "ssa_stream.nodes.launcher",
    "ssa_stream.sinks",
    "ssa_stream.training",
    "typer.rich_utils",
)
"""What most commands import, so that not every fork does."""


class NoTorch(MetaPathFinder):
    """Refuses to find torch."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Raise for torch, pass on everything else."""
        if name.partition(".")[0] == "torch":
            raise RuntimeError("torch is imported")
        return None


def run(words: list[str]) -> tuple[int, str, str]:
    """Run one program to its end."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        pid = os.fork()
        if pid == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            _be(words)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out.seek(0)
        errors.seek(0)
        return code, out.read(), errors.read()


def _be(words: list[str]) -> None:
    """Run a program in this process and end it."""
    sys.argv, code = words, 1
    try:
        if words[0] == "ssa-stream":
            from ssa_stream.cli.entry import entry

            entry()
        else:
            sys.path.insert(0, str(Path(words[0]).parent))
            runpy.run_path(words[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException as error:  # of an example; what it was is for the test to see
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.meta_path.insert(0, NoTorch())
    for module in _MODULES:
        __import__(module)
    from ssa_stream.cli.main import app
    from ssa_stream.errors import ConfigError

    with contextlib.suppress(ConfigError):  # what typer itself imports when a command is run
        app(["run", "synthetic", "--prompt", ""], standalone_mode=False)
    gc.freeze()
    print(json.dumps([run(words) for words in json.load(sys.stdin)]))
