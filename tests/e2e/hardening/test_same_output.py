"""Processes that are to write one file: one does, the others are told, and what it writes is whole."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ssa_stream.files import is_claimed
from ssa_stream.nodes.pipeline import MASKS
from tests.support.command_line import CONSOLE_SCRIPT, run_command, running
from tests.support.recordings import MODEL, whole_lines, write_pipeline
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

_RACE = """
import sys
from ssa_stream.errors import SinkError
from ssa_stream.sinks import open_sink
print("ready", flush=True)
sys.stdin.readline()
try:
    sink = open_sink(sys.argv[1], overwrite=sys.argv[2] == "overwrite")
except SinkError as error:
    print(error, flush=True)
else:
    print("opened", flush=True)
    sys.stdin.readline()
    sink.close()
"""


@pytest.mark.parametrize("how", ["overwrite", "new"])
def test_processes_that_open_one_output_at_the_same_moment(tmp_path: Path, how: str) -> None:
    """By whatever names of it; exactly one gets it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "link.mp4").symlink_to("real/o.mp4")
    names = ["real/o.mp4", "folder/o.mp4", "./real/../real/o.mp4", "link.mp4", f"video:{tmp_path}/real/o.mp4"]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _RACE, name, how], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]  # fmt: skip
    try:
        for _ in _each(started):
            pass
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        said = list(_each(started))
    finally:
        for process in started:
            process.communicate("\n", timeout=60)
    assert said.count("opened") == 1
    assert sum("another process is writing it" in one for one in said) == len(names) - 1


def _each(started: list["subprocess.Popen[str]"]) -> list[str]:
    lines = []
    for process in started:
        assert process.stdout is not None
        lines.append(process.stdout.readline().strip())
    return lines


@pytest.mark.parametrize(("first", "placement"), [("run", "processes"), ("up", "fused")])
def test_graph_with_an_output_that_is_being_written_is_refused(tmp_path: Path, first: str, placement: str) -> None:
    """By a run or by another graph: exit status 1 and the reason; whoever was first is not disturbed."""
    stream = {"source": "synthetic@64x48,30fps,5frames", "prompts": ["x"], "outputs": ["m.jsonl"]}
    path = write_pipeline(tmp_path, {"cam0": stream}, placement=placement, overwrite=True)
    lines, endless = tmp_path / "m.partial.jsonl", "synthetic@64x48,30fps,1000000frames"
    command = {
        "run": ["run", endless, "-p", "x", *MODEL, "-q", "-o", "m.jsonl", "--overwrite"],
        "up": ["up", str(path), "-q", "--source", endless],
    }
    with running([str(CONSOLE_SCRIPT), *command[first]], cwd=tmp_path) as process:
        wait_until(lambda: lines.exists() and lines.stat().st_size > 0)
        done = run_command("up", path, "-q", cwd=tmp_path)
        assert done.returncode == 1, done.stderr
        assert "another process is writing it" in done.stderr
        process.terminate()
        assert process.wait(60) == 0
    frames = [line["index"] for line in whole_lines(tmp_path / "m.jsonl")]
    assert frames == list(range(len(frames)))


def test_output_belongs_to_its_graph_when_the_node_that_wrote_it_has_died(tmp_path: Path) -> None:
    """Others are refused after the restart as before it, and the part that is there stays."""
    stream = {"source": "synthetic@64x48,30fps,1000000frames", "prompts": ["x"], "outputs": ["m.jsonl"]}
    path = write_pipeline(tmp_path, {"cam0": stream}, placement="processes", overwrite=True)
    first, second = tmp_path / "m.partial.jsonl", tmp_path / "m-2.partial.jsonl"
    with running([str(CONSOLE_SCRIPT), "up", str(path), "-q"], cwd=tmp_path) as process:
        wait_until(lambda: first.exists() and first.stat().st_size > 0)
        wait_until(lambda: is_claimed(first))
        os.kill(_node_of(process.pid, MASKS), signal.SIGKILL)
        wait_until(lambda: second.exists() and second.stat().st_size > 0)
        whole = (tmp_path / "m.jsonl").read_bytes()
        again = run_command("up", path, "-q", cwd=tmp_path)
        run = run_command(
            "run", "synthetic@64x48,30fps,5frames", "-p", "x", *MODEL, "-q", "-o", "m.jsonl", "--overwrite",
            cwd=tmp_path,
        )  # fmt: skip
        for done in (again, run):
            assert done.returncode == 1, done.stderr
            assert "another process is writing it" in done.stderr.replace("\n", " ")
        assert (tmp_path / "m.jsonl").read_bytes() == whole
        process.terminate()
        assert process.wait(60) == 0
    assert len(whole_lines(tmp_path / "m.jsonl")) > 0
    assert len(whole_lines(tmp_path / "m-2.jsonl")) > 0


def _node_of(launcher: int, name: str) -> int:
    """The process of a node of a graph."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            parent = re.search(r"^PPid:\s*(\d+)$", (folder / "status").read_text(), re.MULTILINE)
            is_child = parent is not None and int(parent[1]) == launcher
            if is_child and f"--name={name}" in (folder / "cmdline").read_text().split("\0"):
                return int(folder.name)
    pytest.fail(f"there is no process of {name}")


def test_lock_is_not_held_by_programs_that_the_owner_started(tmp_path: Path) -> None:
    """It ends with its owner, though they live on."""
    code = (
        "import subprocess, sys; from ssa_stream.sinks import open_sink; sink = open_sink('m.jsonl');"
        "child = subprocess.Popen(['sleep', '60'], close_fds=False, stdout=-3); print(child.pid, flush=True);"
        "sys.stdin.readline()"
    )
    with running([sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        owner.kill()
        owner.communicate()
    try:
        done = run_command(
            "-c", "from ssa_stream.sinks import open_sink; open_sink('m.jsonl').close()", cwd=tmp_path,
            program=[sys.executable],
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    finally:
        os.kill(child, 9)


def test_data_set_that_is_being_written_is_not_written_by_another(tmp_path: Path) -> None:
    """The second one neither mixes with it nor removes its pictures."""
    command = ["data", "synth", "--videos", "400", "--frames", "4", "--height", "32", "--width", "32", "--out", "set"]
    with running([CONSOLE_SCRIPT, *command], cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: (tmp_path / "set" / "JPEGImages.partial").exists())
        done = run_command("data", "synth", "--videos", "1", "--out", "set", "--overwrite", cwd=tmp_path)
        assert process.poll() is None, "the first one was too quick"
        assert done.returncode == 1, done.stderr
        assert "another process is writing into set" in done.stderr.replace("\n", " ")
        assert any((tmp_path / "set" / "JPEGImages.partial").iterdir())
