"""Ctrl-C at the very start, and a terminal that is closed: commands end in order, unless they were told to stay."""

import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import CONSOLE_SCRIPT, running
from tests.support.recordings import MODEL, picture_times, whole_lines, write_pipeline
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

_ENDLESS = "synthetic@64x48,30fps"


def _expect_complete(folder: Path) -> None:
    lines = whole_lines(folder / "m.jsonl")
    assert len(lines) >= 5
    assert len(picture_times(folder / "o.mp4")) == len(lines)
    assert not list(folder.glob("*.partial.*"))


def _has_lines(folder: Path, count: int = 5) -> bool:
    path = folder / "m.partial.jsonl"
    return path.exists() and path.read_bytes().count(b"\n") >= count


@pytest.mark.parametrize("command", ["run", "fused", "processes"])
def test_hangup_sent_twice_ends_in_order(tmp_path: Path, command: str) -> None:
    """By the system and by the shell: exit status 0, outputs and report complete."""
    stream = {"source": _ENDLESS, "prompts": ["x"], "outputs": ["o.mp4", "m.jsonl"]}
    path = write_pipeline(tmp_path, {"cam0": stream}, placement="fused" if command == "run" else command)
    run = ["run", _ENDLESS, "-p", "x", *MODEL, "-o", "o.mp4", "-o", "m.jsonl"]
    started = [CONSOLE_SCRIPT, *(run if command == "run" else ["up", path]), "--json", "r.json"]
    with running(started, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        wait_until(lambda: _has_lines(tmp_path))
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGHUP)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "ended by" in said
    assert (tmp_path / "r.json").exists()
    _expect_complete(tmp_path)


def test_closed_terminal_ends_a_run_in_order(tmp_path: Path) -> None:
    """The real thing: the system sends the signal, and nobody reads what the command prints."""
    write_pipeline(tmp_path, {})
    command = [CONSOLE_SCRIPT, "run", _ENDLESS, "-p", "x", *MODEL, "-q", "-o", "o.mp4", "-o", "m.jsonl"]
    pid, terminal = pty.fork()
    if pid == 0:  # the command, in a session of its own with that terminal
        os.chdir(tmp_path)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        log = os.open("log.txt", os.O_CREAT | os.O_WRONLY)
        os.dup2(log, 2)
        os.execv(CONSOLE_SCRIPT, [str(part) for part in command])
    wait_until(lambda: _has_lines(tmp_path))
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, (tmp_path / "log.txt").read_text()
    _expect_complete(tmp_path)


def test_nohup_stays(tmp_path: Path) -> None:
    """Whoever ignores the signal at the start goes on."""
    write_pipeline(tmp_path, {})
    command = ["run", _ENDLESS, "-p", "x", *MODEL, "-q", "-o", "o.mp4", "-o", "m.jsonl"]
    with running(["nohup", CONSOLE_SCRIPT, *command], cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: _has_lines(tmp_path))
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: _has_lines(tmp_path, 20))
        assert process.poll() is None
        process.terminate()
        assert process.wait(60) == 0
    _expect_complete(tmp_path)


def test_interrupt_before_anything_is_imported_is_quiet(tmp_path: Path) -> None:
    """Ctrl-C in the first half second: status 130 and no traceback, as later."""
    (tmp_path / "typer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    # The tests may be a background job of a shell, which ignores Ctrl-C and hands that on.
    command = ["env", "--default-signal=INT", str(CONSOLE_SCRIPT), "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
