"""The folder of a running graph, when somebody cleans up: nothing that is removed ends the graph."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssa_stream.nodes.launcher.run_dir import LockedFolder, remove_leftovers
from ssa_stream.nodes.runtime.transport.segments import memory_folder, segment_prefix
from tests.support.graph_streams import Material, graph_of, make_material
from tests.support.graphs import listing, watched
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of its own, to see what a graph leaves there."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Weights and 150 pictures."""
    return make_material(tmp_path_factory.mktemp("stream"), num_frames=150)


def _remove_everything(run_dir: Path, *, folder: bool) -> None:
    """As a cleaner of temporary files does, and `rm /dev/shm/*`."""
    for path in run_dir.iterdir():
        path.unlink()
    if folder:
        shutil.rmtree(run_dir)
    for segment in memory_folder().glob(f"{segment_prefix(run_dir)}*"):
        segment.unlink()


@pytest.mark.parametrize("folder", [False, True], ids=["files", "folder"])
async def test_everything_removed_and_then_every_node_killed(material: Material, temporary: Path, folder: bool) -> None:
    """Each node is started again with its settings, finds the others, and no frame of the file is lost."""
    graph = graph_of(material, "processes", {"cam0": {"prompts": ["a dog"]}}, health={"max_restarts": 8})
    async with watched(graph) as seen:
        await seen.frames(5)
        run_dir = temporary / listing(temporary)[0]
        for name in ("encoder-0", "queries-0", "decoder-0", "masks-0", "ingest-cam0"):
            _remove_everything(run_dir, folder=folder)
            count = len(seen.listener.indices())
            graph.kill(name)
            await until(lambda: run_dir.exists() and (run_dir / "pipeline.yaml").exists(), "the settings")
            await seen.frames(min(count + 5, material.num_frames))  # masks come again
        report = await seen.ended()
    assert sorted(set(seen.listener.indices())) == list(range(material.num_frames))
    assert set(report.restarts) == {"encoder-0", "queries-0", "decoder-0", "masks-0", "ingest-cam0"}
    assert listing(temporary) == []
    assert list(memory_folder().glob(f"{segment_prefix(run_dir)}*")) == []


def test_folder_of_a_run_is_locked_as_cleaners_ask_for(temporary: Path) -> None:
    """Systemd's passes over what is locked; a lock on a folder that was made again is there, too."""
    folder = LockedFolder("lab")
    folder.make()
    for _ in range(2):
        lock = os.open(folder.path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(lock)
        shutil.rmtree(folder.path)
        assert folder.keep()
        assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.remove()
    assert listing(temporary) == []


def test_folder_that_somebody_else_made_in_its_place_is_not_used(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that everybody may write to, a name that became free is anybody's."""
    folder = LockedFolder("lab")
    folder.make()
    shutil.rmtree(folder.path)
    folder.path.symlink_to(temporary)
    assert not folder.keep()
    folder.path.unlink()
    folder.path.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert not folder.keep()
    monkeypatch.undo()
    folder.remove()


_HOLDS = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from ssa_stream.nodes.launcher.run_dir import LockedFolder
folder = LockedFolder("lab")
folder.make()
print(folder.path, flush=True)
sys.stdin.readline()
"""


def test_leftover_whose_process_number_is_another_ones_by_now_is_removed(temporary: Path) -> None:
    """The lock tells, not the number: it ended with the launcher."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDS, str(temporary)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    path = Path(holder.stdout.readline().strip())
    assert remove_leftovers(lambda prefix: None) == []
    holder.kill()
    holder.communicate()
    reused = path.with_name(path.name.replace(f"-{holder.pid}-", f"-{os.getpid()}-"))
    path.rename(reused)
    assert remove_leftovers(lambda prefix: None) == ["lab"]
    assert listing(temporary) == []
