"""What the other tests rely on: a program that starts warm runs as one that an interpreter was started for."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.usefixtures("warm_python"),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux can do it"),
]

LOOK = """
import json, os, sys, threading
found = {
    "argv": sys.argv, "path": sys.path[0], "name": __name__, "cwd": os.getcwd(), "parent": os.getppid(),
    "said": input(), "leads_session": os.getsid(0) == os.getpid(), "variable": os.environ.get("VARIABLE"),
    "shown": open("/proc/self/cmdline").read().rstrip(chr(0)).split(chr(0)), "threads": len(threading.enumerate()),
    "descriptors": sorted(os.listdir("/proc/self/fd"))[:3],
}
print(json.dumps(found))
print("error", file=sys.stderr)
sys.exit(7)
"""
IS_WARM = "import sys; print('torch' in sys.modules)"


def _look(command: Sequence[str], folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env={**os.environ, "VARIABLE": "here"}, input="hello\n", text=True,
        capture_output=True, check=False, start_new_session=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (7, "error\n")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    "command", [["-c", LOOK, "word"], ["-P", "-c", LOOK], ["-m", "look", "--option"], ["look.py", "a", "b"]]
)
def test_warm_program_sees_what_it_would_see_otherwise(command: list[str], tmp_path: Path) -> None:
    """Arguments, folder, environment, parent, streams, session; and it is shown with its own command line."""
    (tmp_path / "look.py").write_text(LOOK)
    warm = _look(command, tmp_path)
    cold = _look(["-X", "utf8=0", *command], tmp_path)
    cold["shown"][1:3] = []
    if not Path(command[0]).suffix:  # an interpreter takes a script's folder as it was given
        assert warm == cold
    assert warm | {"path": ""} == cold | {"path": ""}
    assert warm["parent"] == os.getpid()


def test_programs_start_warm_unless_they_ask_the_interpreter_for_something() -> None:
    """Options and variables that only a fresh one can obey."""
    for options, variables, expected in (
        ([], {}, "True\n"),
        (["-P"], {"PYTHONUNBUFFERED": "1"}, "True\n"),
        (["-I"], {}, "False\n"),
        ([], {"PYTHONHASHSEED": "1"}, "False\n"),
        ([], {"OMP_NUM_THREADS": "7"}, "False\n"),
    ):
        command = [sys.executable, *options, "-c", IS_WARM]
        environment = {**os.environ, **variables}
        assert subprocess.check_output(command, text=True, env=environment, timeout=60) == expected


@pytest.mark.parametrize(
    ("code", "returned", "last_line"),
    [
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit('in words')", 1, "in words"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT, "KeyboardInterrupt"),
        ("import os, sys; print('last', file=sys.stderr); os._exit(3)", 3, "last"),
    ],
)
def test_warm_program_ends_as_otherwise(code: str, returned: int, last_line: str) -> None:
    """By an error, by words, by Ctrl-C, at once."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (returned, last_line)


def test_warm_program_is_killed_as_any_other() -> None:
    """And what it has written before is there."""
    code = "import time; print('begun', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.kill()
        assert process.wait(60) == -signal.SIGKILL


def test_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """No process is left."""
    with pytest.raises(FileNotFoundError, match="gone"):
        subprocess.run([sys.executable, "-c", ""], cwd=tmp_path / "gone", check=False)
