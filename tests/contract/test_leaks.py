"""The fixture in tests/conftest.py fails a test that leaves something running, and only such a test."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

LEAKS = {
    "thread": (
        "def test_it():\n    threading.Thread(target=GATE.wait, args=(5,), name='forgotten').start()",
        "the test left running: thread 'forgotten'",
    ),
    "process": (
        "def test_it():\n    KEPT.append(subprocess.Popen(['sleep', '5']))",
        "(sleep 5)",
    ),
    "task": (
        "async def test_it():\n    KEPT.append(asyncio.create_task(asyncio.sleep(5), name='forgotten'))",
        "the test left asyncio tasks running: <Task pending name='forgotten'",
    ),
}
CLEAN = """
def test_thread_joined():
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()

def test_daemon_thread():
    threading.Thread(target=GATE.wait, args=(5,), daemon=True).start()

def test_process_waited_for():
    subprocess.run(["true"], check=True)

@pytest.fixture
async def ticking():
    async with asyncio.TaskGroup() as group:
        task = group.create_task(asyncio.sleep(60))
        yield
        task.cancel()

async def test_task_of_a_fixture(ticking):
    await asyncio.to_thread(int)

async def test_task_awaited():
    await asyncio.create_task(asyncio.sleep(0))
"""
HEAD = """
import asyncio, subprocess, threading
import pytest
import tests.conftest
tests.conftest.GRACE_S = 0.2
GATE = threading.Event()
KEPT = []
"""


# Ends what the test before it left running.
TAIL = """
def test_last():
    GATE.set()
    for child in KEPT:
        if isinstance(child, subprocess.Popen):
            child.kill()
            child.wait()
"""


def _run(folder: Path, tests: str) -> str:
    path = folder / "test_sample.py"
    path.write_text(HEAD + tests + TAIL)
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder)]
    command += ["-p", "tests.conftest", "-p", "no:cacheprovider", str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120).stdout


@pytest.mark.slow
@pytest.mark.parametrize(("test", "complaint"), LEAKS.values(), ids=LEAKS)
def test_leak_fails_the_test(tmp_path: Path, test: str, complaint: str) -> None:
    """What is left behind is named."""
    output = _run(tmp_path, test)
    assert complaint in output
    assert "1 error" in output


@pytest.mark.slow
def test_no_leak_passes(tmp_path: Path) -> None:
    """What was ended properly, or ends with the process, is nobody's fault."""
    assert "6 passed" in _run(tmp_path, CLEAN)
