"""Every test leaves nothing running: no thread, no asyncio task, no child process."""

import asyncio
import hashlib
import inspect
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from ssa_stream.keys import add_client, make_keys

os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # as the command line does; see docs/adr/0008
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:  # workers share the cores; torch reads this when it is imported
    _share = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, _share)))

_T = TypeVar("_T")
GRACE_S = 2.0
POLL_S = 0.01
# Helpers that are started once for a whole process and kept.
LASTING_CHILDREN = (b"multiprocessing.resource_tracker", b"multiprocessing.forkserver", b"tests/support/warm_server.py")


def _threads() -> set[threading.Thread]:
    """Live threads that would keep the process from ending."""
    return {thread for thread in threading.enumerate() if not thread.daemon}


def _children() -> dict[int, str]:
    """Running child processes by id, each with its command line; empty where there is no /proc."""
    found = {}
    for listing in Path("/proc/self/task").glob("*/children"):
        try:
            pids = listing.read_text().split()
        except OSError:
            continue  # the thread has ended meanwhile
        for pid in pids:
            try:
                command = Path("/proc", pid, "cmdline").read_bytes()
                state = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue  # so has the process
            # Z: has ended and was not waited for. A process that is just starting has no command line yet.
            if state != "Z" and not any(name in command for name in LASTING_CHILDREN):
                found[int(pid)] = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def _remaining(look: Callable[[], set[_T]]) -> set[_T]:
    """What is still there after what is just ending was given time to end."""
    deadline_s = time.monotonic() + GRACE_S
    while (left := look()) and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
    return left


@pytest.fixture
async def _no_task_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    tasks = asyncio.all_tasks() - before - {asyncio.current_task()}
    left = (await asyncio.wait(tasks, timeout=GRACE_S))[1] if tasks else set()
    if left:
        pytest.fail("the test left asyncio tasks running: " + ", ".join(sorted(repr(task) for task in left)))


@pytest.fixture(scope="session", autouse=True)
def _own_state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What programs keep for their next start (XDG_STATE_HOME) is not in the user's home, and engines are not used."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("state")
        patch.setenv("XDG_STATE_HOME", str(folder))
        patch.setenv("SSA_STREAM_ENGINES", str(folder / "engines"))
        yield folder


@pytest.fixture(autouse=True)
def _no_state_of_other_tests(
    _own_state_home: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipeline that is shipped has one name in all tests: each begins without what others left."""
    name = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
    monkeypatch.setenv("XDG_STATE_HOME", str(_own_state_home / name))


@pytest.fixture(autouse=True)
def _nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test if something that it started outlives it."""
    threads, children = _threads(), set(_children())
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("_no_task_left")
    yield
    left_threads = _remaining(lambda: _threads() - threads)
    left_children = _remaining(lambda: set(_children()) - children)
    complaints = [f"thread {thread.name!r}" for thread in left_threads]
    commands = _children()
    complaints += [f"process {pid} ({commands.get(pid, 'just ended')})" for pid in left_children]
    if complaints:
        pytest.fail("the test left running: " + ", ".join(sorted(complaints)))


@pytest.fixture
def keys_folder(tmp_path: Path) -> Path:
    """Keys of a graph; `robot` may connect."""
    made = tmp_path / "keys"
    make_keys(made)
    add_client(made, "robot")
    return made
