"""The measurements on a GPU: their whole control flow on a processor, and parts that fail or hang."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import gpu
from benchmarks.gpu_parts.setting import Row, Setting
from tests.support.tiny_model import one_model_thread
from tests.support.waiting import wait_until

SCRIPT = Path(gpu.__file__).with_name("gpu.sh")


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie, which nobody may wait for here."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_all_parts_run_on_a_processor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each part gives rows, nothing fails, and both files hold what is printed."""
    with one_model_thread():
        code = gpu.main(["--device", "cpu", "--small", "--here", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    outcomes = {one["part"]: one for one in json.loads((tmp_path / "gpu.json").read_text())}
    assert {part: one["failure"] for part, one in outcomes.items()} == dict.fromkeys(gpu.BUDGETS_S, "")
    assert code == 0
    assert all(one["rows"] for one in outcomes.values())
    assert (tmp_path / "gpu.md").read_text() in printed
    assert "| engines | tiny-test float32: cuda-graph, equal mask pixels | 1 |" in printed
    assert sum(gpu.BUDGETS_S.values()) <= 8 * 60


def test_part_that_fails_leaves_the_others_and_its_own_rows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table says what failed, and the exit code does."""

    def rows_of(part: str, setting: Setting) -> Iterator[Row]:
        """One row, then an error in one of the parts."""
        yield Row(f"{part} on {setting.device}", 1234.5, "ms")
        if part == "parity":
            raise RuntimeError("CUDA error: | an illegal memory access")

    monkeypatch.setattr(gpu, "rows_of", rows_of)
    arguments = ["--device", "cpu", "--here", "--parts", "parity", "streams", "--out", str(tmp_path)]
    assert gpu.main(arguments) == 1
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| parity | parity on cpu | 1234 | ms |",
        "| parity | FAILED | RuntimeError: CUDA error: / an illegal memory access | |",
        "| streams | streams on cpu | 1234 | ms |",
    ]


def test_part_of_its_own_process_is_stopped_and_keeps_its_rows(tmp_path: Path) -> None:
    """One that hangs, with what it started, is killed in time; one that dies is told with its last line."""
    row = 'echo "[\\"a push\\", 2.5, \\"ms\\"]"'
    child = tmp_path / "child"
    hung = gpu.run_command("stages", ["sh", "-c", f"sleep 300 >/dev/null 2>&1 & echo $! > {child}; {row}; wait"], 1.0)
    assert hung == ("stages", [Row("a push", 2.5, "ms")], "not done after 1 s")
    wait_until(lambda: not is_running(int(child.read_text())), "the child of the part has ended")
    dead = gpu.run_command("stages", ["sh", "-c", f"{row}; echo first >&2; echo out of memory >&2; exit 3"], 30)
    assert dead == ("stages", [Row("a push", 2.5, "ms")], "exit 3: out of memory")


def test_script_says_what_is_missing(tmp_path: Path) -> None:
    """A Python without what is needed is told so, before anything is measured."""
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    environment = {**os.environ, "PYTHON": str(bare), "OUT": str(tmp_path)}
    done = subprocess.run(["bash", str(SCRIPT)], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert "lacks torch, torchvision, timm" in done.stderr
    assert "WHEELS=" in done.stderr
