"""`ssa-stream predict` as real processes: interrupted, killed, resumed, and shared by torchrun."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.command_line import CONSOLE_SCRIPT, run_command, running
from tests.support.data_sets import ROOTS
from tests.unit.evaluation.predicting import tree

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300), pytest.mark.usefixtures("warm_python")]

DATA = ("--data", f"mevis:{ROOTS['mevis']}", "--split", "valid_u", "--zip")
OPTIONS = (*DATA, "--random-weights", "--threads", "1", "--short-edge", "64", "--workers", "0")
DEADLINE_S = 120.0


def _after_masks(out: Path, more_than: int, number: signal.Signals, *options: str) -> subprocess.CompletedProcess[str]:
    """Run until there are masks of more sentences than so many, and send a signal."""
    command = [str(CONSOLE_SCRIPT), "predict", *OPTIONS, "-o", str(out), *options]
    with running(command, cwd=out.parent, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + DEADLINE_S
        while len(list(out.glob("valid_u/*/*"))) <= more_than:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        _, told = process.communicate(timeout=DEADLINE_S)
        return subprocess.CompletedProcess(command, process.returncode, "", told)


def test_run_that_is_ended_twice_goes_on_to_the_bytes_of_a_shared_one(tmp_path: Path) -> None:
    """Ctrl-C says how to go on, and nothing is computed twice; two processes of torchrun begin and end together.

    Unit tests compare both with a run that nothing disturbed.
    """
    out = tmp_path / "out"
    interrupted = _after_masks(out, 0, signal.SIGINT, "--workers", "1")
    assert interrupted.returncode == 0, interrupted.stderr
    assert "go on with: ssa-stream predict" in interrupted.stderr
    assert "--resume" in interrupted.stderr
    kept = tree(out)
    sentences = len(list(out.glob("valid_u/*/*")))
    assert _after_masks(out, sentences, signal.SIGKILL, "--resume").returncode == -signal.SIGKILL
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.png") if ".predict" not in path.parts}
    ended = run_command("predict", *OPTIONS, "-o", out, "--resume", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert f"score it with: ssa-stream score --data mevis:{ROOTS['mevis']}" in ended.stderr.splitlines()[-1]
    assert {path: path.stat().st_mtime_ns for path in times} == times
    program = (Path(sys.executable).with_name("torchrun"), "--nproc-per-node", "2", CONSOLE_SCRIPT)
    shared = run_command("predict", *OPTIONS, "-o", tmp_path / "shared", cwd=tmp_path, program=program)
    assert shared.returncode == 0, shared.stderr
    assert "part 0/2" in shared.stderr
    assert "part 1/2" in shared.stderr
    whole = tree(tmp_path / "shared")
    assert 0 < len(kept) < len(times) + 1 < len(whole)
    assert tree(out) == whole
