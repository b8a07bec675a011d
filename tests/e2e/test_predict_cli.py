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

OPTIONS = ("--data", f"mevis:{ROOTS['mevis']}", "--split", "valid_u", "--threads", "1", "--random-weights", "--zip")
DEADLINE_S = 120.0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Results of a run that nothing disturbed; its last line names the next command."""
    folder = tmp_path_factory.mktemp("whole")
    done = run_command("predict", *OPTIONS, "--workers", "0", "-o", folder / "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert f"score it with: ssa-stream score --data mevis:{ROOTS['mevis']}" in done.stderr.splitlines()[-1]
    return tree(folder / "out")


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


def test_run_that_is_interrupted_and_killed_goes_on_to_the_same_bytes(whole: dict[str, bytes], tmp_path: Path) -> None:
    """Ctrl-C says how to go on; a folder with masks is refused without --resume; nothing is computed twice."""
    out = tmp_path / "out"
    interrupted = _after_masks(out, 0, signal.SIGINT)
    assert interrupted.returncode == 0, interrupted.stderr
    assert "go on with: ssa-stream predict" in interrupted.stderr
    assert "--resume" in interrupted.stderr
    refused = run_command("predict", *OPTIONS, "-o", out, cwd=tmp_path)
    assert refused.returncode == 2
    assert "go on with it by --resume" in refused.stderr
    kept = tree(out)
    assert 0 < len(kept) < len(whole)
    sentences = len(list(out.glob("valid_u/*/*")))
    assert _after_masks(out, sentences, signal.SIGKILL, "--resume").returncode == -signal.SIGKILL
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.png") if ".predict" not in path.parts}
    ended = run_command("predict", *OPTIONS, "-o", out, "--resume", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert tree(out) == whole


def test_torchrun_shares_the_work(whole: dict[str, bytes], tmp_path: Path) -> None:
    """Two processes of torchrun do a part each; the last one puts the zip together."""
    torchrun = Path(sys.executable).with_name("torchrun")
    program = (torchrun, "--nproc-per-node", "2", CONSOLE_SCRIPT)
    done = run_command("predict", *OPTIONS, "--workers", "0", "-o", tmp_path / "out", cwd=tmp_path, program=program)
    assert done.returncode == 0, done.stderr
    assert "part 0/2" in done.stderr
    assert "part 1/2" in done.stderr
    assert tree(tmp_path / "out") == whole
